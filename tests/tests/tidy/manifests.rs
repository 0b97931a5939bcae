//! Rules about `Cargo.toml` and `Cargo.lock`: one version of everything, named once.

use toml::{Table, Value};

use crate::Finding;
use crate::tree::{SourceFile, Tree};

/// The oldest compiler that builds the project, in every workspace.
const RUST_VERSION: &str = "1.95";

/// Dependencies name the workspace; the workspace names the version.
pub(crate) fn dependency_versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, manifest) in manifests(tree) {
        for table in dependency_tables(&manifest) {
            for (name, wanted) in table {
                if NOT_FOR_PRODUCTS.contains(&name.as_str()) {
                    let advice = format!("no package depends on `{name}`: it stands above all of them");
                    findings.push(Finding::new(&file.path, line_of(file, name), advice));
                }
                let inherits = wanted.get("workspace").and_then(Value::as_bool) == Some(true);
                if !inherits {
                    let advice = format!(
                        "`{name}` names its own source: write `{name}.workspace = true` and the version in the workspace"
                    );
                    findings.push(Finding::new(&file.path, line_of(file, name), advice));
                }
            }
        }
    }
    findings
}

/// Edition, compiler, licence and lints are the workspace's.
pub(crate) fn inherited_keys(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, manifest) in manifests(tree) {
        if let Some(package) = manifest.get("package") {
            let inherits = |key: &str| package.get(key)?.get("workspace")?.as_bool();
            for key in ["version", "edition", "rust-version", "license", "publish"] {
                if inherits(key) != Some(true) {
                    let advice = format!("write `{key}.workspace = true`");
                    findings.push(Finding::new(&file.path, line_of(file, "[package]"), advice));
                }
            }
            let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
            if lints.and_then(Value::as_bool) != Some(true) {
                let advice = "write `[lints]` and `workspace = true`";
                findings.push(Finding::new(&file.path, 1, advice));
            }
        }
        if let Some(package) = manifest.get("workspace").and_then(|workspace| workspace.get("package")) {
            let version = package.get("rust-version").and_then(Value::as_str);
            if version != Some(RUST_VERSION) {
                let advice = format!("rust-version is \"{RUST_VERSION}\" in every workspace");
                findings.push(Finding::new(&file.path, line_of(file, "rust-version"), advice));
            }
        }
    }
    findings
}

/// What is locked can be fetched by everybody.
pub(crate) fn lock_sources(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.named("Cargo.lock") {
        for (index, line) in file.text.lines().enumerate() {
            let Some(source) = line.strip_prefix("source = ") else {
                continue;
            };
            if source.trim_matches('"') != REGISTRY {
                let advice = format!("{source}: only crates.io is a source");
                findings.push(Finding::new(&file.path, index + 1, advice));
            }
        }
    }
    findings
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Packages that use others and are used by none.
const NOT_FOR_PRODUCTS: [&str; 2] = ["sharemill-tests", "xtask"];

/// A template is a project of somebody else's, which has no workspace to inherit from.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&SourceFile, Table)> {
    let own = tree
        .named("Cargo.toml")
        .filter(|file| !file.path.starts_with("templates/"));
    own.map(|file| {
        let manifest = file
            .text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.path));
        (file, manifest)
    })
}

/// A package's dependencies of all kinds, those of single platforms included.
fn dependency_tables(manifest: &Table) -> Vec<&Table> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(platforms)
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .collect()
}

/// The first line that begins with `key`.
fn line_of(file: &SourceFile, key: &str) -> usize {
    file.text
        .lines()
        .position(|line| line.starts_with(key))
        .map_or(1, |index| index + 1)
}
