//! `sharemill run` as a process of ours: started, asked, killed, stopped. It never outlives the demo: dropping it kills it,
//! and a watchdog kills it if the demo itself is ended in a way that drops nothing.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::environment;
use super::files::Room;
use super::metrics::Scrape;
use super::pause;

/// A running host.
pub(super) struct Host {
    process: Child,
    watchdog: Child,
    log: PathBuf,
    address: String,
}

/// The first start compiles three components.
const START_LIMIT: Duration = Duration::from_mins(3);
/// Above the manifest's drain timeout.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// Waits for the end of its standard input, which comes when the demo ends in whatever way, then kills the host.
const WATCHDOG: &str = "trap '' HUP INT TERM; read line; kill -9 \"$1\" 2>/dev/null";

impl Host {
    /// Starts the host's `life`th life and waits until it runs.
    pub(super) fn start(binary: &Path, room: &Room, life: u32) -> Result<Self> {
        let log = room.log(life);
        let process = program(binary)
            .args(["run", "--metrics", "127.0.0.1:0", "--log-format", "json", "--manifest"])
            .arg(&room.manifest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .spawn()
            .context("cannot start sharemill run")?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &process.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let mut process = process;
        let watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(error).context("cannot start sh");
            }
        };
        let mut host = Self {
            process,
            watchdog,
            log,
            address: String::new(),
        };
        host.address = host.wait_until_running()?;
        Ok(host)
    }

    pub(super) fn scrape(&self) -> Result<Scrape> {
        Scrape::of(&self.address)
    }

    /// SIGKILL: nothing is told, nothing is flushed.
    pub(super) fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// SIGTERM, and exit code 0 in time.
    pub(super) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let id = id.context("the host has no process id")?;
        kill_process(id, Signal::TERM).context("cannot send SIGTERM to the host")?;
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "{}", self.ended(status));
                return Ok(());
            }
            ensure!(
                start.elapsed() < STOP_LIMIT,
                "the host does not stop; its log is {}",
                self.log.display()
            );
            pause(LOOK);
        }
    }

    /// Fails if the host has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!(self.ended(status)),
            None => Ok(()),
        }
    }

    /// The address of the metrics, once the host says that it runs.
    fn wait_until_running(&mut self) -> Result<String> {
        let start = Instant::now();
        loop {
            // It may end within a character.
            let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
            let mut address = None;
            for line in text.lines() {
                // The last line may be half written.
                let Ok(line) = serde_json::from_str::<Value>(line) else {
                    continue;
                };
                let Some(fields) = line.get("fields") else { continue };
                match fields.get("message").and_then(Value::as_str) {
                    Some("metrics are served") => {
                        address = fields.get("address").and_then(Value::as_str).map(str::to_owned);
                    }
                    Some("running") => return address.context("the host does not say where its metrics are"),
                    _ => {}
                }
            }
            self.check()?;
            ensure!(
                start.elapsed() < START_LIMIT,
                "the host does not start; its log is {}",
                self.log.display()
            );
            pause(LOOK);
        }
    }

    fn ended(&self, status: ExitStatus) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!(
            "the host ended with {status}; the end of {}:\n{}",
            self.log.display(),
            last.join("\n")
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The watchdog first: it must not find the host's id in other hands.
        for process in [&mut self.watchdog, &mut self.process] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// This program, with nothing of the user's settings: the demo's manifest has them all.
pub(super) fn program(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for name in [
        environment::MANIFEST,
        environment::DATA_DIR,
        environment::METRICS,
        environment::LOG,
        environment::LOG_FORMAT,
    ] {
        command.env_remove(name);
    }
    command
}

/// What a query of the command line answers.
pub(super) fn ask(binary: &Path, room: &Room, arguments: &[&str]) -> Result<Value> {
    let output = program(binary)
        .args(arguments)
        .args(["--format", "json", "--manifest"])
        .arg(&room.manifest)
        .stdin(Stdio::null())
        .output()
        .context("cannot start sharemill")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "sharemill {} failed:\n{errors}",
        arguments.join(" ")
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("sharemill {} printed no JSON", arguments.join(" ")))
}
