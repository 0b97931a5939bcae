//! Finds and reads the manifest for every command that needs one.

use std::path::{Path, PathBuf};

use super::environment;
use crate::config::{self, LoadError, Loaded, Manifest, Severity};
use crate::output::{self, Failure};

/// The manifest with all findings; fails only where there is nothing to read.
pub(super) fn read(flag: Option<PathBuf>) -> Result<Loaded, Failure> {
    let path = environment::manifest(flag);
    config::load(&path).map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error {
            LoadError::Missing { .. } => match above(&path) {
                Some(folder) => failure.hint(format!("there is one in {}: run the command there", folder.display())),
                None => failure.hint("name one with --manifest FILE, or run the command in its folder"),
            },
            LoadError::Unreadable { .. } => {
                failure.hint("a manifest is a text file in UTF-8; see that this user can read it")
            }
        }
    })
}

/// The next folder above that has one, as it is when somebody works in a folder of the project. Of the usual name alone.
fn above(path: &Path) -> Option<PathBuf> {
    if path != Path::new(environment::USUAL_MANIFEST) {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    let mut folders = here.ancestors().skip(1);
    folders.find(|folder| folder.join(path).is_file()).map(Path::to_owned)
}

/// A manifest without errors; warnings are told, notes are not.
pub(super) fn load(flag: Option<PathBuf>) -> Result<Manifest, Failure> {
    let loaded = read(flag)?;
    for problem in loaded
        .problems
        .iter()
        .filter(|problem| problem.severity != Severity::Note)
    {
        output::problem(problem);
    }
    if loaded.problems.has_errors() {
        Err(Failure::told())
    } else {
        Ok(loaded.manifest)
    }
}
