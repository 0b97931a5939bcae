//! Stands in for the host in native unit tests of handlers: build a [`Record`], call the handler as the function it is,
//! then look at what it asked of the host. Not there in components.
//!
//! ```
//! use sharemill_handler::testing::{RecordBuilder, with_host};
//! use sharemill_handler::{Outcome, Outgoing, Record, Result};
//!
//! fn handle(record: Record) -> Result {
//!     record.emit(Outgoing::new("copies").value(record.value().unwrap_or_default()))?;
//!     Ok(Outcome::accept())
//! }
//!
//! let outcome = handle(RecordBuilder::new("hello").build()).expect("accepted");
//! assert_eq!(outcome, Outcome::Accept);
//! with_host(|host| assert_eq!(host.emitted[0].value.as_deref(), Some(&b"hello"[..])));
//! ```
pub(crate) mod calls;

use std::cell::RefCell;
use std::time::Duration;

use crate::bindings::imports::sharemill::worker::types as wire;
use crate::{LeaseError, ProducerError, Record};

pub use crate::bindings::imports::sharemill::worker::logging::Level;
pub use crate::bindings::imports::sharemill::worker::producer::OutgoingRecord;

/// The stand-in: what it answers, and what it was asked. One per thread, thus one per test.
#[derive(Debug)]
pub struct Host {
    /// Answers `context::group`.
    pub group: String,
    /// Answers `context::attempt_limit`.
    pub attempt_limit: Option<u32>,
    /// Answers `context::deadline`.
    pub deadline: Duration,
    /// Answers `context::is_cancelled`.
    pub is_cancelled: bool,
    /// Answers `Record::checkpoint`.
    pub checkpoint: Option<Vec<u8>>,
    /// Answers `Lease::remaining`, and `Lease::renew` where it is `Ok`.
    pub lease: Result<Duration, LeaseError>,
    /// Answers `Record::emit` and `send`; what is produced is kept only where it is `Ok`.
    pub produce: Result<(), ProducerError>,
    /// Answers `config::get` and `config::all`: values of `grants.config` and secrets.
    pub settings: Vec<(String, String)>,
    /// The least severe level that is kept in `logged`.
    pub threshold: Level,
    /// What `Record::emit` was given.
    pub emitted: Vec<OutgoingRecord>,
    /// What `send` was given.
    pub sent: Vec<OutgoingRecord>,
    /// Level and text of what was logged.
    pub logged: Vec<(Level, String)>,
    /// Name and value of every metric that was written.
    pub measured: Vec<(String, f64)>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            group: "test".to_owned(),
            attempt_limit: Some(5),
            deadline: Duration::from_secs(30),
            is_cancelled: false,
            checkpoint: None,
            lease: Ok(Duration::from_secs(30)),
            produce: Ok(()),
            settings: Vec::new(),
            threshold: Level::Trace,
            emitted: Vec::new(),
            sent: Vec::new(),
            logged: Vec::new(),
            measured: Vec::new(),
        }
    }
}

/// Prepares or looks at this thread's stand-in. Not to be called from within itself.
pub fn with_host<T>(look: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(look)
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// A record for a test: topic `test`, partition 0, offset 0, first attempt, no key.
#[derive(Clone, Debug)]
pub struct RecordBuilder {
    delivery: wire::Delivery,
}

impl RecordBuilder {
    /// With this value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        let mut builder = Self::null();
        builder.delivery.value = Some(value.into());
        builder
    }

    /// With a null value.
    pub fn null() -> Self {
        let delivery = wire::Delivery {
            id: 1,
            topic: "test".to_owned(),
            partition: 0,
            offset: 0,
            timestamp: 0,
            timestamp_type: wire::TimestampType::None,
            delivery_count: 1,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        Self { delivery }
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.delivery.key = Some(key.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.delivery.headers.push(wire::Header {
            name: name.into(),
            value: Some(value.into()),
        });
        self
    }

    /// From this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.delivery.topic = topic.into();
        self
    }

    /// The how-many-eth attempt it is, from 1.
    #[must_use]
    pub fn delivery_count(mut self, count: u32) -> Self {
        self.delivery.delivery_count = count;
        self
    }

    /// The record.
    pub fn build(self) -> Record {
        self.delivery.into()
    }
}
