//! Archives as bytes: tar in gzip, and the `ar` that Debian's packages are. Nothing of the machine is in them: folders come before what is
//! in them, everything is root's and of one age. Pure.

use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::contents::File;

/// The files, with the folders that they are in.
pub(super) fn tar_gz(files: &[File], epoch: u64) -> Result<Vec<u8>> {
    let mut files: Vec<&File> = files.iter().collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut folders = BTreeSet::new();
    let mut archive = Builder::new(Vec::new());
    for file in files {
        for (end, _) in file.path.match_indices('/') {
            let folder = file.path.get(..=end).unwrap_or_default();
            if folders.insert(folder.to_owned()) {
                let mut header = header(EntryType::Directory, 0o755, 0, epoch);
                archive.append_data(&mut header, folder, std::io::empty())?;
            }
        }
        let mut header = header(EntryType::Regular, file.mode, file.bytes.len(), epoch);
        archive
            .append_data(&mut header, &file.path, file.bytes.as_slice())
            .with_context(|| format!("cannot pack {}", file.path))?;
    }
    gzip(&archive.into_inner()?)
}

fn header(kind: EntryType, mode: u32, size: usize, epoch: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Without a name and a time.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}

/// An archive of `ar`, in the given order.
pub(super) fn ar(members: &[(&str, Vec<u8>)], epoch: u64) -> Result<Vec<u8>> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        ensure!(name.len() < 16, "{name} is too long a name for ar");
        let size = bytes.len();
        writeln!(
            archive,
            "{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{size:<10}`",
            0, 0, "100644"
        )?;
        archive.extend(bytes);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    Ok(archive)
}
