//! What a new project is made of: the template in `templates/`, which tests build and run as it is, and the source of the helper crate.
//! Pure.

use super::lang::Lang;
use crate::config::schema;

/// Name and text of each file, for a project of this name; parents come first.
pub(super) fn files(lang: Lang, name: &str) -> Vec<(String, String)> {
    match lang {
        Lang::Rust => rust(name),
    }
}

fn rust(name: &str) -> Vec<(String, String)> {
    let own = RUST
        .iter()
        .map(|(file, text)| ((*file).to_owned(), renamed(text, name)));
    let helper = RUST_SDK
        .iter()
        .map(|(file, text)| (format!("sdk/{file}"), without_tool(text)));
    let mut schema = format!("{:#}", schema());
    schema.push('\n');
    let schema = [("sharemill.schema.json".to_owned(), schema)];
    // The licence goes with every copy of the source.
    let license = [("sdk/LICENSE".to_owned(), LICENSE.to_owned())];
    own.chain(schema).chain(helper).chain(license).collect()
}

/// The template is a project like any other; its own name stands for that of the project.
fn renamed(text: &str, name: &str) -> String {
    // What was put in is not looked at again: a name may contain the template's.
    let (template, own) = (as_crate(TEMPLATE), as_crate(name));
    let text: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(REMARK))
        .collect();
    let parts: Vec<String> = text.split(TEMPLATE).map(|part| part.replace(&template, &own)).collect();
    parts.join(name)
}

/// What the compiler makes of a package's name.
pub(super) fn as_crate(name: &str) -> String {
    name.replace('-', "_")
}

/// The helper's workspace has a tool that handlers have no use for: it and what it alone needs stay here.
fn without_tool(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\n# What `sdk-tool` needs") else {
        return text.to_owned();
    };
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    format!("{}\n{after}", before.replace(", \"sdk-tool\"", ""))
}

pub(super) const TEMPLATE: &str = "my-handler";

const LICENSE: &str = include_str!("../../../../LICENSE");

/// How a page tells those who try its commands what its text cannot say; no project needs it.
const REMARK: &str = "<!-- docs-run: ";

macro_rules! files {
    ($root:literal; $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../", $root, "/", $name)))),+]
    };
}

/// The project.
const RUST: &[(&str, &str)] = files!("templates/rust";
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "records/readings.ndjson",
    "sharemill.toml",
    "src/lib.rs",
    "src/tests.rs",
);

/// The crate `sharemill-handler`, without its lock file and its tool.
const RUST_SDK: &[(&str, &str)] = files!("guest-sdk/rust";
    "Cargo.toml",
    "README.md",
    "sharemill-handler/Cargo.toml",
    "sharemill-handler/src/__private.rs",
    "sharemill-handler/src/batch.rs",
    "sharemill-handler/src/bindings/batch_handler.rs",
    "sharemill-handler/src/bindings/config.rs",
    "sharemill-handler/src/bindings/handler.rs",
    "sharemill-handler/src/bindings/imports.rs",
    "sharemill-handler/src/bindings/lifecycle.rs",
    "sharemill-handler/src/bindings/mod.rs",
    "sharemill-handler/src/config.rs",
    "sharemill-handler/src/context.rs",
    "sharemill-handler/src/host/imports.rs",
    "sharemill-handler/src/host/mod.rs",
    "sharemill-handler/src/lease.rs",
    "sharemill-handler/src/lib.rs",
    "sharemill-handler/src/logging.rs",
    "sharemill-handler/src/malformed.rs",
    "sharemill-handler/src/metrics.rs",
    "sharemill-handler/src/outcome.rs",
    "sharemill-handler/src/producer.rs",
    "sharemill-handler/src/reason.rs",
    "sharemill-handler/src/record.rs",
    "sharemill-handler/src/returned.rs",
    "sharemill-handler/src/settings.rs",
    "sharemill-handler/src/testing/calls.rs",
    "sharemill-handler/src/testing/mod.rs",
    "sharemill-handler/tests/attribute.rs",
    "sharemill-handler-macros/Cargo.toml",
    "sharemill-handler-macros/src/lib.rs",
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Built where it lies.
                if !path.ends_with("target") {
                    walk(root, &path, found);
                }
            } else {
                found.insert(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn nothing_is_left_out() {
        let names = |files: &[(&str, &str)]| {
            files
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let template = repository().join("templates/rust");
        let mut found = BTreeSet::new();
        walk(&template, &template, &mut found);
        assert_eq!(names(RUST), found);
        let sdk = repository().join("guest-sdk/rust");
        let mut found = BTreeSet::from(["Cargo.toml".to_owned(), "README.md".to_owned()]);
        for package in ["sharemill-handler", "sharemill-handler-macros"] {
            walk(&sdk, &sdk.join(package), &mut found);
        }
        assert_eq!(names(RUST_SDK), found);
    }

    #[test]
    fn the_template_s_name_stands_nowhere() {
        let left = |(name, text): &(String, String)| {
            name.starts_with("sdk/") || !(text.contains("my-handler") || text.contains("my_handler"))
        };
        assert!(files(Lang::Rust, "other-name").iter().all(left));
    }

    #[test]
    fn a_name_may_contain_the_template_s() {
        for name in ["my_handler2", "a-my_handler", "my-handler-my_handler", "my_handler"] {
            let files = files(Lang::Rust, name);
            let text = |wanted: &str| &files.iter().find(|(file, _)| file == wanted).unwrap().1;
            let cargo: toml::Table = text("Cargo.toml").parse().unwrap();
            assert_eq!(cargo["package"]["name"].as_str(), Some(name));
            let manifest: toml::Table = text("sharemill.toml").parse().unwrap();
            let component = manifest["deployments"][name]["component"].as_str().unwrap();
            assert!(component.ends_with(&format!("/{}.wasm", as_crate(name))), "{component}");
        }
    }

    #[test]
    fn the_helper_comes_with_its_licence() {
        let files = files(Lang::Rust, "a");
        let text = |wanted: &str| &files.iter().find(|(name, _)| name == wanted).unwrap().1;
        let manifest: toml::Table = text("sdk/Cargo.toml").parse().unwrap();
        assert_eq!(manifest["workspace"]["package"]["license"].as_str(), Some("Apache-2.0"));
        assert!(text("sdk/LICENSE").contains("Apache License"));
    }

    #[test]
    fn the_helper_comes_without_its_tool() {
        let files = files(Lang::Rust, "a");
        let (_, manifest) = files.iter().find(|(name, _)| name == "sdk/Cargo.toml").unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let members = manifest["workspace"]["members"].as_array().unwrap().len();
        assert_eq!(members, 2);
        let dependencies = manifest["workspace"]["dependencies"].as_table().unwrap();
        assert!(dependencies.contains_key("wit-bindgen") && !dependencies.contains_key("wit-bindgen-core"));
        assert!(manifest.contains_key("profile") && manifest["workspace"].get("lints").is_some());
    }
}
