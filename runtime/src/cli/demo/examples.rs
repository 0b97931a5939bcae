//! Where the example components are: beside this program, as the archive and the package have them, or where the user says.

use std::path::{Path, PathBuf};

use super::plan::Handler;
use crate::output::Failure;

/// From the folder of the program: an unpacked archive and an installed package look alike.
const BESIDE: &str = "../share/sharemill/examples";

/// The folder with all components that the demo needs.
pub(super) fn find(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let folder = match named {
        Some(folder) => folder,
        None => beside().ok_or_else(|| Failure::new("cannot find this program").hint(HINT))?,
    };
    let file = |handler: Handler| folder.join(handler.name()).with_extension("wasm");
    if let Some(missing) = Handler::ALL.into_iter().map(file).find(|file| !file.is_file()) {
        return Err(Failure::new(format!("the demo needs {}, which is not there", missing.display())).hint(HINT));
    }
    folder
        .canonicalize()
        .map_err(|error| Failure::new(format!("cannot use {}: {error}", folder.display())).hint(HINT))
}

const HINT: &str = "the archive and the package have the example components in share/sharemill/examples; --examples DIR names another \
                    folder; in the repository `cargo xtask demo` builds them and runs this";

fn beside() -> Option<PathBuf> {
    // What is in the path may be a link to where the archive was unpacked.
    let program = std::env::current_exe().ok()?;
    let program = program.canonicalize().unwrap_or(program);
    Some(program.parent()?.join(Path::new(BESIDE)))
}
