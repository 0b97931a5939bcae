//! `cargo xtask guests`: builds the handlers of `guest-examples` to components. Works on a new machine without a question,
//! and takes a second or two when nothing has changed. Other commands call [`build`] for the components that they need.
pub(crate) mod toolchain;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

pub(crate) use toolchain::Source;
use toolchain::Toolchain;

/// Prepare the Wasm target and build the guests.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the components go, NAME.wasm each; relative to the repository [default: target/guests].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also test the SDK, compare its bindings with wit/, componentize the hostile .wat modules (into DIR/wat) and validate
    /// every component.
    #[arg(long)]
    check: bool,
    /// Where the Wasm target comes from.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Source,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let out = match &arguments.out {
        Some(out) => root().join(out),
        None => default_out(),
    };
    let components = build(&out, arguments.toolchain)?;
    if arguments.check {
        check(&out, &components)?;
    }
    say(&format!("{} components in {}", components.len(), out.display()));
    Ok(())
}

/// What `--check` does, where other commands find the components.
pub(crate) fn build_and_check() -> Result<()> {
    run(&Arguments {
        out: None,
        check: true,
        toolchain: Source::default(),
    })
}

/// Builds every guest and returns the paths of the components, sorted by name.
pub(crate) fn build(out: &Path, source: Source) -> Result<Vec<PathBuf>> {
    build_in(&root().join("guest-examples"), &build_dir(), &[], out, source)
}

/// The same of a copy of their workspace, in another target folder, with flags for the compiler.
pub(crate) fn build_in(
    workspace: &Path,
    target: &Path,
    flags: &[String],
    out: &Path,
    source: Source,
) -> Result<Vec<PathBuf>> {
    let toolchain = Toolchain::prepare(source)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    // Tests build a project as a user would, with the compiler that was found here.
    let compiler = out.join("rustc");
    fs::write(&compiler, toolchain.compiler()).with_context(|| format!("cannot write {}", compiler.display()))?;
    let mut components = Vec::new();
    for group in &GROUPS {
        say(&format!("build {} ({})", group.what, group.expected));
        let start = Instant::now();
        for (name, wasm) in build_group(&toolchain, group, workspace, target, flags)? {
            let component = out.join(format!("{name}.wasm"));
            copy_if_changed(&wasm, &component)?;
            components.push(component);
        }
        say(&format!("  done in {:.1} s", start.elapsed().as_secs_f64()));
    }
    components.sort();
    Ok(components)
}

/// Where [`run`] puts the components when it is not told.
pub(crate) fn default_out() -> PathBuf {
    target_dir().join("guests")
}

/// Packages that one cargo command builds. Features unify inside a command: what must not get another guest's features of
/// the SDK is a group of its own.
struct Group {
    what: &'static str,
    expected: &'static str,
    selection: &'static [&'static str],
    target: &'static str,
}

const GROUPS: [Group; 3] = [
    Group {
        what: "the example and hostile guests",
        expected: "about 30 s the first time, then 1 s",
        selection: &[
            "--workspace",
            "--exclude",
            "bench-accept",
            "--exclude",
            "bench-accept-lean",
        ],
        target: toolchain::WASIP2,
    },
    Group {
        what: "bench-accept",
        expected: "about 5 s the first time, then 1 s",
        selection: &["--package", "bench-accept"],
        target: toolchain::WASIP2,
    },
    Group {
        what: "bench-accept-lean",
        expected: "about 5 s the first time, then 1 s",
        selection: &["--package", "bench-accept-lean"],
        target: toolchain::UNKNOWN,
    },
];

/// Name and built file of every component of the group.
fn build_group(
    toolchain: &Toolchain,
    group: &Group,
    workspace: &Path,
    target: &Path,
    flags: &[String],
) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = toolchain.cargo();
    if !flags.is_empty() {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    }
    let output = cargo
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ])
        .args(["--target", group.target, "--target-dir"])
        .arg(target)
        .args(group.selection)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "building {} failed", group.what);
    let mut built = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line).context("cargo wrote something that is not JSON")?;
        built.extend(component_of(&message));
    }
    ensure!(!built.is_empty(), "cargo built no component for {}", group.what);
    Ok(built)
}

/// The component that a message of cargo reports, if it reports one.
fn component_of(message: &Value) -> Option<(String, PathBuf)> {
    if message.get("reason")? != "compiler-artifact" {
        return None;
    }
    let files = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .map(Path::new);
    let file = files
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))?;
    let name = message.get("target")?.get("name")?.as_str()?.replace('_', "-");
    Some((name, file.to_path_buf()))
}

/// Leaves an unchanged component's time stamp alone, for whoever caches by it.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    // Two runs at once, and readers meanwhile: a component is there whole or not at all.
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

fn check(out: &Path, components: &[PathBuf]) -> Result<()> {
    say("lint the SDK and the guests (about 40 s the first time, then 2 s)");
    for workspace in ["guest-sdk/rust", "guest-examples"] {
        native_cargo(
            workspace,
            &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
            &[],
        )?;
    }
    say("test the SDK and the examples (about 20 s the first time, then 2 s)");
    native_cargo("guest-sdk/rust", &["test", "--package", "sharemill-handler"], &[])?;
    native_cargo("guest-examples", &["test", "--package", "enrich"], &[])?;
    say("compare the SDK's bindings with wit/ (about 25 s the first time, then 1 s)");
    let wit = root().join("wit");
    sdk_tool(&["bindings", "--check", "--wit"], std::slice::from_ref(&wit))?;
    let mut modules = Vec::new();
    for entry in fs::read_dir(root().join("guest-examples/hostile-wat"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            modules.push(path);
        }
    }
    modules.sort();
    let wat_out = out.join("wat");
    fs::create_dir_all(&wat_out)?;
    let mut arguments = vec![wit, PathBuf::from("--out"), wat_out];
    arguments.extend(modules);
    sdk_tool(&["componentize", "--wit"], &arguments)?;
    sdk_tool(&["inspect", "--quiet"], components)
}

fn sdk_tool(command: &[&str], arguments: &[PathBuf]) -> Result<()> {
    let mut line = vec!["run", "--package", "sdk-tool", "--"];
    line.extend(command);
    native_cargo("guest-sdk/rust", &line, arguments)
}

/// The active toolchain's cargo, for the host itself.
fn native_cargo(workspace: &str, command: &[&str], arguments: &[PathBuf]) -> Result<()> {
    let Some((subcommand, rest)) = command.split_first() else {
        bail!("no command")
    };
    let status = Command::new("cargo")
        .current_dir(root().join(workspace))
        .args([subcommand, "--locked", "--quiet"])
        .args(rest)
        .args(arguments)
        .env("CARGO_TARGET_DIR", build_dir())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo {} failed in {workspace}", command.join(" "));
    Ok(())
}

pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The guests' own: their profile and their compiler differ from the host's.
fn build_dir() -> PathBuf {
    target_dir().join("guests-build")
}

/// Progress goes to standard error; a closed one is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "guests: {text}");
}
