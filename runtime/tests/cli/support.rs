//! Runs the real binary in a folder of its own and shows what it did as one text: exit code, stdout, stderr.
//! What differs from run to run (paths, process ids, versions) is replaced.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

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

    /// With a component file and this manifest.
    pub(crate) fn with_manifest(manifest: &str) -> Self {
        let folder = Self::new();
        folder.file("handler.wasm", "");
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

    /// Runs `sharemill` with these arguments and shows what it did.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_with_input(arguments, None)
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
