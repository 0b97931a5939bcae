//! The example components, built to the same bytes in every folder. Cargo makes the path of a package that lies outside of its workspace
//! part of every name in it, and the SDK lies outside: so they are built from a copy in which it lies inside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::build::remaps;
use crate::guests;

/// Builds them, and says where they are.
pub(super) fn build() -> Result<PathBuf> {
    let target = guests::target_dir().join("dist-build").join("guests");
    let (workspace, out) = (target.join("source"), target.join("components"));
    let mut wanted = BTreeSet::new();
    copy(&guests::root().join("guest-examples"), &workspace, &mut wanted)?;
    copy(&guests::root().join(SDK), &workspace.join(SDK), &mut wanted)?;
    for left in files(&workspace)? {
        let path = workspace.join(left);
        if !wanted.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let flags = remaps(&workspace, &target);
    guests::build_in(&workspace, &target, &flags, &out, guests::Source::default())?;
    Ok(out)
}

/// One that is there already, as it is to be, keeps its time: nothing is built again for it.
fn copy(from: &Path, to: &Path, wanted: &mut BTreeSet<PathBuf>) -> Result<()> {
    for path in files(from)? {
        let (original, copied) = (from.join(&path), to.join(&path));
        let mut bytes = fs::read(&original).with_context(|| format!("cannot read {}", original.display()))?;
        if path == Path::new("Cargo.toml") {
            let text = String::from_utf8(bytes).with_context(|| format!("{} is no text", original.display()))?;
            bytes = inside(&text).into_bytes();
        }
        if fs::read(&copied).ok().as_ref() != Some(&bytes) {
            let cannot = || format!("cannot write {}", copied.display());
            fs::create_dir_all(copied.parent().unwrap_or(to)).with_context(cannot)?;
            fs::write(&copied, bytes).with_context(cannot)?;
        }
        wanted.insert(copied);
    }
    Ok(())
}

/// A workspace's manifest when the SDK, a workspace of its own, lies in its folder instead of beside it.
fn inside(manifest: &str) -> String {
    let manifest = manifest.replace(&format!("../{SDK}"), SDK);
    manifest.replacen("[workspace]\n", &format!("[workspace]\nexclude = [\"{SDK}\"]\n"), 1)
}

/// All below a folder, but for what was built there.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        let place = folder.join(&inner);
        for entry in fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                found.push(path);
            } else if entry.file_name() != "target" {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

const SDK: &str = "guest-sdk/rust";
