//! What may go wrong between a call and a cluster that answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::version::Version;

/// Why there is no cluster, or no answer of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that has to be installed is not there.
    #[error("{program} is missing: install {install}")]
    Missing {
        /// As it is called.
        program: &'static str,
        /// What brings it.
        install: &'static str,
    },
    /// Kafka 4 does not start with this one.
    #[error("java is version {found}: install {install}")]
    OldJava {
        /// As the program says it.
        found: String,
        /// What brings a newer one.
        install: &'static str,
    },
    /// Nothing is known of how this version is fetched.
    #[error("unknown version {asked:?} of Kafka: {} are known", Version::names())]
    UnknownVersion {
        /// What was asked for.
        asked: String,
    },
    /// A setting has no meaning.
    #[error("{brokers} brokers: 1 to {max} can be had")]
    Brokers {
        /// What was asked for.
        brokers: u32,
        /// The most.
        max: u32,
    },
    /// There is no broker of this number.
    #[error("broker {id} of {brokers}: they are numbered from 1")]
    NoSuchBroker {
        /// What was asked for.
        id: u32,
        /// How many there are.
        brokers: u32,
    },
    /// A broker that runs was to be started.
    #[error("broker {id} runs already, as process {pid}")]
    RunsAlready {
        /// The broker.
        id: u32,
        /// Its process.
        pid: u32,
    },
    /// Maven came back without what it was to fetch.
    #[error("mvn cannot fetch Kafka {version} ({what}):\n{said}")]
    Fetch {
        /// Of Kafka.
        version: Version,
        /// How it ended, or what is not right with what it left.
        what: String,
        /// What it printed.
        said: String,
    },
    /// Somebody else listens where the broker was to.
    #[error("port {port} is taken")]
    PortTaken {
        /// On loopback.
        port: u16,
    },
    /// No free port was found.
    #[error("no {wanted} neighbouring free ports in {tries} tries; the last failure was: {last}")]
    NoPorts {
        /// Neighbours.
        wanted: u16,
        /// Places that were looked at.
        tries: u32,
        /// Of the last place.
        last: String,
    },
    /// A broker ended instead of answering.
    #[error("broker {id} ended at its start with {status}; the end of {}:\n{tail}", log.display())]
    Died {
        /// The broker.
        id: u32,
        /// How the process ended.
        status: String,
        /// All that it said.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A broker lives and does not answer.
    #[error("broker {id} does not answer after {limit:?} ({seen}); the end of {}:\n{tail}", log.display())]
    Silent {
        /// The broker.
        id: u32,
        /// How long was waited.
        limit: Duration,
        /// What the last attempt met.
        seen: String,
        /// All that it said.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// One of Kafka's command-line classes, or the JDK's keytool, failed.
    #[error("{tool} failed with {status}:\n{said}")]
    Tool {
        /// Class or program, with its arguments.
        tool: String,
        /// How the process ended.
        status: String,
        /// What it printed on both outputs.
        said: String,
    },
    /// The folder holds something else.
    #[error("{} is neither empty nor the folder of a cluster: name another one", dir.display())]
    StrangeFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process starts or holds a cluster there.
    #[error("{} is in use by another cluster", dir.display())]
    FolderInUse {
        /// The folder.
        dir: PathBuf,
    },
    /// Another cluster than the one that was asked for runs there.
    #[error("another cluster, or one with other settings, runs already in {} ({found}): end it first", dir.display())]
    OtherRuns {
        /// The folder.
        dir: PathBuf,
        /// What runs.
        found: String,
    },
    /// A file of the cluster cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file that names the processes is not ours.
    #[error("{} names no cluster: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A program that is there cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// As it is called.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A process cannot be ended.
    #[error("cannot end process {pid}: {source}")]
    End {
        /// The process.
        pid: u32,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Names the file in an error of the system's.
pub(crate) fn of_file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::File {
        path: path.to_path_buf(),
        source,
    }
}
