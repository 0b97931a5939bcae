//! A running `sharemill run`. What it writes to standard error is read as it comes, so that a test waits for a line
//! instead of for time. Ends with the test at the latest.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{AMPLE, Folder, until};

/// The process.
#[derive(Debug)]
pub struct Host {
    child: Child,
    said: Arc<Said>,
    reader: Option<JoinHandle<()>>,
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stderr: String,
}

#[derive(Debug, Default)]
struct Said {
    text: Mutex<Text>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    text: String,
    ended: bool,
}

impl Host {
    /// Starts it and waits until it runs.
    pub fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let host = Self::spawn(folder, arguments, &[]);
        host.wait_for(RUNNING);
        host
    }

    /// Starts it in an address space of so many bytes and waits until it runs.
    pub fn start_within(folder: &Folder, bytes: u64) -> Self {
        let host = Self::spawn_under(folder, &["prlimit", &format!("--as={bytes}")], &[]);
        host.wait_for(RUNNING);
        host
    }

    /// Starts it with these environment variables and does not wait.
    pub fn spawn(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["run"], arguments].concat();
        let mut command = folder.command(&arguments);
        command.envs(environment.iter().copied());
        Self::of(command)
    }

    /// Starts it by another program, which must leave it the process, and does not wait.
    pub fn spawn_under(folder: &Folder, program: &[&str], arguments: &[&str]) -> Self {
        let arguments = [&["run"], arguments].concat();
        Self::of(folder.command_under(program, &arguments))
    }

    /// Any other program that tells on standard error what it does.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Said::default());
        let (stderr, heard) = (child.stderr.take().unwrap(), said.clone());
        let reader = std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                heard.text.lock().unwrap().text += &String::from_utf8_lossy(&line);
                heard.more.notify_all();
                line.clear();
            }
            heard.text.lock().unwrap().ended = true;
            heard.more.notify_all();
        });
        Self {
            child,
            said,
            reader: Some(reader),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said this.
    #[track_caller]
    pub fn wait_for(&self, part: &str) {
        assert!(self.hears(part), "{part:?} was not said:\n{}", self.said());
    }

    /// Waits until it has said this; `false` if it ended before.
    pub fn hears(&self, part: &str) -> bool {
        let text = self.said.text.lock().unwrap();
        let waits = |text: &mut Text| !text.ended && !text.text.contains(part);
        let (text, _) = self.said.more.wait_timeout_while(text, AMPLE, waits).unwrap();
        text.text.contains(part)
    }

    /// Everything that it has said up to now.
    pub fn said(&self) -> String {
        self.said.text.lock().unwrap().text.clone()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// SIGSTOP: nothing of it runs until it is resumed.
    pub fn suspend(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> End {
        let status = until("the end of the host", || self.child.try_wait().unwrap());
        self.ended(status)
    }

    /// Waits for its end for so long.
    pub fn end_within(mut self, limit: Duration) -> Result<End, Self> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ok(self.ended(status));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Err(self)
    }

    fn ended(&mut self, status: std::process::ExitStatus) -> End {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        End {
            code: status.code(),
            signal: status.signal(),
            stderr: self.said(),
        }
    }

    /// SIGTERM, and a good end.
    #[track_caller]
    pub fn stop(self) -> String {
        self.terminate();
        let end = self.end();
        assert_eq!(end.code, Some(0), "{}", end.stderr);
        end.stderr
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the host said last:\n{}", last_lines(&self.said(), SHOWN));
        }
        // Ended already in a test that went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lines of a host that are shown when its test fails.
const SHOWN: usize = 200;

fn last_lines(said: &str, count: usize) -> &str {
    let from = said.rmatch_indices('\n').nth(count).map_or(0, |(at, _)| at + 1);
    &said[from..]
}

/// Said when the admin socket listens.
pub const RUNNING: &str = " running deployments=";
