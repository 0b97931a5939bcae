//! Everything of this crate that is specific to an operating system. Linux is tested; the rest of the crate is the
//! same on every Unix.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Bytes that an unprivileged writer may still use on the file system that holds `directory`.
pub(crate) fn free_space(directory: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(directory)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes creations, renames and removals in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Whether two names lead to one file.
pub(crate) fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Fills `buf` from `position`. `EINTR` and short reads are retried by the standard library.
pub(crate) fn read_exact_at(file: &File, buf: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, position)
}

/// Writes all of `data` at `position`. `EINTR` and short writes are retried by the standard library.
pub(crate) fn write_all_at(file: &File, data: &[u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, position)
}

/// Writes some of `data` at `position`; at least one byte unless `data` is empty or the file takes no more.
pub(crate) fn write_at(file: &File, data: &[u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, data, position)
}

/// Opens the file behind a descriptor once more, for writes that pass the page cache. Not by its name: that may lead elsewhere by
/// now. Refused where there is no such thing; `NotFound` where there is no `/proc`.
#[cfg(target_os = "linux")]
pub(crate) fn reopen_direct(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or(0);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().write(true).custom_flags(flags).open(path)
}

/// Opens the file behind a descriptor once more, for writes that pass the page cache.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen_direct(_: &File) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the process, or the system, has as many files open as it may have.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// How many files this process may have open at once; `None` for no limit.
pub(crate) fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}
