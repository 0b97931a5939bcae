//! Keeps `docs/manifest.md` up to date with the key table; `UPDATE=1 cargo test -p sharemill` writes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_manifest_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest.md");
    let expected = sharemill::config::markdown();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &expected).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == expected,
        "docs/manifest.md is stale: run UPDATE=1 cargo test -p sharemill --test cli"
    );
}
