//! Components for tests: those that `cargo xtask guests` builds, and the hostile modules in text form.

use std::path::{Path, PathBuf};

/// The component of a guest of `guest-examples`; `SHAREMILL_GUESTS` names another folder than `target/guests`.
///
/// # Panics
/// If it is not built.
pub fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("SHAREMILL_GUESTS").map_or_else(|| root().join("target/guests"), PathBuf::from);
    let path = folder.join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing: run `cargo xtask guests`", path.display());
    path
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
