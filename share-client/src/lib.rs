//! A client of Kafka share groups (KIP-932) for workers. Records are fetched continuously, as many as there is room for, while earlier
//! ones are being worked on, and each is settled by itself, in any order.
//!
//! * [`config`]: how the cluster is reached, by librdkafka's property names.
//! * [`net`]: connections to brokers.
//! * [`session`]: one member with one broker: what to ask next, and what answers mean. Sans-IO.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")
)]

pub mod config;
pub mod net;
mod sasl;
pub mod session;
