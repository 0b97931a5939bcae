//! One broker: its folder, its ports, its process. A process that belongs to a test is ended when the test's process ends,
//! however that comes: a shell waits at the end of a pipe for it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, of_file};
use crate::options::Options;
use crate::{java, ready};

/// Where a broker listens, on loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) controller: u16,
    pub(crate) secured: Option<Secured>,
}

/// Where it listens besides: one with TLS and SASL, one with each of them alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secured {
    pub(crate) tls_sasl: u16,
    pub(crate) tls: u16,
    pub(crate) sasl: u16,
}

/// A broker, running or not.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) id: u32,
    pub(crate) ports: Ports,
    pub(crate) folder: PathBuf,
    pub(crate) process: Option<Process>,
}

impl Broker {
    /// All that it and its predecessors said.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts its process and does not wait. It may write its classes into a file when it ends well.
    pub(crate) fn spawn(&mut self, options: &Options, logging: &Path, writes: Option<&Path>) -> Result<(), Error> {
        if let Some(process) = &self.process {
            return Err(Error::RunsAlready {
                id: self.id,
                pid: process.child.id(),
            });
        }
        let (log_path, heap) = (self.log_path(), format!("-Xmx{}m", options.heap_mib));
        let append = || File::options().create(true).append(true).open(&log_path);
        let (out, err) = (
            append().map_err(of_file(&log_path))?,
            append().map_err(of_file(&log_path))?,
        );
        let mut command = java::command(options.version, &[&heap], !options.optimised)?;
        if let Some(classes) = writes {
            command.arg(format!("-XX:ArchiveClassesAtExit={}", classes.display()));
        }
        let configuration = if options.version.has_old_logging() {
            "log4j.configuration"
        } else {
            "log4j2.configurationFile"
        };
        command
            .arg(format!("-D{configuration}=file:{}", logging.display()))
            .arg(format!("-Dkafka.logs.dir={}", self.folder.display()))
            .arg("kafka.Kafka")
            .arg(self.properties())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        self.process = Some(Process::start(&mut command)?);
        Ok(())
    }

    /// Waits until it answers.
    pub(crate) fn wait_until_ready(&mut self, limit: Duration) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let ended = self.process.as_mut().map(Process::ended);
            if let None | Some(Some(_)) = ended {
                let status = ended
                    .flatten()
                    .map_or_else(|| "no process".to_owned(), |status| status.to_string());
                self.process = None;
                return Err(self.died(status));
            }
            let Err(seen) = ready::answers(self.ports.plain) else {
                return Ok(());
            };
            if began.elapsed() > limit {
                return Err(Error::Silent {
                    id: self.id,
                    limit,
                    seen,
                    log: self.log_path(),
                    tail: tail(&self.log()),
                });
            }
            // Nothing tells when it is ready: another process is.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn end_well(&mut self, limit: Duration) {
        if let Some(process) = self.process.take() {
            process.end_well(limit);
        }
    }

    fn died(&self, status: String) -> Error {
        let said = self.log();
        if let Some(port) = taken_port(&said) {
            return Error::PortTaken { port };
        }
        Error::Died {
            id: self.id,
            status,
            log: self.log_path(),
            tail: tail(&said),
        }
    }

    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A child that ends with this process, unless it is let go.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Ends the child when its standard input is closed.
    watcher: Option<Child>,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, Error> {
        // A group of its own: what ends the test from the keyboard leaves the end of the broker to the watcher.
        let child = command.process_group(0).spawn().map_err(|source| Error::Start {
            program: "java".to_owned(),
            source,
        })?;
        let mut process = Self { child, watcher: None };
        let watcher = Command::new("sh")
            .args(["-c", "trap '' INT TERM HUP; read -r end; kill -9 \"$1\"", "watcher"])
            .arg(process.child.id().to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        process.watcher = Some(watcher.map_err(|source| Error::Start {
            program: "sh".to_owned(),
            source,
        })?);
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end (SIGTERM) and waits for so long; then it is killed.
    fn end_well(mut self, limit: Duration) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let asked = pid.map(|pid| kill_process(pid, Signal::TERM));
        let began = Instant::now();
        while asked == Some(Ok(())) && self.ended().is_none() && began.elapsed() < limit {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// From now on nobody ends it.
    pub(crate) fn let_go(mut self) {
        self.dismiss_watcher();
        // The process goes on; there is nothing left for drop to do.
        std::mem::forget(self);
    }

    /// Before the child's number is free for another process.
    fn dismiss_watcher(&mut self) {
        if let Some(mut watcher) = self.watcher.take() {
            drop(watcher.kill());
            drop(watcher.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.dismiss_watcher();
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The last lines, where the cause of an end is, without the places in the code that it went through.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("\tat ")).collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}

/// Kafka names the address that it could not listen on.
fn taken_port(said: &str) -> Option<u16> {
    let line = said
        .lines()
        .rev()
        .find(|line| line.contains("Address already in use"))?;
    let address = line.split("127.0.0.1:").nth(1)?;
    let end = address
        .find(|byte: char| !byte.is_ascii_digit())
        .unwrap_or(address.len());
    address.get(..end)?.parse().ok()
}

const TAIL_LINES: usize = 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::zombie_processes, reason = "tests")]

    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn the_last_words_are_found() {
        let said =
            "one\n\tat some.Place(Place.java:1)\nfailed to bind to 127.0.0.1:21093: Address already in use.\n\tat x\n";
        assert_eq!(
            tail(said),
            "one\nfailed to bind to 127.0.0.1:21093: Address already in use."
        );
        assert_eq!(taken_port(said), Some(21_093));
        assert_eq!(taken_port("one"), None);
        assert_eq!(tail(&"line\n".repeat(100)).lines().count(), TAIL_LINES);
    }

    /// The test is a process that starts another process of itself, which starts a third and is killed.
    #[test]
    fn a_process_ends_with_the_one_that_started_it() {
        const CHILD: &str = "KAFKA_CLUSTER_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let mut sleeper = Command::new("sleep");
            let process = Process::start(sleeper.arg("100").stdin(Stdio::null()).stdout(Stdio::null())).unwrap();
            // Past the harness, which keeps what is printed.
            std::io::Write::write_all(&mut std::io::stderr(), format!("pid {}\n", process.pid()).as_bytes()).unwrap();
            std::thread::park();
        }
        let name = "broker::tests::a_process_ends_with_the_one_that_started_it";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let pid: u32 = lines
            .find_map(|line| line.unwrap().strip_prefix("pid ")?.parse().ok())
            .unwrap();
        let began = Instant::now();
        assert!(crate::standing::started(pid).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        while crate::standing::started(pid).is_some() {
            assert!(began.elapsed() < Duration::from_mins(1), "process {pid} goes on");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}
