//! Which version of the contract a component is built for, read from the names of what it imports and exports. Called by `load`, before
//! anything else is made of these names, and by `look`.

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::load_error::LoadError;
use super::report::{export_names, import_names};

/// The version of `sharemill:worker` that this host serves; `wit/worker.wit` begins with it.
pub const CONTRACT: &str = "0.1.0";
const PACKAGE: &str = "sharemill:worker/";

/// The versions of the contract that a component names, in the order of its imports and exports.
pub(super) fn named(engine: &Engine, component: &Component) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for name in names(engine, component) {
        if let Some(version) = version_of(&name)
            && !versions.iter().any(|known| known == version)
        {
            versions.push(version.to_owned());
        }
    }
    versions
}

/// Refuses a component of a version that this host cannot serve. What a later patch adds is found out by linking.
pub(super) fn check(engine: &Engine, path: &Path, component: &Component) -> Result<(), LoadError> {
    other(engine, path, component, |version| minor(version) != minor(CONTRACT)).map_or(Ok(()), Err)
}

/// For a component that does not fit: the error of one that is built for any other version.
pub(super) fn differs(engine: &Engine, path: &Path, component: &Component) -> Option<LoadError> {
    other(engine, path, component, |version| version != CONTRACT)
}

fn other(engine: &Engine, path: &Path, component: &Component, is_other: impl Fn(&str) -> bool) -> Option<LoadError> {
    let name = names(engine, component)
        .into_iter()
        .find(|name| version_of(name).is_some_and(&is_other))?;
    let version = version_of(&name).unwrap_or_default().to_owned();
    let path = path.to_owned();
    Some(LoadError::WrongVersion { path, name, version })
}

fn names(engine: &Engine, component: &Component) -> Vec<String> {
    let mut names = import_names(engine, component);
    names.extend(export_names(engine, component));
    names
}

fn version_of(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.split_once('@').map(|(_, version)| version)
}

/// What must be the same: before 1.0.0 the minor version, too.
fn minor(version: &str) -> (&str, &str) {
    let mut parts = version.split('.');
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("0", minor) => ("0", minor),
        (major, _) => (major, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_one_of_the_wit_file() {
        let wit = include_str!("../../../wit/worker.wit");
        assert!(wit.contains(&format!("package sharemill:worker@{CONTRACT};")));
    }

    #[test]
    fn patches_of_one_minor_version_are_one() {
        assert_eq!(minor("0.1.0"), minor("0.1.7"));
        assert_ne!(minor("0.1.0"), minor("0.2.0"));
        assert_ne!(minor("0.1.0"), minor("1.1.0"));
        assert_eq!(minor("1.1.0"), minor("1.2.0"));
    }
}
