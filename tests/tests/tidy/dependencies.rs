//! Rules about what others wrote: licences, and second versions of what we name ourselves. `cargo metadata` is asked,
//! with the locked versions.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::Finding;
use crate::tree::root;

/// A package in a lock file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    /// The workspace that locks it.
    pub(crate) workspace: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// As its author wrote it.
    pub(crate) licence: Option<String>,
    /// Named in a manifest of the workspace.
    pub(crate) direct: bool,
}

/// Each of them is satisfied by shipping the notice; none asks anything of those who use Sharemill.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Direct dependencies of which a second version is there, and why.
const DUPLICATES: [(&str, &str); 4] = [
    ("sha2", "wasmtime's cache keys are made with the version before"),
    ("wasmparser", "wasmtime's own; the newer one goes with wit-component"),
    (
        "wit-component",
        "in tests: the one that knows the newest WIT; wasmtime has its own",
    ),
    ("wit-parser", "as wit-component"),
];

const WORKSPACES: [&str; 3] = [".", "guest-sdk/rust", "guest-examples"];

pub(crate) fn of_all_workspaces() -> Vec<Package> {
    WORKSPACES
        .iter()
        .flat_map(|workspace| of_workspace(workspace))
        .collect()
}

pub(crate) fn of_workspace(workspace: &str) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root().join(workspace))
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata in {workspace}: {text}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let members: BTreeSet<&str> = list(&metadata["workspace_members"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let is_member = |package: &Value| package["id"].as_str().is_some_and(|id| members.contains(id));
    let packages = list(&metadata["packages"]);
    let direct: BTreeSet<&str> = packages
        .iter()
        .filter(|package| is_member(package))
        .flat_map(|package| list(&package["dependencies"]))
        .filter_map(|dependency| dependency["name"].as_str())
        .collect();
    let read = |package: &Value| Package {
        workspace: workspace.to_owned(),
        name: package["name"].as_str().unwrap().to_owned(),
        version: package["version"].as_str().unwrap().to_owned(),
        licence: package["license"].as_str().map(str::to_owned),
        direct: package["name"].as_str().is_some_and(|name| direct.contains(name)),
    };
    packages.iter().map(read).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn forbidden_licences(packages: &[Package]) -> Vec<Finding> {
    let forbidden = packages.iter().filter_map(|package| {
        let allowed = package.licence.as_deref().is_some_and(is_allowed);
        let licence = package.licence.as_deref().unwrap_or("no licence");
        let (name, version) = (&package.name, &package.version);
        let advice = format!("{name} {version} has {licence}: choose another crate, or argue for a row of LICENCES");
        (!allowed).then(|| Finding::new(&lock(package), 1, advice))
    });
    forbidden.collect()
}

pub(crate) fn unlisted_duplicates(packages: &[Package]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.direct) {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let is_double = |name: &str| versions.get(name).is_some_and(|versions| versions.len() > 1);
    let is_listed = |name: &str| DUPLICATES.iter().any(|(listed, _)| *listed == name);
    let lock = packages.first().map(lock).unwrap_or_default();
    let new = versions
        .iter()
        .filter(|(name, _)| is_double(name) && !is_listed(name))
        .map(|(name, versions)| {
            let advice = format!(
                "{name} is there as {versions:?}: agree with the others, or list it in DUPLICATES with the reason"
            );
            Finding::new(&lock, 1, advice)
        });
    let gone = DUPLICATES
        .iter()
        .filter(|(name, _)| versions.contains_key(name) && !is_double(name))
        .map(|(name, _)| Finding::new(&lock, 1, format!("{name} is there once: take it off DUPLICATES")));
    new.chain(gone).collect()
}

fn lock(package: &Package) -> String {
    match package.workspace.as_str() {
        "." => "Cargo.lock".to_owned(),
        workspace => format!("{workspace}/Cargo.lock"),
    }
}

/// Whether an SPDX expression can be satisfied with what is allowed. `/` is an old form of OR; AND binds tighter.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(rest: &mut &[&str]) -> bool {
    let mut allowed = all_of(rest);
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        allowed |= all_of(rest);
    }
    allowed
}

fn all_of(rest: &mut &[&str]) -> bool {
    let mut allowed = one(rest);
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        allowed &= one(rest);
    }
    allowed
}

fn one(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let allowed = any_of(rest);
            if let [")", tail @ ..] = *rest {
                *rest = tail;
                return allowed;
            }
            false
        }
        [licence, "WITH", exception, tail @ ..] => {
            *rest = tail;
            LICENCES.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, tail @ ..] => {
            *rest = tail;
            LICENCES.contains(licence)
        }
        [] => false,
    }
}

#[test]
fn expressions_are_understood() {
    for allowed in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT OR Apache-2.0 AND GPL-3.0-only",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for forbidden in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR GPL-3.0-only) AND SSPL-1.0",
        "Apache-2.0 WITH Commons-clause",
        "(MIT",
        "MIT Apache-2.0",
    ] {
        assert!(!is_allowed(forbidden), "{forbidden}");
    }
}
