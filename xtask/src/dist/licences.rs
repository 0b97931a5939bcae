//! The licences of what others wrote and users get: of every crate that is linked into the program or into an example, and of the C
//! libraries that crates bring along. Texts are those of the crates' own sources; the same text stands there once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::contents::EXAMPLES;
use super::said_by;
use crate::guests;

/// A package that is linked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    folder: PathBuf,
}

/// The whole file.
pub(super) fn text(target: &str) -> Result<String> {
    let mut packages = linked("", &["sharemill"], target)?;
    packages.extend(linked("guest-examples", &EXAMPLES, "wasm32-wasip2")?);
    let mut out = String::from(HEADER);
    let mut texts: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for package in &packages {
        let name = format!("{} {}", package.name, package.version);
        writeln!(out, "{name:<44} {}", package.licence)?;
        for file in licence_files(&package.folder)? {
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            // Where lines are broken makes no other text.
            let words: Vec<&str> = text.split_whitespace().collect();
            let file = file
                .strip_prefix(&package.folder)
                .unwrap_or(&file)
                .display()
                .to_string();
            let (_, from) = texts
                .entry(words.join(" "))
                .or_insert_with(|| (text.trim().to_owned(), BTreeSet::new()));
            from.insert(format!("{name}: {file}"));
        }
    }
    for (text, from) in texts.values() {
        let from: Vec<&str> = from.iter().map(String::as_str).collect();
        write!(out, "\n{LINE}\n{}\n{LINE}\n\n{text}\n", from.join("\n"))?;
    }
    Ok(out)
}

const HEADER: &str = "\
What others wrote and is in the program or in the example components, with its licence. Below are the texts, each once, with the packages
that bring it along. Of several licences to choose from all are shown. The standard library of Rust, by the Rust Project's contributors,
is in all of them: MIT OR Apache-2.0.

";

const LINE: &str = "--------------------------------------------------------------------------------";

/// Packages from elsewhere that end up in what these packages of a workspace build, sorted.
fn linked(workspace: &str, packages: &[&str], target: &str) -> Result<BTreeSet<Package>> {
    let arguments = [
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        target,
    ];
    let said = said_by(
        Command::new("cargo")
            .current_dir(guests::root().join(workspace))
            .args(arguments),
    )?;
    let metadata: Value = serde_json::from_str(&said)?;
    let by_id: BTreeMap<&str, &Value> = list(&metadata, "packages")
        .filter_map(|one| Some((text_of(one, "id")?, one)))
        .collect();
    let nodes = metadata.get("resolve").context("cargo metadata resolves nothing")?;
    let nodes: BTreeMap<&str, &Value> = list(nodes, "nodes")
        .filter_map(|one| Some((text_of(one, "id")?, one)))
        .collect();
    let is_root = |package: &&Value| {
        let is_own = package.get("source").is_none_or(Value::is_null);
        is_own && text_of(package, "name").is_some_and(|name| packages.contains(&name))
    };
    let mut open: Vec<&str> = by_id
        .values()
        .copied()
        .filter(|one| is_root(one))
        .filter_map(|one| text_of(one, "id"))
        .collect();
    ensure!(
        open.len() == packages.len(),
        "not all of {packages:?} are in the workspace"
    );
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let package = by_id
            .get(id)
            .with_context(|| format!("cargo metadata has no package {id}"))?;
        let is_foreign = package.get("source").is_some_and(|source| !source.is_null());
        if is_foreign {
            found.insert(read(package)?);
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| list(node, "deps"));
        open.extend(
            dependencies
                .filter(|one| is_linked(one))
                .filter_map(|one| text_of(one, "pkg")),
        );
    }
    Ok(found)
}

/// Dependencies of the program itself, and sources of C libraries, which are built by a build script.
fn is_linked(dependency: &Value) -> bool {
    let is_source = text_of(dependency, "name").is_some_and(|name| name.ends_with("_src"));
    list(dependency, "dep_kinds").any(|kind| match kind.get("kind").and_then(Value::as_str) {
        None => true,
        Some("build") => is_source,
        Some(_) => false,
    })
}

fn read(package: &Value) -> Result<Package> {
    let name = text_of(package, "name").context("a package without a name")?;
    let field = |key: &str| text_of(package, key).with_context(|| format!("{name} has no {key}"));
    let manifest = Path::new(field("manifest_path")?);
    Ok(Package {
        name: name.to_owned(),
        version: field("version")?.to_owned(),
        licence: field("license")?.to_owned(),
        folder: manifest.parent().context("a manifest without a folder")?.to_path_buf(),
    })
}

/// Files of a package that look like licences, sorted; C libraries lie some folders below.
fn licence_files(folder: &Path) -> Result<Vec<PathBuf>> {
    const DEPTH: usize = 2;
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut here = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
            if entry.file_type()?.is_dir() {
                if depth < DEPTH {
                    folders.push((entry.path(), depth + 1));
                }
            } else if is_licence(&name) {
                here.push((name, entry.path()));
            }
        }
        // Where there are both, `COPYING` is the one not chosen, or says which there are.
        let has_other = here.iter().any(|(name, _)| !name.starts_with("copying"));
        here.retain(|(name, _)| !(has_other && name.starts_with("copying")));
        files.extend(here.into_iter().map(|(_, path)| path));
    }
    files.sort();
    Ok(files)
}

fn is_licence(name: &str) -> bool {
    const STARTS: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
    let is_code = [".rs", ".html", ".py", ".toml"].iter().any(|end| name.ends_with(end));
    STARTS.iter().any(|start| name.starts_with(start)) && !is_code
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}
