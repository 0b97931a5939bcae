//! Runs a page's commands as somebody at a terminal would: one after the other, in one folder after the other, with what they exported.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::compare::compare;

/// A shell in a place that has nothing of this user's.
pub(super) struct Shell {
    place: PathBuf,
    environment: Vec<(String, String)>,
    /// What goes on.
    running: Option<Running>,
}

/// A command that goes on, with a process group of its own.
struct Running {
    child: Child,
    /// Its output so far.
    said: PathBuf,
    /// Lines of it that were compared already.
    heard: usize,
}

/// What a command printed, and how it ended.
pub(super) struct Ended {
    pub(super) output: Vec<String>,
    pub(super) code: Option<i32>,
}

impl Shell {
    /// In an empty folder; `first` are folders to look for programs in.
    pub(super) fn new(place: &Path, first: &[PathBuf], more: &[(String, String)]) -> Result<Self> {
        for folder in ["home", "work", "tmp"] {
            fs::create_dir_all(place.join(folder))?;
        }
        let mut environment: Vec<(String, String)> = std::env::vars().filter(|(name, _)| is_kept(name)).collect();
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if std::env::var_os(name).is_none() {
                environment.push((name.to_owned(), text(&home.join(folder))));
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = first.iter().cloned().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders)?;
        environment.extend([
            ("PATH".to_owned(), path.to_string_lossy().into_owned()),
            ("HOME".to_owned(), text(&place.join("home"))),
            ("TMPDIR".to_owned(), text(&place.join("tmp"))),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]);
        environment.extend(more.iter().cloned());
        fs::write(place.join("state"), format!("cd {}\n", quoted(&place.join("work"))))?;
        Ok(Self {
            place: place.to_owned(),
            environment,
            running: None,
        })
    }

    /// Where it begins.
    pub(super) fn folder(&self) -> PathBuf {
        self.place.join("work")
    }

    /// Whether something goes on.
    pub(super) const fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Runs a command to its end; in another folder than the page is in, if there is one.
    pub(super) fn run(&self, command: &str, folder: Option<&Path>) -> Result<Ended> {
        let said = self.place.join("said");
        let keep = "code=$?; { export -p; echo \"cd '$PWD'\"; } > \"$DOCS_STATE\"; exit $code";
        let aside = folder.map_or_else(String::new, |folder| format!("cd {}\n", quoted(folder)));
        let keep = if folder.is_some() { "" } else { keep };
        let mut child = self.spawn(&format!("{aside}{command}\n{keep}"), &said)?;
        let status = wait(&mut child, LONGEST)?;
        Ok(Ended {
            output: lines(&said)?,
            code: status.code(),
        })
    }

    /// Starts a command that goes on, and waits until it has said what the page says.
    pub(super) fn stay(&mut self, command: &str, expected: &[String]) -> Result<Option<String>> {
        ensure!(self.running.is_none(), "something goes on already");
        let said = self.place.join("stays");
        let child = self.spawn(command, &said)?;
        self.running = Some(Running { child, said, heard: 0 });
        self.hear(expected)
    }

    /// Waits until what goes on has said this. What differs, if it does not.
    pub(super) fn hear(&mut self, expected: &[String]) -> Result<Option<String>> {
        let running = self
            .running
            .as_mut()
            .context("nothing goes on that could say something")?;
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = running.child.try_wait()?;
            let said = lines(&running.said)?;
            let new = said.get(running.heard..).unwrap_or_default();
            // What it says beside is not of this page.
            let found = (0..new.len().max(1)).find_map(|skipped| {
                let rest = new.get(skipped..)?;
                Some(skipped + compare(expected, rest, false, false).ok()?)
            });
            if let Some(heard) = found {
                running.heard += heard;
                return Ok(None);
            }
            if ended.is_some() || Instant::now() >= until {
                let differs = compare(expected, new, false, false).err().unwrap_or_default();
                return Ok(Some(format!("{differs}\nit said:\n{}", said.join("\n"))));
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// As Ctrl-C does.
    pub(super) fn interrupt(&mut self) -> Result<ExitStatus> {
        let mut running = self.running.take().context("nothing goes on")?;
        signal("INT", &running.child)?;
        wait(&mut running.child, PATIENCE)
    }

    fn spawn(&self, script: &str, said: &Path) -> Result<Child> {
        let out = fs::File::create(said)?;
        let state = self.place.join("state");
        let script = format!(". \"$DOCS_STATE\"\n{script}");
        Command::new("bash")
            .args(["--noprofile", "--norc", "-c", &script])
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("DOCS_STATE", state)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .context("cannot start bash")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = signal("KILL", &running.child);
            let _ = running.child.wait();
        }
    }
}

/// Which variables of this process commands may see: where toolchains are, and how the network is reached.
fn is_kept(name: &str) -> bool {
    const KEPT: [&str; 12] = [
        "RUSTUP_",
        "CARGO_HOME",
        "CARGO_BUILD_JOBS",
        "CARGO_INCREMENTAL",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "JAVA_HOME",
        "MAVEN_",
        "SSL_CERT_",
        "USER",
    ];
    let lower = name.to_ascii_lowercase();
    KEPT.iter().any(|kept| name.starts_with(kept)) || lower.ends_with("_proxy")
}

/// To all of its group.
fn signal(name: &str, child: &Child) -> Result<()> {
    let group = format!("-{}", child.id());
    let status = Command::new("kill")
        .args(["-s", name, "--", &group])
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "cannot send SIG{name}");
    Ok(())
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            signal("KILL", child)?;
            child.wait()?;
            bail!("it has not ended within {} s", limit.as_secs());
        }
        sleep(Duration::from_millis(10));
    }
}

fn lines(file: &Path) -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(OUTPUT_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// A command that builds may take its time.
const LONGEST: Duration = Duration::from_mins(10);
/// For what should be there at once.
const PATIENCE: Duration = Duration::from_secs(30);
const OUTPUT_MAX: u64 = 16 << 20;
