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

/// Opens an existing file for writes that pass the page cache; refused where there is no such thing.
#[cfg(target_os = "linux")]
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or(0);
    File::options().write(true).custom_flags(flags).open(path)
}

/// Opens an existing file for writes that pass the page cache; refused where there is no such thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_direct(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
