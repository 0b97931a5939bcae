//! No file that users download names a folder of the machine that it was built on.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::contents::File;
use crate::guests;

/// Folders that a compiler may write into what it builds: those of the toolchain, of this repository and of the build.
pub(super) fn of_this_machine() -> Vec<PathBuf> {
    let home = env::var_os("HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let below = |folder: &str| home.as_ref().map(|home| home.join(folder));
    let set = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    let named = |variable: &str| set(variable).map(PathBuf::from);
    let folders = [
        named("CARGO_HOME").or(below(".cargo")),
        named("RUSTUP_HOME").or(below(".rustup")),
        Some(guests::root()),
        Some(guests::target_dir()),
    ];
    let mut folders: Vec<PathBuf> = folders.into_iter().flatten().collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Fails if one of the files has one of the folders in it.
pub(super) fn require_none<'a>(files: impl Iterator<Item = &'a File>, folders: &[PathBuf]) -> Result<()> {
    for file in files {
        for folder in folders {
            let folder = folder.display().to_string();
            ensure!(
                !names(&file.bytes, &folder),
                "{} names {folder}, a folder of this machine",
                file.path
            );
        }
    }
    Ok(())
}

/// A folder right below the root has a name that others have, too (`/src`): it counts where no other folder is before it. Other paths
/// count wherever they are, since compilers put texts next to each other without anything between them.
fn names(bytes: &[u8], folder: &str) -> bool {
    let is_short = Path::new(folder).components().count() <= 2;
    let is_of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let mut places = bytes.windows(folder.len()).enumerate();
    places.any(|(at, part)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + folder.len());
        part == folder.as_bytes() && !after.is_some_and(is_of_a_name) && !(is_short && before.is_some_and(is_of_a_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_machine_is_found_wherever_it_stands() {
        for (bytes, folder, is_there) in [
            (
                "\0/srv/anna/sharemill/runtime/src/lib.rs\0",
                "/srv/anna/sharemill",
                true,
            ),
            // No zero byte stands between two texts of a program.
            ("no such topic/srv/anna/sharemill/runtime", "/srv/anna/sharemill", true),
            ("/srv/anna/sharemill", "/srv/anna/sharemill", true),
            ("/srv/anna/sharemill-2/runtime", "/srv/anna/sharemill", false),
            ("/crates/hyper-1.6/src/lib.rs", "/src", false),
            ("\0/src/runtime/lib.rs", "/src", true),
            ("/sharemill/runtime/src/lib.rs", "/srv/anna/sharemill", false),
        ] {
            let planted = [File::text("bin/program", bytes)];
            let said = require_none(planted.iter(), &[PathBuf::from(folder)]);
            let expected = format!("bin/program names {folder}, a folder of this machine");
            let said = said.err().map(|error| error.to_string());
            assert_eq!(said, is_there.then_some(expected), "{bytes}");
        }
    }

    #[test]
    fn the_folders_of_this_repository_and_of_the_toolchain_are_looked_for() {
        let folders = of_this_machine();
        assert!(folders.contains(&guests::root()), "{folders:?}");
        assert!(folders.iter().any(|folder| folder.ends_with(".cargo")) || env::var_os("CARGO_HOME").is_some());
    }
}
