//! Keeps `docs/manifest.md` and `docs/metrics.md` up to date with the tables that they are made from;
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
