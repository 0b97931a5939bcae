//! Where the standard library for wasm32-wasip2 comes from: the active toolchain (`rustup target add`), or, where rustup
//! cannot download, Debian's compiler for browsers with a standard library built here from Debian's sources. Whatever
//! it is, it has compiled a probe before a guest is built with it.
mod debian;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::say;

/// The target of ordinary guests.
pub(super) const WASIP2: &str = "wasm32-wasip2";

/// The target of guests without WASI.
pub(super) const UNKNOWN: &str = "wasm32-unknown-unknown";

const TARGETS: [&str; 2] = [WASIP2, UNKNOWN];

/// Where the Wasm target comes from.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// What is there; then rustup; then Debian.
    #[default]
    Auto,
    /// The active toolchain, with `rustup target add`.
    Rustup,
    /// Debian's rustc-web (x86-64, as root unless its packages are installed).
    Debian,
}

/// A compiler that has a standard library for the guests' target.
pub(super) enum Toolchain {
    /// The one that cargo uses anyway.
    Active,
    /// This compiler, with the active toolchain's cargo.
    Compiler(PathBuf),
}

impl Toolchain {
    /// Finds or makes one.
    pub(super) fn prepare(source: Source) -> Result<Self> {
        let debian = Self::Compiler(debian::compiler()?);
        if source != Source::Debian && Self::Active.works() {
            return Ok(Self::Active);
        }
        if source != Source::Rustup && debian.works() {
            return Ok(debian);
        }
        if source != Source::Debian {
            say(&format!(
                "rustup target add {} (about 5 s, 90 s at most)",
                TARGETS.join(" ")
            ));
            if add_target() && Self::Active.works() {
                return Ok(Self::Active);
            }
            if source == Source::Rustup {
                bail!("`rustup target add {WASIP2}` did not give a working target");
            }
            say("  rustup could not download it");
        }
        debian::make()?;
        if debian.works() {
            return Ok(debian);
        }
        bail!(
            "the compiler that was made in {} does not compile for {WASIP2}",
            debian::sysroot()?.display()
        )
    }

    /// The cargo that builds guests with this toolchain.
    pub(super) fn cargo(&self) -> Command {
        let mut command = clean("cargo");
        // Makes a component of the module, as the other target's linker does by itself.
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld");
        if let Self::Compiler(rustc) = self {
            command.env("RUSTC", rustc);
        }
        command
    }

    /// What `RUSTC` is to be; empty for the active toolchain's own.
    pub(super) fn compiler(&self) -> String {
        match self {
            Self::Active => String::new(),
            Self::Compiler(rustc) => rustc.display().to_string(),
        }
    }

    /// Compiles a probe for each target: 50 ms, and no stamp can be wrong.
    fn works(&self) -> bool {
        TARGETS.into_iter().all(|target| self.compiles_for(target))
    }

    fn compiles_for(&self, target: &str) -> bool {
        let mut command = match self {
            Self::Active => clean("rustc"),
            Self::Compiler(rustc) if rustc.exists() => clean(rustc),
            Self::Compiler(_) => return false,
        };
        let metadata = std::env::temp_dir().join(format!("sharemill-probe-{}.rmeta", std::process::id()));
        command.args([
            "--crate-name",
            "probe",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--target",
            target,
            "-o",
        ]);
        let child = command
            .arg(&metadata)
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let works = child.and_then(|mut child| {
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(b"pub fn probe() -> String { String::new() }")?;
            }
            child.wait()
        });
        let _ = std::fs::remove_file(metadata);
        works.is_ok_and(|status| status.success())
    }
}

/// A command without what the cargo that runs this program has set for its own compiler.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

fn add_target() -> bool {
    let mut command = clean("rustup");
    command
        .args(["target", "add"])
        .args(TARGETS)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    wait(command, Duration::from_secs(90)).is_ok_and(|status| status.success())
}

/// Runs the command to its end, or kills it: rustup tries a dead network again and again.
fn wait(mut command: Command, limit: Duration) -> Result<ExitStatus> {
    let mut child = command.spawn().context("cannot start rustup")?;
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            bail!("no answer within {} s", limit.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Runs a command whose output nobody wants unless it fails.
fn run(command: &mut Command, what: &str) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start: {what}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!(
        "{what} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )
}

fn link(original: &Path, link: &Path) -> Result<()> {
    let made = std::os::unix::fs::symlink(original, link);
    made.with_context(|| format!("cannot link {} to {}", link.display(), original.display()))
}
