//! Shows of each rule that it can fail: a planted file that breaks it, and one beside it that does not.

use crate::dependencies::{self, Package};
use crate::tree::Tree;
use crate::{Finding, edges, manifests, text};

/// Asserts that the rule finds exactly these lines of the planted file, and nothing in the good one.
fn check(rule: impl Fn(&Tree) -> Vec<Finding>, path: &str, bad: &str, lines: &[usize], good: &str) {
    let found = rule(&Tree::of(&[(path, bad)]));
    let at: Vec<usize> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(at, lines, "{found:?}");
    assert!(
        found
            .iter()
            .all(|finding| finding.path == path && !finding.advice.is_empty())
    );
    assert_eq!(rule(&Tree::of(&[(path, good)])), []);
}

const CORE: &str = "share-engine/src/share/apply.rs";

fn lines(count: usize) -> String {
    "fn f() {}\n".repeat(count)
}

fn with_tests(product: usize, tests: usize) -> String {
    format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(product), lines(tests))
}

#[test]
fn long_files_are_found() {
    check(text::long_files, CORE, &lines(501), &[501], &lines(500));
    check(
        text::long_files,
        CORE,
        &with_tests(501, 3),
        &[501],
        &with_tests(500, 100),
    );
    let elsewhere = "share-engine/src/share/tests.rs";
    assert_eq!(text::long_files(&Tree::of(&[(elsewhere, &lines(2000))])), []);
    check(text::long_files, "tests/src/harness.rs", &lines(501), &[501], "");
    assert_eq!(
        text::long_files(&Tree::of(&[("tests/tests/kill.rs", &lines(2000))])),
        []
    );
}

#[test]
fn long_inline_tests_are_found() {
    check(
        text::long_inline_tests,
        CORE,
        &with_tests(10, 150),
        &[11],
        &with_tests(10, 147),
    );
}

#[test]
fn missing_headers_are_found() {
    check(text::missing_headers, CORE, "use a;\n", &[1], "//! What it owns.\n");
    assert_eq!(
        text::missing_headers(&Tree::of(&[("guest-sdk/rust/a/src/bindings/b.rs", "use a;")])),
        []
    );
}

#[test]
fn other_alphabets_are_found() {
    check(text::not_ascii, CORE, "//! a\n// \u{2014}\n", &[2], "//! a -\n");
    check(text::not_ascii, "wit/worker.wit", "\u{e9}\n", &[1], "e\n");
}

#[test]
fn markers_are_found() {
    let bad = ["// TO", "DO later\nlet a = todo!();\nlet b = \"x\"; // X", "XX\n"].concat();
    check(
        text::markers,
        CORE,
        &bad,
        &[1, 3, 2],
        "// a todo list\nlet a = \"todo!()\";\n",
    );
    check(
        text::markers,
        "Cargo.toml",
        &["# FIX", "ME\n"].concat(),
        &[1],
        "# fixed\n",
    );
}

#[test]
fn switched_off_tests_are_found() {
    let bad = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n#[test]\n#[should_panic]\nfn b() {}\n";
    check(
        text::switched_off_tests,
        CORE,
        bad,
        &[2, 5],
        "// #[ignore] is not for us\n#[test]\nfn a() {}\n",
    );
}

#[test]
fn sleeps_are_found() {
    let rule = text::sleeps;
    check(
        rule,
        CORE,
        "use std::thread::sleep;\n",
        &[1],
        "tokio::time::sleep(a).await;\n",
    );
    check(
        rule,
        "runtime/tests/a.rs",
        "tokio::time::sleep(a).await;\n",
        &[1],
        "tokio::time::advance(a).await;\n",
    );
    let tail = "tokio::time::sleep(a).await;\n#[cfg(test)]\nmod tests {\n    time::sleep_until(a).await;\n}\n";
    check(rule, "runtime/src/lane/mod.rs", tail, &[4], "");
    assert_eq!(
        rule(&Tree::of(&[("guest-examples/sleeper/src/lib.rs", "thread::sleep(a);")])),
        []
    );
    let paused = "#[tokio::test(start_paused = true)]\nasync fn a() { tokio::time::sleep(b).await; }\n";
    let mixed = format!("{paused}#[tokio::test]\nasync fn c() {{ tokio::time::sleep(d).await; }}\n");
    check(rule, "runtime/tests/a.rs", &mixed, &[4], paused);
}

#[test]
fn unsafe_code_is_found() {
    check(
        text::unsafe_code,
        CORE,
        "//! a\nunsafe { b() }\n",
        &[2],
        "#![forbid(unsafe_code)]\n// not unsafe\n",
    );
    assert_eq!(
        text::unsafe_code(&Tree::of(&[("runtime/src/handler/compiled.rs", "unsafe { b() }")])),
        []
    );
}

#[test]
fn strange_words_are_found() {
    let bad = ["see /wo", "rk/a\n\"/ho", "me/b\"\nas in iss", "ue #12\nIss", "ue 7\n"].concat();
    check(
        text::strange_words,
        "README.md",
        &bad,
        &[1, 2, 3, 4],
        "a/work/b, $HOME/c, /home/user/d, an issue of 3\n",
    );
}

#[test]
fn unknown_hosts_are_found() {
    let bad = [
        "https:/",
        "/crates.internal/a\nhttp:/",
        "/10.0.0.1:80/b and http:/",
        "/docs.rs.evil.net\n",
    ]
    .concat();
    let good = "https://docs.rs/a, http://localhost:80, https://HOST/b, https://static.crates.io/c.\n";
    check(text::unknown_hosts, "README.md", &bad, &[1, 2], good);
}

#[test]
fn forbidden_arrows_are_found() {
    let bad = "use crate::journal::Position;\nuse crate::{ids, log};\nfn a() { super::super::engine::b() }\n#[cfg(test)]\nmod tests {\n    use crate::engine::Engine;\n}\n";
    let good =
        "//! [`crate::journal`]\nuse crate::ids::Offset;\nuse super::types;\nuse crate::{time, ids::ShareKey};\n";
    check(edges::module_edges, CORE, bad, &[1, 2, 3], good);
    check(
        edges::module_edges,
        "share-engine/src/share/mod.rs",
        "use super::storage;\n",
        &[1],
        "use super::ids;\n",
    );
    check(
        edges::module_edges,
        "runtime/src/handler/a/b.rs",
        "use crate::lane::C;\n",
        &[1],
        "use super::super::D;\n",
    );
    let unknown = edges::module_edges(&Tree::of(&[(
        "runtime/src/invention/mod.rs",
        "
",
    )]));
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

#[test]
fn names_from_outside_are_found() {
    let rule = edges::outside_names;
    check(
        rule,
        CORE,
        "use std::{fs, io};\nlet a = std::time::Instant::now();\n",
        &[1, 2],
        "use std::io;\n",
    );
    check(
        rule,
        CORE,
        "use tokio::sync::Notify;\nuse std::thread;\n",
        &[1, 2],
        "use crate::time::Instant;\n",
    );
    check(
        rule,
        "runtime/src/handler/a.rs",
        "use share_engine::engine::Engine;\n",
        &[1],
        "// share_engine::a\n",
    );
    check(
        rule,
        "runtime/src/source/a.rs",
        "use share_engine::journal::A;\n",
        &[1],
        "use share_engine::ids::B;\n",
    );
    check(
        rule,
        "runtime/src/settle/a.rs",
        "use tokio::time::C;\n",
        &[1],
        "use share_engine::time::D;\n",
    );
    assert_eq!(
        rule(&Tree::of(&[("share-engine/src/storage/file/mod.rs", "use std::fs;")])),
        []
    );
}

#[test]
fn versions_outside_the_workspace_are_found() {
    let bad = "[dependencies]\nbytes = \"1\"\nxtask.workspace = true\n\n[target.'cfg(unix)'.dev-dependencies]\ncrc32c = { version = \"1\" }\n";
    let good = "[workspace.dependencies]\nbytes = \"1\"\n[dependencies]\nbytes = { workspace = true, features = [\"serde\"] }\n";
    check(
        manifests::dependency_versions,
        "share-engine/Cargo.toml",
        bad,
        &[2, 3, 6],
        good,
    );
}

#[test]
fn packages_that_do_not_inherit_are_found() {
    let good = "[package]\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";
    let bad = good
        .replace("edition.workspace = true", "edition = \"2021\"")
        .replace("[lints]", "[lint]");
    check(
        manifests::inherited_keys,
        "share-engine/Cargo.toml",
        &bad,
        &[1, 1],
        good,
    );
    let older = "[workspace.package]\nrust-version = \"1.80\"\n";
    check(
        manifests::inherited_keys,
        "Cargo.toml",
        older,
        &[2],
        "[workspace.package]\nrust-version = \"1.95\"\n",
    );
}

#[test]
fn other_registries_are_found() {
    let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    let bad = format!("{good}source = \"git+https://github.com/a/b\"\n");
    check(manifests::lock_sources, "Cargo.lock", &bad, &[2], good);
}

fn package(name: &str, version: &str, licence: Option<&str>, direct: bool) -> Package {
    Package {
        workspace: ".".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.map(str::to_owned),
        direct,
    }
}

#[test]
fn forbidden_licences_are_found() {
    let packages = [
        package("good", "1.0.0", Some("MIT"), true),
        package("bad", "1.0.0", Some("AGPL-3.0-only"), false),
        package("none", "1.0.0", None, false),
    ];
    let found = dependencies::forbidden_licences(&packages);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].advice.starts_with("bad 1.0.0 has AGPL-3.0-only"));
}

#[test]
fn duplicates_are_found() {
    let doubled = [
        package("bytes", "1.0.0", None, true),
        package("bytes", "2.0.0", None, true),
    ];
    assert_eq!(dependencies::unlisted_duplicates(&doubled).len(), 1);
    let of_others = [
        package("bytes", "1.0.0", None, false),
        package("bytes", "2.0.0", None, false),
    ];
    assert_eq!(dependencies::unlisted_duplicates(&of_others), []);
    let no_longer = [package("sha2", "1.0.0", None, true)];
    assert_eq!(dependencies::unlisted_duplicates(&no_longer).len(), 1);
}
