//! Components for tests: those that `cargo xtask guests` builds, and the hostile modules in text form.

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

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

/// The component of a module of `guest-examples/hostile-wat`, made on the spot.
pub fn hostile_wat(name: &str) -> Vec<u8> {
    let path = root()
        .join("guest-examples/hostile-wat")
        .join(name)
        .with_extension("wat");
    let mut module = wat::parse_file(&path).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("handler")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).unwrap();
    encoder.encode().unwrap()
}

/// A component that exports nothing.
pub fn without_exports() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

/// An empty core module.
pub fn core_module() -> Vec<u8> {
    wat::parse_str("(module)").unwrap()
}
