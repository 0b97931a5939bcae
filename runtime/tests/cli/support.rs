//! Runs the real binary in a folder of its own and shows what it did as one text: exit code, stdout, stderr.
//! What differs from run to run (paths, process ids, versions) is replaced.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A handler whose `handle` has this body; the outcome lies at the address that it leaves.
pub(crate) fn component(body: &str) -> Vec<u8> {
    component_of("handler", &[], &handler_module("", body))
}

/// The core module of a handler.
pub(crate) fn handler_module(imports: &str, body: &str) -> String {
    const HANDLE: &str = "sharemill:worker/record-handler@0.1.0#handle";
    format!(
        r#"(module {imports}
          (memory (export "memory") 1)
          (global $heap (mut i32) (i32.const 4096))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $heap (i32.add (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)) (local.get 3)))
            (i32.sub (global.get $heap) (local.get 3)))
          (data (i32.const 512) "no price")
          (func (export "{HANDLE}")
            (param i64 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {body}))"#
    )
}

/// A component of a world: of the worker's package, or of the last of `packages`.
pub(crate) fn component_of(world: &str, packages: &[&str], module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let wit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/worker.wit")).unwrap();
    let mut package = resolve.push_str("worker.wit", &wit).unwrap();
    for text in packages {
        package = resolve.push_str("test.wit", text).unwrap();
    }
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// Leaves an outcome that accepts.
pub(crate) const ACCEPT: &str = "(i32.store8 (i32.const 16) (i32.const 0)) (i32.const 16)";

/// Leaves an outcome that rejects: tag 2, a present reason of 8 bytes at 512; the payload of the outcome is aligned to 8.
pub(crate) const REJECT: &str = "(i32.store8 (i32.const 16) (i32.const 2)) (i32.store8 (i32.const 24) (i32.const 1))
    (i32.store (i32.const 28) (i32.const 512)) (i32.store (i32.const 32) (i32.const 8)) (i32.const 16)";

/// A folder with a manifest and what it names.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    /// With a handler, which accepts, in handler.wasm, and this manifest.
    pub(crate) fn with_manifest(manifest: &str) -> Self {
        let folder = Self::new();
        fs::write(folder.path().join("handler.wasm"), component(ACCEPT)).unwrap();
        folder.file("sharemill.toml", manifest);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// As [`Folder::with_manifest`], with the guest of this name beside it.
    pub(crate) fn with_guest(name: &str, manifest: &str) -> Self {
        let folder = Self::with_manifest(manifest);
        folder.guest(name);
        folder
    }

    /// Puts the guest of this name there.
    pub(crate) fn guest(&self, name: &str) {
        let guests = std::env::var_os("SHAREMILL_GUESTS").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/guests")),
            PathBuf::from,
        );
        let file = format!("{name}.wasm");
        fs::copy(guests.join(&file), self.path().join(&file)).expect("run `cargo xtask guests`");
    }

    /// Names of what lies there.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.path())
    }

    /// Runs `sharemill` with these arguments and shows what it did.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_with_input(arguments, None)
    }

    /// Runs it in the place of a shell, after what that did, and shows what it said of its failure.
    pub(crate) fn run_after(&self, script: &str, arguments: &[&str]) -> String {
        let own = self.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{script}; exec \"$@\""), "sh"]);
        shell.arg(own.get_program()).args(arguments);
        let output = shell.current_dir(self.path()).env("NO_COLOR", "1").output().unwrap();
        let told = self.filtered(&String::from_utf8_lossy(&output.stderr));
        format!("exit {}\n--- stderr\n{told}", output.status.code().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: Option<&str>) -> String {
        let mut child = self
            .command(arguments)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .spawn()
            .unwrap();
        if let Some(input) = input {
            // The command may end before it has read everything.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| self.filtered(&String::from_utf8_lossy(bytes));
        let mut shown = format!("exit {}\n", output.status.code().unwrap());
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                shown.push_str(&format!("--- {name}\n{}", text(bytes)));
            }
        }
        shown
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sharemill"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path().join("someone"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn filtered(&self, text: &str) -> String {
        // Blanks at the end of a line say nothing and get lost in editors.
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        text.replace(&self.dir.path().display().to_string(), "[DIR]")
            .replace(&std::process::id().to_string(), "[PID]")
            .replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
    }
}

/// Names of what lies in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
