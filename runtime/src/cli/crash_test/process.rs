//! A child process of a crash test: its lines, how it is killed, and how it came to its end.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use super::said::{Said, Task};
use crate::output;

/// A process that runs. Ends with its value at the latest.
pub(super) struct Child {
    process: std::process::Child,
    says: Receiver<Said>,
    /// Returns what it complained of last.
    complaints: Option<JoinHandle<Option<String>>>,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) status: io::Result<ExitStatus>,
    /// The last that it wrote to standard error.
    pub(super) complaint: Option<String>,
}

/// Lines that the reader may be ahead.
const AHEAD: usize = 4_096;

impl Child {
    /// Starts a program with its arguments, and tells it what to do.
    ///
    /// # Errors
    /// In words: the system does not start another process or thread.
    pub(super) fn start(program: &[OsString], task: &Task) -> Result<Self, String> {
        let cannot = |error| format!("cannot start another process of this program: {error}");
        let (name, arguments) = program.split_first().ok_or_else(|| "no program".to_owned())?;
        let process = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is meant for the parent.
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        let (sender, says) = sync_channel(AHEAD);
        let mut child = Self {
            process,
            says,
            complaints: None,
        };
        let (stdout, stderr) = (child.process.stdout.take(), child.process.stderr.take());
        let thread = |name: &str| Builder::new().name(format!("crash-test-{name}"));
        let body = move || stdout.map(|stdout| hear(stdout, &sender));
        thread("reader").spawn(body).map_err(cannot)?;
        let body = move || stderr.and_then(pass_on);
        child.complaints = Some(thread("errors").spawn(body).map_err(cannot)?);
        let task = serde_json::to_string(task).unwrap_or_default();
        child.tell(&task);
        Ok(child)
    }

    /// A line on its standard input. One that is gone already is noticed by its silence.
    pub(super) fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.process.stdin {
            let _ = stdin.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// What it says next.
    pub(super) fn says(&self, within: Duration) -> Result<Said, RecvTimeoutError> {
        self.says.recv_timeout(within)
    }

    /// SIGKILL; then everything that it had still said, and how it ended.
    pub(super) fn kill(mut self, hear: impl FnMut(Said)) -> Death {
        // It may have ended by itself.
        let _ = self.process.kill();
        self.says.iter().for_each(hear);
        self.end()
    }

    /// Waits for its end, which is near: it has closed its standard output.
    pub(super) fn end(mut self) -> Death {
        let status = self.process.wait();
        let complaints = self.complaints.take();
        Death {
            status,
            complaint: complaints.and_then(|reader| reader.join().ok()).flatten(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line without an end is one that the child was killed in.
fn hear(stdout: impl Read, sender: &SyncSender<Said>) {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        let said = serde_json::from_slice(&line);
        let said = said.unwrap_or_else(|error| Said::Failed(format!("it said what nobody understands: {error}")));
        if sender.send(said).is_err() {
            return;
        }
        line.clear();
    }
}

/// Shows the child's errors to the user; returns the last.
fn pass_on(stderr: impl Read) -> Option<String> {
    let mut last = None;
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        output::message(&line);
        // After the message of a panic comes how to get a backtrace.
        if !line.trim().is_empty() && !line.starts_with("note: ") {
            last = Some(line);
        }
    }
    last
}

impl Death {
    fn signal(&self) -> Option<i32> {
        self.status.as_ref().ok()?.signal()
    }

    pub(super) fn is_kill(&self) -> bool {
        self.signal() == Some(Signal::KILL.as_raw())
    }

    /// By a signal that no process sends itself.
    pub(super) fn is_from_outside(&self) -> bool {
        let outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
        self.signal()
            .is_some_and(|signal| outside.iter().any(|one| one.as_raw() == signal))
    }

    pub(super) fn in_words(&self) -> String {
        let status = match &self.status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        match &self.complaint {
            Some(complaint) => format!("{status}: {complaint}"),
            None => status,
        }
    }
}
