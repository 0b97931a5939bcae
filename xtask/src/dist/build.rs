//! The release build: the same bytes from every folder, and no path of the machine in them.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::guests;

/// Builds `sharemill` with all that users get, stripped. Its place is its own: the flags differ from those of other builds.
pub(super) fn release() -> Result<PathBuf> {
    let root = guests::root();
    let target = guests::target_dir().join("dist-build");
    let tools = target.join("tools");
    let path = env::var_os("PATH").unwrap_or_default();
    let compiler = env::split_paths(&path)
        .map(|folder| folder.join("cc"))
        .find(|file| file.is_file());
    write_compiler(&tools, &compiler.context("there is no C compiler `cc` in the PATH")?)?;
    let path = env::join_paths(std::iter::once(tools).chain(env::split_paths(&path)))?;
    let mut cargo = Command::new("cargo");
    // No other compiler than the one in front, and no other flags than those below.
    for (variable, _) in env::vars_os() {
        if is_of_a_tool(&variable.to_string_lossy()) {
            cargo.env_remove(&variable);
        }
    }
    let status = cargo
        .current_dir(&root)
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "sharemill",
            "--bin",
            "sharemill",
        ])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_ENCODED_RUSTFLAGS", remaps(&root, &target).join("\u{1f}"))
        .env("PATH", path)
        // OpenSSL keeps the time of its build, and is not built again for another commit.
        .env("SOURCE_DATE_EPOCH", "1")
        // Not that of the machine, which another one may lack.
        .env("LIBZ_SYS_STATIC", "1")
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building sharemill failed: the messages are above");
    Ok(target.join("release").join("sharemill"))
}

/// What builds of C and cargo's own profiles hear of.
fn is_of_a_tool(variable: &str) -> bool {
    let tool = variable.trim_start_matches("HOST_").trim_start_matches("TARGET_");
    let tools = ["CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "LDFLAGS"];
    let is_of = |name: &&str| tool == *name || tool.strip_prefix(*name).is_some_and(|rest| rest.starts_with('_'));
    tools.iter().any(is_of) || variable.starts_with("CARGO_PROFILE_")
}

/// Paths as the compiler writes them into messages of panics; a later one wins.
pub(super) fn remaps(root: &Path, target: &Path) -> Vec<String> {
    let home = |variable: &str, folder: &str| {
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(folder));
        env::var_os(variable).map(PathBuf::from).or(home)
    };
    let cargo = home("CARGO_HOME", ".cargo").map(|home| home.join("registry").join("src"));
    let mut pairs: Vec<(PathBuf, &str)> = vec![(root.to_path_buf(), "/sharemill"), (target.to_path_buf(), "/target")];
    // Each registry has a folder, named by its address.
    let registries = cargo.and_then(|folder| fs::read_dir(folder).ok());
    for registry in registries.into_iter().flatten().flatten() {
        pairs.push((registry.path(), "/crates"));
    }
    let flag = |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    pairs.into_iter().map(flag).collect()
}

/// A compiler for C in front of the machine's own. OpenSSL, as it is built here, would look for modules in the folder that it was
/// built in: a path of this machine, in which somebody else might put some on another one.
fn write_compiler(folder: &Path, own: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join("cc");
    fs::write(&file, format!("{COMPILER}exec '{}' \"$@\"\n", own.display()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

const COMPILER: &str = r#"#!/bin/sh
case "$*" in
*-DMODULESDIR=*) set -- "$@" -UMODULESDIR '-DMODULESDIR="/usr/lib/sharemill/ossl-modules"' ;;
esac
case "$*" in
*-DENGINESDIR=*) set -- "$@" -UENGINESDIR '-DENGINESDIR="/usr/lib/sharemill/engines-3"' ;;
esac
"#;
