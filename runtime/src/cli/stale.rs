//! Whether a component that cargo made is older than what it is made of. A hint for people: nothing depends on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file of the project that was written after the component.
pub(super) fn newer(component: &Path) -> Option<PathBuf> {
    let target = component.ancestors().find(|folder| folder.ends_with("target"))?;
    let project = target.parent()?;
    let manifest = project.join("Cargo.toml");
    let built = written(component)?;
    let mut files = vec![manifest.clone()];
    let mut folders = vec![project.join("src")];
    if !manifest.is_file() {
        return None;
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if files.len() + folders.len() >= LOOKED_AT {
                break;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    let newest = files
        .into_iter()
        .filter_map(|file| Some((written(&file)?, file)))
        .max()?;
    (newest.0 > built).then_some(newest.1)
}

fn written(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// Files and folders of a project; what more there is, is not asked for.
const LOOKED_AT: usize = 1_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_written_after_the_build_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            let written = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
            fs::File::open(&path).unwrap().set_modified(written).unwrap();
            path
        };
        let component = file("target/wasm32-wasip2/release/a.wasm", 10);
        assert_eq!(newer(&component), None, "this is no project");
        file("Cargo.toml", 1);
        file("src/lib.rs", 10);
        assert_eq!(newer(&component), None);
        let deeper = file("src/parts/one.rs", 11);
        assert_eq!(newer(&component), Some(deeper));
        assert_eq!(newer(&file("elsewhere/a.wasm", 1)), None);
        assert_eq!(newer(&folder.path().join("target/none.wasm")), None);
    }
}
