//! A compiler with a Wasm standard library out of Debian packages: rustc-web knows all Wasm targets but has no library for
//! them; rust-web-src has the library's sources of exactly this version; wasi-libc has the C parts. The library is built
//! once into a sysroot in the cache folder. Linkers come from the active toolchain. The sysroot appears by one rename,
//! under a lock, so that two runs at once and a killed run do no harm.
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{clean, link, run};
use crate::guests::say;

/// The compiler's path, whether it is there or not.
pub(super) fn compiler() -> Result<PathBuf> {
    Ok(sysroot()?.join("bin/rustc"))
}

/// `$XDG_CACHE_HOME/wasm-guests` or `~/.cache/wasm-guests`.
pub(super) fn sysroot() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    Ok(cache
        .or_else(home)
        .context("there is no home folder to keep the Wasm toolchain in")?
        .join("wasm-guests"))
}

/// Installs the packages and builds the sysroot.
pub(super) fn make() -> Result<()> {
    let supported = cfg!(all(target_os = "linux", target_arch = "x86_64")) && Path::new("/usr/bin/apt-get").exists();
    ensure!(
        supported,
        "without rustup's downloads the guests' target can be made on Debian x86-64 only"
    );
    let sysroot = sysroot()?;
    let parent = sysroot.parent().unwrap_or(&sysroot);
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let lock = File::create(sysroot.with_extension("lock")).context("cannot create the lock of the Wasm toolchain")?;
    lock.lock().context("cannot lock the Wasm toolchain")?;

    install_packages()?;
    say("build the standard library for wasm32 (about 80 s, once)");
    let fresh = sysroot.with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    lay_out(&fresh)?;
    for target in super::TARGETS {
        build_library(&fresh, target)?;
    }
    let _ = fs::remove_dir_all(fresh.join("build"));
    let _ = fs::remove_dir_all(&sysroot);
    fs::rename(&fresh, &sysroot).with_context(|| format!("cannot put {} in place", sysroot.display()))
}

fn install_packages() -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("apt-get install {} (140 MB, about 40 s)", missing.join(" ")));
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        command
    };
    let hint =
        "installing Debian packages takes root; or run `rustup target add wasm32-wasip2` where rustup can download";
    run(apt().arg("update"), "apt-get update").context(hint)?;
    run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing),
        "apt-get install",
    )
    .context(hint)?;
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let state = run(
        Command::new("dpkg-query").args(["-W", "-f=${db:Status-Abbrev}", package]),
        "dpkg-query",
    );
    state.is_ok_and(|state| state.starts_with("ii"))
}

/// Everything of the sysroot but the Wasm libraries.
fn lay_out(sysroot: &Path) -> Result<()> {
    let host = sysroot.join("lib/rustlib").join(HOST);
    fs::create_dir_all(host.join("bin"))?;
    fs::create_dir_all(sysroot.join("bin"))?;
    link(&Path::new(DEBIAN_RUSTLIB).join(HOST).join("lib"), &host.join("lib"))?;
    link(&Path::new(DEBIAN_RUSTLIB).join("src"), &sysroot.join("lib/rustlib/src"))?;
    let active = run(clean("rustc").args(["--print", "sysroot"]), "rustc --print sysroot")?;
    let linkers = Path::new(active.trim()).join("lib/rustlib").join(HOST).join("bin");
    for linker in ["rust-lld", "wasm-component-ld", "gcc-ld"] {
        link(&linkers.join(linker), &host.join("bin").join(linker))?;
    }
    let rustc = sysroot.join("bin/rustc");
    fs::write(&rustc, WRAPPER)?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Builds the standard library for one target, as a dependency of an empty crate, and copies it into the sysroot.
fn build_library(sysroot: &Path, target: &str) -> Result<()> {
    let build = sysroot.join("build");
    fs::create_dir_all(build.join("src"))?;
    fs::write(build.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        build.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n",
    )?;
    // A released compiler builds its own library by unstable means; guests are compiled without them.
    let mut cargo = clean("cargo");
    cargo
        .current_dir(&build)
        .env("RUSTC", sysroot.join("bin/rustc"))
        .env("RUSTC_BOOTSTRAP", "1");
    cargo
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", build.join("target"));
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--target",
        target,
        "-Zbuild-std=std,panic_abort",
    ]);
    run(&mut cargo, &format!("building the standard library for {target}"))?;

    let library = sysroot.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(library.join("self-contained"))?;
    for entry in fs::read_dir(build.join("target").join(target).join("release/deps"))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_library = entry.path().extension().is_some_and(|extension| extension == "rlib");
        if is_library && !name.to_string_lossy().starts_with("libempty-") {
            fs::copy(entry.path(), library.join(name))?;
        }
    }
    if target == super::WASIP2 {
        for file in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
            let from = Path::new(WASI_LIBC).join(file);
            let copied = fs::copy(&from, library.join("self-contained").join(file));
            copied.with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "wasi-libc"];
const HOST: &str = "x86_64-unknown-linux-gnu";
const DEBIAN_RUSTLIB: &str = "/usr/lib/rustlib";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// Finds its sysroot beside itself, so that the folder can be renamed.
const WRAPPER: &str =
    "#!/bin/sh\nexec /usr/bin/rustc --sysroot \"$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\" \"$@\"\n";
