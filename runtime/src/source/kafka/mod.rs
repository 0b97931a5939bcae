//! A share group of a Kafka cluster as a source: one member of the group on one topic.
//!
//! What Kafka has no word for is done here: a record that is to come later stays held, its lock renewed, and a dead letter is written and
//! confirmed before its record is rejected. `arrival` sorts what was acquired, `held` knows what this member holds, `settling` carries settlements out, `driver` what becomes
//! due by itself; `trail` tells it.

mod arrival;
mod aside;
mod convert;
mod driver;
mod held;
mod letter;
mod member;
mod producer;
mod retry;
mod settling;
mod trail;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use share_client::admin::{Admin, Guess, Left};
use share_client::config::ClientConfig;
use share_client::consumer::{self, ConsumerError, JoinError};
use share_engine::ids::LeaseKey;
use share_engine::time::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::{
    Backlog, BoxFuture, Credit, Delivery, RenewResult, SettleResult, Settlement, Source, SourceError, SourceEvent,
};
pub use aside::retry_topic;
use member::{Common, Kind, Member};
pub use producer::{KafkaProducer, ProduceFailure, Produced, PropertiesError, ToProduce};

/// What a member of a share group on Kafka needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// The share group.
    pub group: String,
    /// The topic whose records it is given.
    pub topic: String,
    /// Deliveries before a record becomes a dead letter: less than the broker allows.
    pub attempts: u16,
    /// What one attempt may take, waiting included: a lease is not renewed beyond.
    pub max_lease: Duration,
    /// The acquisition lock of the group.
    pub lock: Duration,
    /// Offsets of a partition from the first unfinished record to the last that the broker gives out.
    pub window: u32,
    /// `window` is the brokers' word, no assumption.
    pub window_is_known: bool,
    /// Records that handlers work on at the same time.
    pub slots: u32,
    /// Nothing more is acquired while so many records wait here for a later time.
    pub parking: usize,
    /// Deliveries after which the broker ends a record.
    pub deliveries: u16,
    /// The group begins with the first record of a topic that it was never in.
    pub from_the_start: bool,
    /// Who writes dead letters.
    pub letters: Letters,
    /// Bytes of a dead letter at most.
    pub letter_bytes: u64,
    /// Where records are copied that wait for a later time and stand in the way of others. `None`: they stay.
    pub retry_topic: Option<String>,
}

/// Who writes dead letters, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letters {
    /// This host, to this topic.
    Host(String),
    /// The broker, when a record is rejected (Kafka 4.4).
    Broker,
    /// Nobody: what is given up is gone.
    Nobody,
}

/// A member of a share group of a Kafka cluster; with a second one for the retry topic, as soon as there is one.
pub struct KafkaSource {
    common: Arc<Common>,
    main: Arc<Member>,
    /// What is told beside what the client of the first member tells.
    events: tokio::sync::Mutex<mpsc::Receiver<SourceEvent>>,
    tasks: Mutex<JoinSet<()>>,
}

/// What a source works with beside its options.
#[derive(Clone)]
pub struct KafkaContext {
    /// How the cluster is reached.
    pub config: ClientConfig,
    /// What asks it.
    pub admin: Admin,
    /// What writes to it.
    pub producer: Arc<KafkaProducer>,
    /// The host's.
    pub clock: Arc<dyn Clock>,
}

impl KafkaSource {
    /// Joins the group. Needs a tokio runtime.
    pub async fn join(context: KafkaContext, options: KafkaOptions) -> Result<Self, JoinError> {
        let KafkaContext {
            config,
            admin,
            producer,
            clock,
        } = context;
        let (events, heard) = mpsc::channel(EVENTS);
        let common = Arc::new(Common {
            config,
            admin,
            producer,
            clock,
            options,
            room: Notify::new(),
            second: OnceLock::new(),
            second_wanted: Notify::new(),
            begun: Mutex::default(),
            events,
            leaving: watch::Sender::default(),
            letters_fail: AtomicBool::new(false),
        });
        let main = Arc::new(Member::join(common.clone(), Kind::Main).await?);
        let mut tasks = JoinSet::new();
        tasks.spawn(driver::drive(main.clone()));
        if let Some(topic) = common.options.retry_topic.clone() {
            tasks.spawn(aside::attend(common.clone(), topic));
        }
        Ok(Self {
            common,
            main,
            events: tokio::sync::Mutex::new(heard),
            tasks: Mutex::new(tasks),
        })
    }

    /// The member's id in the group.
    pub fn member(&self) -> String {
        self.main.consumer.snapshot().member
    }

    fn second(&self) -> Option<Arc<Member>> {
        self.common.second.get().and_then(Weak::upgrade)
    }

    /// All members of this source.
    fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        std::iter::once(self.main.clone()).chain(self.second())
    }

    /// Hands what is asked to the members that hold the records, and puts their answers in the order of the question.
    async fn each<T, R>(
        &self,
        asked: Vec<T>,
        key: impl Fn(&T) -> LeaseKey,
        absent: R,
        ask: impl AsyncFn(&Arc<Member>, Vec<T>) -> Vec<R>,
    ) -> Vec<R>
    where
        R: Clone,
    {
        let Some(second) = self.second() else {
            return ask(&self.main, asked).await;
        };
        let mut results = vec![absent; asked.len()];
        let (mut of_main, mut of_second) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (place, one) in asked.into_iter().enumerate() {
            let part = if key(&one).share >= Kind::Retry.first_key() {
                &mut of_second
            } else {
                &mut of_main
            };
            part.0.push(place);
            part.1.push(one);
        }
        let answers = tokio::join!(ask(&self.main, of_main.1), ask(&second, of_second.1));
        let places = of_main.0.into_iter().zip(answers.0);
        for (place, result) in places.chain(of_second.0.into_iter().zip(answers.1)) {
            if let Some(slot) = results.get_mut(place) {
                *slot = result;
            }
        }
        results
    }
}

/// Between two looks at what stands still.
const LOOK: Duration = Duration::from_secs(1);

/// Events that nobody has heard of yet; what tells of more waits.
const EVENTS: usize = 1_024;

impl Source for KafkaSource {
    fn acquire(&self, credit: Credit) -> BoxFuture<'_, Result<Vec<Delivery>, SourceError>> {
        Box::pin(async move {
            let main = &*self.main;
            let _waits = main.waits(credit.records);
            let wanted = consumer::Credit {
                records: credit.records,
                bytes: credit.bytes,
            };
            loop {
                let acquire = main.consumer.acquire(wanted);
                tokio::pin!(acquire);
                let mut has_begun = false;
                let acquired = loop {
                    let changed = self.common.room.notified();
                    tokio::pin!(changed);
                    // Before the look: whatever changes behind it wakes this call.
                    changed.as_mut().enable();
                    let now = main.now();
                    for member in self.members() {
                        let ready = member.held().take_ready(credit.records as usize, now);
                        if !ready.is_empty() {
                            // Another call may find room now.
                            self.common.room.notify_waiters();
                            return Ok(ready);
                        }
                    }
                    // What waits may grow by what the host works on, which it bounds itself. What was asked for before there was no room,
                    // or lies here already, would only be given back, which counts as a delivery.
                    has_begun |= !main.is_full() || main.consumer.ready() > 0;
                    tokio::select! {
                        biased;
                        () = &mut changed => {}
                        acquired = &mut acquire, if has_begun => break acquired,
                        () = tokio::time::sleep(LOOK), if !has_begun => {}
                    }
                };
                let deliveries = main.arrive(&acquired.map_err(source_error)?);
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
            }
        })
    }

    fn settle(&self, batch: Vec<Settlement>) -> BoxFuture<'_, Vec<SettleResult>> {
        let settle = async |member: &Arc<Member>, batch| member.settle(batch).await;
        Box::pin(async move {
            let key = |settlement: &Settlement| settlement.lease;
            self.each(batch, key, SettleResult::Unknown, settle).await
        })
    }

    fn renew(&self, leases: Vec<LeaseKey>) -> BoxFuture<'_, Vec<RenewResult>> {
        let renew = async |member: &Arc<Member>, leases| member.renew_out(leases).await;
        Box::pin(async move { self.each(leases, |key| *key, RenewResult::Lost, renew).await })
    }

    fn event(&self) -> BoxFuture<'_, SourceEvent> {
        Box::pin(async move {
            let mut events = self.events.lock().await;
            loop {
                tokio::select! {
                    event = self.main.consumer.event() => {
                        if let Some(event) = self.main.event(event) {
                            return event;
                        }
                    }
                    Some(event) = events.recv() => return event,
                }
            }
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, SourceError>> {
        Box::pin(async move {
            let mut backlog = Backlog::default();
            let options = &self.common.options;
            if self.main.consumer.snapshot().assignment.is_empty() {
                // What the brokers give out is not known before, and nobody is to think that nothing is left.
                let reason = format!(
                    "group {} has assigned no partition of {} yet",
                    options.group, options.topic
                );
                return Err(SourceError::Unavailable(reason));
            }
            for topic in std::iter::once(&options.topic).chain(&options.retry_topic) {
                let left = match self.common.admin.backlog(&options.group, topic).await {
                    // No record was copied yet.
                    Err(error) if error.is_missing() && Some(topic) == options.retry_topic.as_ref() => continue,
                    left => left.map_err(|error| SourceError::Unavailable(error.to_string()))?,
                };
                backlog.available += left.total().0;
                let is_guess = |left: &Left| matches!(left, Left::Guessed { from, .. } if *from != Guess::Start);
                if options.from_the_start && left.partitions.values().any(is_guess) {
                    // The coordinator may not have heard yet that the group begins with the first record.
                    let spans = self.common.admin.spans(topic).await;
                    let spans = spans.map_err(|error| SourceError::Unavailable(error.to_string()))?;
                    let guessed = left.partitions.iter().filter(|(_, left)| is_guess(left));
                    let unseen = guessed.filter_map(|(partition, left)| {
                        let span = spans.get(partition)?;
                        Some((span.end - span.start).saturating_sub(left.offsets()))
                    });
                    backlog.available += unseen.sum::<u64>();
                }
            }
            let now = self.main.now();
            for member in self.members() {
                let held = member.held();
                let (parked, all) = (held.parked() as u64, held.len() as u64);
                backlog.available = backlog.available.saturating_sub(all);
                backlog.acquired += all - parked;
                backlog.parked += parked;
                let due = held.next_due().map(|at| at.since(now));
                backlog.next_due = backlog.next_due.into_iter().chain(due).min();
            }
            Ok(backlog)
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.common.leaving.send_replace(true);
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            // Each ends by itself, after some time at most. What is held then is released by the broker.
            while tasks.join_next().await.is_some() {}
            self.main.consumer.close().await;
        })
    }
}

fn source_error(error: ConsumerError) -> SourceError {
    match error {
        ConsumerError::Closed => SourceError::Closed,
        other => SourceError::Failed(other.to_string()),
    }
}
