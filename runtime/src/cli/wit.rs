//! `sharemill wit`: writes the contract between host and handlers, the one that this program was built with, for tools that make
//! bindings of it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::args::WitArgs;
use crate::output::{self, Failure};

/// The package.
pub(super) const CONTRACT: &str = include_str!("../../../wit/worker.wit");

/// The package, and what a handler may import beside it that the tools do not bring along.
const FILES: [(&str, &str); 2] = [
    ("worker.wit", CONTRACT),
    (
        "deps/wasi-config/config.wit",
        include_str!("../../../guest-sdk/rust/sdk-tool/wit/config.wit"),
    ),
];

/// Writes the files into a folder; none if one that is there differs or cannot be read.
pub(super) fn run(args: &WitArgs) -> Result<(), Failure> {
    if args.dir.exists() && !args.dir.is_dir() {
        return Err(Failure::new(format!("{} is no folder", args.dir.display()))
            .hint("name a folder; it is made if it is not there"));
    }
    let mut wanted = Vec::new();
    let mut differing = Vec::new();
    for (name, text) in FILES {
        let path = args.dir.join(name);
        match fs::read(&path) {
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) if !args.force => differing.push(path.display().to_string()),
            Ok(_) => wanted.push((path, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => wanted.push((path, text)),
            Err(error) => {
                let message = format!("nothing was written: cannot read {}: {error}", path.display());
                return Err(Failure::new(message).hint("move away what is there, or name another folder"));
            }
        }
    }
    if !differing.is_empty() {
        let message = format!(
            "nothing was written: {} differ{} from the contract of this version",
            differing.join(" and "),
            if differing.len() == 1 { "s" } else { "" }
        );
        return Err(Failure::new(message).hint("--force writes over what differs; or name another folder"));
    }
    for (path, text) in &wanted {
        write(path, text)?;
        output::data(&format!("wrote {}\n", path.display()))?;
    }
    if wanted.is_empty() {
        output::data(&format!("{} has the contract of this version\n", args.dir.display()))?;
    }
    Ok(())
}

/// The whole file or nothing of it.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&partial, text))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // It may not be there.
        let _ = fs::remove_file(&partial);
        Failure::new(format!("cannot write {}: {error}", path.display()))
            .hint("name a folder in which this user may write")
    })
}
