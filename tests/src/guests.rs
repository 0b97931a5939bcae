//! Components for tests: those that `cargo xtask guests` builds, and the hostile modules in text form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Cargo with the compiler that built the guests, in a project as users have them. It builds where the guests are built, which have the
/// same dependencies.
///
/// # Panics
/// If no guest was built.
pub fn cargo(project: &Path) -> Command {
    let folder = root().join("target/guests");
    let compiler = fs::read_to_string(folder.join("rustc"))
        .unwrap_or_else(|error| panic!("{} rustc: {error}: run `cargo xtask guests`", folder.display()));
    let mut command = Command::new("cargo");
    command.current_dir(project).env("CARGO_TARGET_DIR", builds());
    // What the cargo of this test has set for its own compiler.
    for name in [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    if !compiler.is_empty() {
        command.env("RUSTC", compiler);
    }
    command
}

/// Where [`cargo`] puts what it builds.
pub fn builds() -> PathBuf {
    root().join("target/guests-build")
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
