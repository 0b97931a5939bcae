//! A folder with a manifest and components, and commands that run in it. Owned by one test, removed with it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::guests;

/// A folder with a manifest.
#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The standard output of a command that succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// A failure with this exit code whose message holds all of these.
    #[track_caller]
    pub fn failure(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Folder {
    /// With this manifest; the table `host` is the harness's own.
    pub fn new(manifest: &str) -> Self {
        Self::with_host("", manifest)
    }

    /// As [`Folder::new`], with keys of table `host`.
    pub fn with_host(host: &str, manifest: &str) -> Self {
        let folder = Self {
            dir: TempDir::new().unwrap(),
        };
        // Components are compiled once for all tests of a machine.
        let cache = beside().join("component-cache");
        let host = format!("[host]\ncache-dir = {:?}\n{host}\n", cache.display().to_string());
        folder.file("sharemill.toml", format!("{host}\n{manifest}"));
        folder
    }

    /// With a built guest in it.
    #[must_use]
    pub fn guest(self, name: &str) -> Self {
        fs::copy(guests::built(name), self.path().join(name).with_extension("wasm")).unwrap();
        self
    }

    /// With another manifest, made of the one there is.
    #[must_use]
    pub fn manifest(self, change: impl FnOnce(String) -> String) -> Self {
        let path = self.path().join("sharemill.toml");
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The command with these arguments, in this folder, with nothing of the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(beside().join("sharemill-under-test"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// As [`Folder::command`], started by another program.
    pub fn command_under(&self, program: &[&str], arguments: &[&str]) -> Command {
        let plain = self.command(arguments);
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            // Where the other program is found.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// As [`Folder::run`], with something on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // The command may end before it has read everything.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Appends lines to a topic, one record each; every one must be stored.
    #[track_caller]
    pub fn produce(&self, topic: &str, values: &[&str]) {
        let input = values.join("\n");
        self.run_with_input(&["produce", topic], &input).success();
    }
}

/// A program of the harness, beside the host's.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(beside().join(name));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Where cargo puts what it builds: test binaries are one folder further down.
fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().to_path_buf()
}

/// What traces a program whose syncs fail as `inject` says, for [`Folder::command_under`]. The tracer is a grandchild, so that the process
/// is the program's own. The syncs are told in [`SYNC_CALLS`].
pub fn failing_syncs(inject: &str) -> [&str; 11] {
    [
        "strace",
        "-D",
        "-f",
        "-qqq",
        "--seccomp-bpf",
        "-e",
        "trace=fdatasync",
        "-e",
        inject,
        "-o",
        SYNC_CALLS,
    ]
}

/// In the folder.
pub const SYNC_CALLS: &str = "calls";
