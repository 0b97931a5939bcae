//! What one scenario has: a topic, a group and a dead-letter topic named after it, members, and the end of the process that keeps its
//! records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use share_engine::config::Start;
use share_wire::records::Codec;

use super::backend::{Backend, Place};
use super::cli::Cli;
use super::member::Member;
use super::rendezvous::Seat;
use super::transaction::Transaction;
use super::until;
use crate::kafka::Stored;

/// A scenario at work.
pub struct Case {
    name: String,
    backend: Arc<Backend>,
    options: Options,
    seat: Option<Seat>,
}

/// What its group is to be.
#[derive(Clone, Debug)]
pub struct Options {
    pub partitions: u32,
    /// 1 to 4: brokers end a record after five deliveries, and the host needs the last.
    pub attempts: u16,
    pub lock: Duration,
    pub max_lease: Duration,
    pub start: Start,
    /// Whether what is given up is kept.
    pub letters: bool,
    /// Records that may wait in a Kafka source.
    pub parking: usize,
    pub read_committed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 1,
            attempts: 4,
            lock: Duration::from_secs(30),
            max_lease: Duration::from_mins(10),
            start: Start::Earliest,
            letters: true,
            parking: 1_000,
            read_committed: false,
        }
    }
}

impl Options {
    /// With a lock of so many seconds.
    pub fn lock(seconds: u64) -> Self {
        Self {
            lock: Duration::from_secs(seconds),
            ..Self::default()
        }
    }
}

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct New {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970; `None`: now.
    pub timestamp: Option<i64>,
}

impl New {
    pub fn text(value: &str) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }
}

/// Where a group is set to.
#[derive(Clone, Copy, Debug)]
pub enum To {
    Earliest,
    Latest,
    Offset(u64),
}

impl Case {
    pub(super) fn new(name: &str, backend: Arc<Backend>, seat: Option<Seat>) -> Self {
        Self {
            name: name.replace('_', "-"),
            backend,
            options: Options::default(),
            seat,
        }
    }

    /// Of its topic and its group.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn place(&self) -> Place {
        self.backend.place()
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Makes topic and group.
    #[must_use]
    pub async fn set_up(mut self, options: Options) -> Self {
        self.create_topic(&self.name, options.partitions).await;
        self.create_group(&self.name, &options).await;
        self.options = options;
        self
    }

    pub async fn create_topic(&self, topic: &str, partitions: u32) {
        self.backend.create_topic(topic, partitions).await;
    }

    /// Another group on the topic.
    pub async fn create_group(&self, group: &str, options: &Options) {
        self.backend.create_group(group, &self.name, options).await;
    }

    pub async fn join(&self) -> Member {
        self.join_group(&self.name).await
    }

    pub async fn join_group(&self, group: &str) -> Member {
        Member::of(self.backend.join(group, &self.name, &self.options).await)
    }

    /// One batch to partition 0.
    pub async fn produce(&self, values: &[&str]) {
        let records: Vec<_> = values.iter().map(|value| New::text(value)).collect();
        self.write(0, &records, Codec::None).await;
    }

    /// Numbers as values, one batch to partition 0.
    pub async fn fill(&self, numbers: std::ops::Range<usize>) {
        let records: Vec<_> = numbers.map(|number| New::text(&number.to_string())).collect();
        self.write(0, &records, Codec::None).await;
    }

    pub async fn write(&self, partition: u32, records: &[New], codec: Codec) {
        self.backend.write(&self.name, partition, records, codec).await;
    }

    pub async fn write_by_key(&self, record: &New) -> u32 {
        self.backend.write_by_key(&self.name, record).await
    }

    /// A transaction on the topic.
    ///
    /// # Panics
    /// On the engine, which has none.
    pub async fn transaction(&self) -> Transaction<'_> {
        match self.backend() {
            Backend::Kafka(kafka) => Transaction::begin(kafka, &self.name).await,
            Backend::Embedded(_) => panic!("the engine has no transactions"),
        }
    }

    pub async fn read(&self, topic: &str) -> Vec<Stored> {
        self.backend.read(topic).await
    }

    /// How the batches of partition 0 are compressed where they lie.
    pub async fn codecs(&self) -> Vec<Codec> {
        self.backend.codecs(&self.name).await
    }

    /// Dead letters, when there are so many.
    pub async fn letters(&self, count: usize) -> Vec<Stored> {
        let topic = format!("{}.dead", self.name);
        let what = format!("{count} dead letters");
        let letters = until(&what, async || {
            let mut letters = self.read(&topic).await;
            letters.retain(|one| one.text() != PROBE);
            (letters.len() >= count).then_some(letters)
        })
        .await;
        assert_eq!(letters.len(), count, "{letters:?}");
        letters
    }

    /// Has the topic of dead letters take no record, or any again.
    ///
    /// # Panics
    /// On the engine, where a letter is part of the commit that ends its record.
    pub async fn take_letters(&self, take: bool) {
        match self.backend() {
            Backend::Kafka(kafka) => kafka.take_records(&format!("{}.dead", self.name), take).await,
            Backend::Embedded(_) => panic!("the engine's letters are part of a commit"),
        }
    }

    /// What the group has not finished.
    pub async fn left(&self) -> u64 {
        self.backend.left(&self.name, &self.name).await
    }

    /// Waits until the group has finished all but so many.
    pub async fn leaves(&self, count: u64) {
        let mut last = 0;
        let asked = until("the count", async || {
            last = self.left().await;
            (last == count).then_some(())
        });
        let in_time = tokio::time::timeout(crate::AMPLE / 2, asked).await;
        assert!(in_time.is_ok(), "{last} records are left, not {count}");
    }

    pub async fn reset(&self, to: To) -> Result<(), String> {
        self.backend.reset(&self.name, &self.name, to).await
    }

    /// The end of the process that keeps the records, for all scenarios of this stage at once, and what comes after it.
    ///
    /// # Panics
    /// In a stage where nothing ends.
    pub async fn crash(&self) {
        let seat = self.seat.as_ref().expect("a stage in which processes end");
        seat.arrive().await;
    }

    /// The command in a folder whose manifest has this backend, the scenario's deployment with these lines, and a guest.
    pub fn command_line(&self, guest: &str, lines: &str) -> Cli<'_> {
        Cli::new(self, guest, lines)
    }
}

/// The value of a record that finds out whether a topic takes any.
pub(super) const PROBE: &str = "is it taken?";

/// Whether no value is there twice.
pub(super) fn all_distinct(values: &[String]) -> bool {
    values.iter().collect::<BTreeSet<_>>().len() == values.len()
}
