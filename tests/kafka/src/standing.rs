//! A cluster that goes on after the process that started it, for `cargo xtask kafka`. A file in its folder names the
//! processes; a process is known by its number and the time of its start, so that no other one is ever ended for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::broker::Process;
use crate::cluster::{Cluster, Folder, PASSWORD, USERS};
use crate::error::{Error, of_file};
use crate::options::Options;
use crate::properties::MECHANISMS;
use crate::ready;
use crate::version::Version;

/// The folder of such a cluster.
#[derive(Clone, Debug)]
pub struct Standing {
    dir: PathBuf,
}

/// What [`Standing::up`] did.
#[derive(Clone, Debug)]
pub struct Began {
    /// The cluster.
    pub look: Look,
    /// It was there before.
    pub already: bool,
}

/// What [`Standing::down`] ended.
#[derive(Clone, Debug, Serialize)]
pub struct Ended {
    /// Processes that ran.
    pub ended: Vec<u32>,
    /// Processes that had ended by themselves.
    pub gone: Vec<u32>,
}

/// A cluster as it is at the moment.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    /// Of Kafka.
    pub version: Version,
    /// Its folder.
    pub dir: PathBuf,
    /// `bootstrap.servers` at the open listener.
    pub bootstrap: String,
    /// At the other one, if it was asked for.
    pub tls_sasl: Option<Login>,
    /// By number.
    pub brokers: Vec<Member>,
}

/// How to log in at the listener with TLS and SASL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// `bootstrap.servers` there.
    pub bootstrap: String,
    /// The certificate to trust, PEM.
    pub authority: PathBuf,
    /// Who may: the first may do everything.
    pub users: Vec<String>,
    /// Of each of them.
    pub password: String,
    /// By which each of them may.
    pub mechanisms: Vec<String>,
}

/// A broker as it is at the moment.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// From 1.
    pub id: u32,
    /// Its process, which may have ended.
    pub pid: u32,
    /// `answers`, `silent` (it runs) or `ended`.
    pub state: &'static str,
    /// At the open listener.
    pub address: String,
    /// All that it said.
    pub log: PathBuf,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: Version,
    asked: Asked,
    bootstrap: String,
    tls_sasl: Option<Login>,
    brokers: Vec<Known>,
}

/// What the cluster was to be: another one is not the same.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    version: Version,
    brokers: u32,
    tls_sasl: bool,
    share_groups: bool,
    port: Option<u16>,
    heap_mib: u32,
    optimised: bool,
    settings: BTreeMap<String, String>,
}

impl Asked {
    fn of(options: &Options) -> Self {
        Self {
            version: options.version,
            brokers: options.brokers,
            tls_sasl: options.tls_sasl,
            share_groups: options.share_groups,
            port: options.port,
            heap_mib: options.heap_mib,
            optimised: options.optimised,
            settings: options.settings.clone(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    id: u32,
    pid: u32,
    /// In the kernel's ticks since it was booted.
    started: u64,
    port: u16,
    log: PathBuf,
}

impl Standing {
    /// Nothing happens yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Starts a cluster, unless the same one runs already.
    ///
    /// # Errors
    /// As [`Cluster::start`]; or if a different cluster runs there, or a part of one.
    pub fn up(&self, options: Options) -> Result<Began, Error> {
        let folder = Folder::wait_for(&self.dir)?;
        let dir = folder.path().to_path_buf();
        if let Some(look) = Self::at(&dir).look()? {
            let brokers = usize::try_from(options.brokers).unwrap_or(usize::MAX);
            let runs = look.brokers.iter().filter(|broker| broker.state != "ended").count();
            let asked = State::read(&dir.join(STATE))?.map(|state| state.asked);
            if asked == Some(Asked::of(&options)) && runs == brokers {
                return Ok(Began { look, already: true });
            }
            if runs > 0 {
                return Err(look.in_the_way());
            }
        }
        let cluster = Cluster::start_in(folder, options)?;
        let state = State::of(&cluster);
        let path = dir.join(STATE);
        let text = serde_json::to_vec_pretty(&state).map_err(|source| Error::State {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, text).map_err(of_file(&path))?;
        cluster.let_go();
        Ok(Began {
            look: state.look(&dir),
            already: false,
        })
    }

    /// Kills the processes that run and waits for their end. Logs and data stay until the next start.
    ///
    /// # Errors
    /// If a process cannot be ended. It is no error if there is no cluster.
    pub fn down(&self) -> Result<Ended, Error> {
        let mut ended = Ended {
            ended: Vec::new(),
            gone: Vec::new(),
        };
        if !self.dir.join(STATE).exists() {
            return Ok(ended);
        }
        let folder = Folder::wait_for(&self.dir)?;
        let path = folder.path().join(STATE);
        let Some(state) = State::read(&path)? else {
            return Ok(ended);
        };
        for broker in &state.brokers {
            if !broker.runs() {
                ended.gone.push(broker.pid);
                continue;
            }
            broker.kill()?;
            ended.ended.push(broker.pid);
        }
        fs::remove_file(&path).map_err(of_file(&path))?;
        Ok(ended)
    }

    /// The cluster as it is, if there is one.
    ///
    /// # Errors
    /// If the file that names its processes cannot be read.
    pub fn look(&self) -> Result<Option<Look>, Error> {
        let state = State::read(&self.dir.join(STATE))?;
        Ok(state.map(|state| state.look(&self.dir)))
    }

    /// Fails if something runs there.
    pub(crate) fn refuse_running(dir: &Path) -> Result<(), Error> {
        match Self::at(dir).look()? {
            Some(look) if look.brokers.iter().any(|broker| broker.state != "ended") => Err(look.in_the_way()),
            _ => Ok(()),
        }
    }
}

impl Look {
    fn in_the_way(&self) -> Error {
        let runs = self.brokers.iter().filter(|broker| broker.state != "ended").count();
        let login = if self.tls_sasl.is_some() {
            " with TLS and SASL"
        } else {
            ""
        };
        Error::OtherRuns {
            dir: self.dir.clone(),
            found: format!("{}, {runs} of {} brokers{login}", self.version, self.brokers.len()),
        }
    }
}

impl State {
    fn of(cluster: &Cluster) -> Self {
        let known = cluster.brokers.iter().map(|broker| {
            let pid = broker.process.as_ref().map_or(0, Process::pid);
            Known {
                id: broker.id,
                pid,
                started: started(pid).unwrap_or_default(),
                port: broker.ports.plain,
                log: broker.log_path(),
            }
        });
        let login = cluster.authority().zip(cluster.bootstrap_tls_sasl());
        Self {
            version: cluster.options().version,
            asked: Asked::of(cluster.options()),
            bootstrap: cluster.bootstrap(),
            tls_sasl: login.map(|(authority, bootstrap)| Login {
                bootstrap,
                authority: authority.to_path_buf(),
                users: USERS.map(str::to_owned).to_vec(),
                password: PASSWORD.to_owned(),
                mechanisms: MECHANISMS.map(str::to_owned).to_vec(),
            }),
            brokers: known.collect(),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(of_file(path))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| Error::State {
            path: path.to_path_buf(),
            source,
        })
    }

    fn look(&self, dir: &Path) -> Look {
        let member = |broker: &Known| Member {
            id: broker.id,
            pid: broker.pid,
            state: match (broker.runs(), ready::answers(broker.port)) {
                (false, _) => "ended",
                (true, Ok(())) => "answers",
                (true, Err(_)) => "silent",
            },
            address: format!("127.0.0.1:{}", broker.port),
            log: broker.log.clone(),
        };
        Look {
            version: self.version,
            dir: dir.to_path_buf(),
            bootstrap: self.bootstrap.clone(),
            tls_sasl: self.tls_sasl.clone(),
            brokers: self.brokers.iter().map(member).collect(),
        }
    }
}

impl Known {
    fn runs(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    fn kill(&self) -> Result<(), Error> {
        let failed = |source: std::io::Error| Error::End { pid: self.pid, source };
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(std::io::Error::other("no process has this number")))?;
        match kill_process(pid, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let began = Instant::now();
        while self.runs() {
            if began.elapsed() > ENDS_WITHIN {
                return Err(failed(std::io::Error::other(format!(
                    "it is still there after {ENDS_WITHIN:?}"
                ))));
            }
            // It is nobody's child here: nothing tells.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// When a process was started, by the kernel's account, if it is there and has not ended.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

const STATE: &str = "cluster.json";
const ENDS_WITHIN: Duration = Duration::from_secs(20);
