//! Keeps the pages of `docs/` that are made from tables up to date with these;
//! `UPDATE=1 cargo test -p sharemill --test cli` writes them anew.

use std::fs;
use std::path::Path;

fn check(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == expected,
        "docs/{page} is stale: run UPDATE=1 cargo test -p sharemill --test cli"
    );
}

#[test]
fn the_manifest_reference_is_current() {
    check("manifest.md", &sharemill::config::markdown());
}

#[test]
fn the_metrics_reference_is_current() {
    check("metrics.md", &sharemill::metrics::markdown());
}

#[test]
fn the_commands_reference_is_current() {
    check("commands.md", &sharemill::cli::reference::commands());
}

#[test]
fn the_codes_reference_is_current() {
    check("codes.md", &sharemill::cli::reference::codes());
}

/// What the table says is what is sent.
#[test]
fn error_codes_are_named_as_in_json() {
    for code in sharemill::admin::ErrorCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.name());
    }
}
