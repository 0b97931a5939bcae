//! The fuzz body of the manifest: any text is understood or refused with problems, and what is understood is printed so that it
//! is understood the same.

use std::path::Path;

use super::load::parse;
use super::problem::Severity;
use super::shown::Shown;

/// Feeds arbitrary bytes to the loader. Panics only on a bug.
pub fn fuzz_manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let print = |text: &str| {
        let loaded = parse(Path::new("/folder/sharemill.toml"), text);
        let is_wrong = |one: &super::problem::Problem| one.severity == Severity::Error;
        if loaded.problems.iter().any(is_wrong) {
            assert!(
                loaded.problems.iter().all(|problem| !problem.message.is_empty()),
                "a problem without a word"
            );
            return Err(format!("{:?}", loaded.problems));
        }
        Ok(Shown::new(&loaded.manifest).toml())
    };
    if let Ok(printed) = print(&text) {
        let printed = printed.unwrap_or_else(|error| panic!("cannot be printed: {error}"));
        assert_eq!(print(&printed), Ok(Ok(printed.clone())), "a manifest has one meaning");
    }
}

#[cfg(test)]
mod tests;
