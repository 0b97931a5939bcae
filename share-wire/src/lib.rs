//! Kafka's wire protocol as a share-group client speaks it. Bytes in, messages out: no sockets, no clock, no thread, so that every
//! state can be reached by a test.
//!
//! * [`frame`]: where one message ends and the next begins.
//! * [`conversation`]: one connection: numbers requests, says which of them a response answers.
//! * [`call`]: a request, the versions of it that we speak, and how its response is read.
//! * [`versions`]: which version of each request a broker and we have in common.
//! * [`message`]: the messages that the `kafka-protocol` crate has not, or not in their newest version.
//! * [`records`]: the record batches that a fetch brings.
//! * [`code`]: Kafka's error codes by name.
//!
//! All other messages come from `kafka-protocol` and are reached as [`kafka`]. That crate makes room for as many elements as an array
//! claims to have before it reads the first, so that twenty bytes can ask for hundreds of gigabytes: what comes from the network
//! is held against its layout first.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")
)]

pub mod call;
pub mod code;
pub mod conversation;
pub mod error;
pub mod frame;
mod layout;
mod layouts;
pub mod message;
mod reader;
pub mod records;
pub mod versions;
mod writer;

/// The messages that come from the `kafka-protocol` crate.
pub mod kafka {
    pub use kafka_protocol::messages::*;
    pub use kafka_protocol::protocol::StrBytes;
}

pub use bytes::{Bytes, BytesMut};
pub use uuid::Uuid;
