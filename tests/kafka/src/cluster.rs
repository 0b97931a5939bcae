//! Brokers that belong to the process that starts them. They end with it, and their folder goes unless it was named.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::broker::{Broker, Ports, Process, Secured};
use crate::certificates::Certificates;
use crate::error::{Error, of_file};
use crate::java::{self, Printed};
use crate::options::Options;
use crate::properties::{self, LOGGING, MECHANISMS, OLD_LOGGING, Server};
use crate::standing::Standing;
use crate::{archive, jars, ports};

/// Who may log in at the listeners with SASL, by PLAIN and by SCRAM: one who may do everything, one who may do
/// nothing until an ACL says so.
pub const USERS: [&str; 2] = ["admin", "worker"];

/// Of every user.
pub const PASSWORD: &str = "not-a-secret";

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    // Before the folder: what runs ends before its files go.
    pub(crate) brokers: Vec<Broker>,
    certificates: Option<Certificates>,
    options: Options,
    /// Written by brokers that end well.
    classes: Option<PathBuf>,
    folder: Folder,
}

impl Cluster {
    /// Starts it and waits until every broker answers: 2 to 3 s of a processor for each. The first start of all fetches Kafka.
    ///
    /// # Errors
    /// If Java or Maven is missing, Kafka cannot be fetched, or a broker ends or does not answer in time.
    pub fn start(options: Options) -> Result<Self, Error> {
        let folder = Folder::open(options.dir.as_deref())?;
        Standing::refuse_running(folder.path())?;
        Self::start_in(folder, options)
    }

    pub(crate) fn start_in(folder: Folder, options: Options) -> Result<Self, Error> {
        options.check()?;
        let (version, java) = (options.version, java::find()?);
        jars::libraries(version)?;
        archive::make(version, java)?;
        Self::begin(folder, options, None)
    }

    /// Brokers that write their classes into a file when they end well.
    pub(crate) fn start_writing(options: Options, classes: &Path) -> Result<Self, Error> {
        Self::begin(Folder::open(None)?, options, Some(classes.to_path_buf()))
    }

    /// Ends the brokers as they would like to be.
    pub(crate) fn end_well(mut self) {
        let limit = self.options.ready_within;
        self.brokers.iter_mut().for_each(|broker| broker.end_well(limit));
    }

    fn begin(folder: Folder, options: Options, classes: Option<PathBuf>) -> Result<Self, Error> {
        let mut cluster = Self {
            brokers: Vec::new(),
            certificates: None,
            options,
            classes,
            folder,
        };
        let mut tries = 3;
        loop {
            cluster.prepare()?;
            tries -= 1;
            match cluster.run() {
                // Somebody was faster between the look at the port and the broker's own.
                Err(Error::PortTaken { .. }) if cluster.options.port.is_none() && tries > 0 => {}
                other => return other.map(|()| cluster),
            }
        }
    }

    /// What `bootstrap.servers` is at the open listener. It stays the same over kills and restarts.
    pub fn bootstrap(&self) -> String {
        addresses(self.brokers.iter().map(|broker| broker.ports.plain))
    }

    /// What `bootstrap.servers` is at the listener with TLS and SASL, if there is one.
    pub fn bootstrap_tls_sasl(&self) -> Option<String> {
        self.bootstrap_secured(|secured| secured.tls_sasl)
    }

    /// At the listener with TLS and without a login, if there is one.
    pub fn bootstrap_tls(&self) -> Option<String> {
        self.bootstrap_secured(|secured| secured.tls)
    }

    /// At the listener with SASL and without TLS, if there is one.
    pub fn bootstrap_sasl(&self) -> Option<String> {
        self.bootstrap_secured(|secured| secured.sasl)
    }

    fn bootstrap_secured(&self, port: impl Fn(Secured) -> u16) -> Option<String> {
        let ports: Option<Vec<u16>> = self
            .brokers
            .iter()
            .map(|broker| broker.ports.secured.map(&port))
            .collect();
        Some(addresses(ports?.into_iter()))
    }

    /// The certificate in PEM that signed those of the brokers, if there is a listener with TLS.
    pub fn authority(&self) -> Option<&Path> {
        Some(&self.certificates.as_ref()?.authority)
    }

    /// A file for `--command-config` of Kafka's own programs: this user, by this mechanism (`PLAIN`, `SCRAM-SHA-256`,
    /// `SCRAM-SHA-512` or `OAUTHBEARER`). `None` without a listener for it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn client_properties(&self, user: &str, mechanism: &str) -> Result<Option<PathBuf>, Error> {
        let Some(authority) = self.authority() else {
            return Ok(None);
        };
        let path = self
            .folder
            .files()
            .join(format!("client-{user}-{mechanism}.properties"));
        fs::write(&path, properties::client(user, mechanism, authority)).map_err(of_file(&path))?;
        Ok(Some(path))
    }

    /// Where everything of the cluster lies.
    pub fn folder(&self) -> PathBuf {
        self.folder.files()
    }

    /// Of Kafka.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The process of a broker, numbered from 1, if it has one.
    pub fn pid(&self, id: u32) -> Option<u32> {
        let broker = self.brokers.iter().find(|broker| broker.id == id)?;
        broker.process.as_ref().map(Process::pid)
    }

    /// Kills a broker (SIGKILL) and waits for its end. One that has ended already stays as it is.
    ///
    /// # Errors
    /// If there is no such broker.
    pub fn kill(&mut self, id: u32) -> Result<(), Error> {
        self.broker(id)?.process = None;
        Ok(())
    }

    /// Asks a broker to end (SIGTERM), which hands over what it leads, and waits for its end; at last it is killed. The last brokers of
    /// a cluster may wait for each other.
    ///
    /// # Errors
    /// If there is no such broker.
    pub fn stop(&mut self, id: u32) -> Result<(), Error> {
        let limit = self.options.ready_within;
        self.broker(id)?.end_well(limit);
        Ok(())
    }

    /// Starts a broker that was killed or stopped, on its data and its ports, and waits until it answers. The others may have to miss
    /// it first: up to 4 s.
    ///
    /// # Errors
    /// If it runs, or ends, or does not answer in time.
    pub fn restart(&mut self, id: u32) -> Result<(), Error> {
        let (options, logging) = (self.options.clone(), self.logging());
        let broker = self.broker(id)?;
        broker.spawn(&options, &logging, None)?;
        broker.wait_until_ready(options.ready_within)
    }

    /// All that a broker has said since the cluster was started.
    ///
    /// # Errors
    /// If there is no such broker.
    pub fn log(&mut self, id: u32) -> Result<String, Error> {
        self.broker(id).map(|broker| broker.log())
    }

    /// Runs one of Kafka's own command-line classes to its end, of this version or of one that works with it.
    ///
    /// # Errors
    /// If it does not end with 0.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Result<Printed, Error> {
        java::run(self.options.version, class, arguments)
    }

    /// The processes go on without an owner; the folder is one that was named.
    pub(crate) fn let_go(mut self) {
        for process in self.brokers.drain(..).filter_map(|broker| broker.process) {
            process.let_go();
        }
    }

    fn broker(&mut self, id: u32) -> Result<&mut Broker, Error> {
        let brokers = self.options.brokers;
        let found = self.brokers.iter_mut().find(|broker| broker.id == id);
        found.ok_or(Error::NoSuchBroker { id, brokers })
    }

    fn logging(&self) -> PathBuf {
        self.folder.files().join("log4j.properties")
    }

    /// Everything but the processes, anew.
    fn prepare(&mut self) -> Result<(), Error> {
        self.brokers.clear();
        let files = self.folder.files();
        if files.exists() {
            fs::remove_dir_all(&files).map_err(of_file(&files))?;
        }
        let listeners = if self.options.tls_sasl { 5 } else { 2 };
        let wanted = listeners * u16::try_from(self.options.brokers).unwrap_or(u16::MAX);
        let first = match self.options.port {
            Some(port) => ports::check(port, wanted).map(|()| port)?,
            None => ports::free(wanted)?,
        };
        for (id, port) in (1..=self.options.brokers).zip((first..).step_by(usize::from(listeners))) {
            let ports = Ports {
                plain: port,
                controller: port + 1,
                secured: self.options.tls_sasl.then_some(Secured {
                    tls_sasl: port + 2,
                    tls: port + 3,
                    sasl: port + 4,
                }),
            };
            let folder = files.join(format!("broker-{id}"));
            fs::create_dir_all(&folder).map_err(of_file(&folder))?;
            self.brokers.push(Broker {
                id,
                ports,
                folder,
                process: None,
            });
        }
        let logging = self.logging();
        let text = if self.options.version.has_old_logging() {
            OLD_LOGGING
        } else {
            LOGGING
        };
        fs::write(&logging, text).map_err(of_file(&logging))?;
        self.certificates = self
            .options
            .tls_sasl
            .then(|| Certificates::in_folder(&files.join("tls")));
        self.write_properties()
    }

    fn write_properties(&self) -> Result<(), Error> {
        let ports: Vec<(u32, Ports)> = self.brokers.iter().map(|broker| (broker.id, broker.ports)).collect();
        for broker in &self.brokers {
            let server = Server {
                id: broker.id,
                options: &self.options,
                ports: &ports,
                own: broker.ports,
                data: &broker.data(),
                certificates: self.certificates.as_ref(),
            };
            let path = broker.properties();
            fs::write(&path, server.text()).map_err(of_file(&path))?;
        }
        Ok(())
    }

    /// Formats, starts, waits. All brokers do the same at once.
    fn run(&mut self) -> Result<(), Error> {
        // 128 bits in Kafka's way of writing them.
        let cluster_id = format!("{}A", ports::random_digits(21));
        let format = |broker: &Broker| self.format(broker, &cluster_id);
        let formats = self.brokers.iter().map(format).collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            let formats: Vec<_> = formats
                .into_iter()
                .map(|mut command| scope.spawn(move || java::finish(&mut command, "kafka.tools.StorageTool format")))
                .collect();
            let made = self.certificates.as_ref().map_or(Ok(()), Certificates::make);
            for format in formats {
                format.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            made
        })?;
        let logging = self.logging();
        for broker in &mut self.brokers {
            broker.spawn(&self.options, &logging, self.classes.as_deref())?;
        }
        let limit = self.options.ready_within;
        self.brokers
            .iter_mut()
            .try_for_each(|broker| broker.wait_until_ready(limit))
    }

    fn format(&self, broker: &Broker, cluster_id: &str) -> Result<Command, Error> {
        let mut command = java::command(self.options.version, &["-Xmx128m"], true)?;
        command.args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster_id,
            "--config",
        ]);
        command.arg(broker.properties()).stdin(Stdio::null());
        if !self.options.share_groups && self.options.version.has_share_groups() {
            command.args(["--feature", "share.version=0"]);
        }
        if self.options.tls_sasl {
            let scram = MECHANISMS
                .into_iter()
                .filter(|mechanism| mechanism.starts_with("SCRAM"));
            for (mechanism, user) in scram.flat_map(|mechanism| USERS.map(|user| (mechanism, user))) {
                command.arg("--add-scram");
                command.arg(format!("{mechanism}=[name={user},password={PASSWORD}]"));
            }
        }
        Ok(command)
    }
}

fn addresses(ports: impl Iterator<Item = u16>) -> String {
    let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
    addresses.join(",")
}

/// The folder of a cluster, locked by who starts it. Everything of the cluster is in one folder further down, so that
/// nothing else is ever removed.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held as long as it is open.
    _lock: File,
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Locks it; without a name, makes one among the temporary files. Does not wait.
    fn open(dir: Option<&Path>) -> Result<Self, Error> {
        let make = || tempfile::Builder::new().prefix("kafka-").tempdir();
        let temporary = if dir.is_none() {
            Some(make().map_err(of_file(&std::env::temp_dir()))?)
        } else {
            None
        };
        let path = temporary.as_ref().map(TempDir::path).or(dir).unwrap_or(Path::new("."));
        let (path, lock_path, lock) = Self::locked(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::FolderInUse { dir: path }),
            Err(TryLockError::Error(source)) => return Err(of_file(&lock_path)(source)),
        }
        Ok(Self {
            path,
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// Locks it, when nobody else does any more.
    pub(crate) fn wait_for(dir: &Path) -> Result<Self, Error> {
        let (path, lock_path, lock) = Self::locked(dir)?;
        lock.lock().map_err(of_file(&lock_path))?;
        Ok(Self {
            path,
            _lock: lock,
            _temporary: None,
        })
    }

    /// Its absolute path, and its file for a lock, not yet locked.
    fn locked(dir: &Path) -> Result<(PathBuf, PathBuf, File), Error> {
        fs::create_dir_all(dir).map_err(of_file(dir))?;
        let path = dir.canonicalize().map_err(of_file(dir))?;
        let lock_path = path.join(LOCK);
        let strange = !lock_path.exists() && fs::read_dir(&path).map_err(of_file(&path))?.next().is_some();
        if strange {
            return Err(Error::StrangeFolder { dir: path });
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.map_err(of_file(&lock_path))?;
        Ok((path, lock_path, lock))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is removed when a cluster is started anew.
    fn files(&self) -> PathBuf {
        self.path.join("cluster")
    }
}

/// Its presence says whose folder it is.
const LOCK: &str = "kafka-cluster.lock";
