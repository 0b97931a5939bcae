//! A client of Kafka share groups (KIP-932) for workers. Records are fetched continuously, as many as there is room for, while earlier
//! ones are being worked on, and each is settled by itself, in any order.
//!
//! * [`consumer`]: a member of a group: join, acquire, settle, renew, close. Begin here.
//! * [`admin`]: what is asked of a cluster: topics, groups, settings, what is left.
//! * [`config`]: how the cluster is reached, by librdkafka's property names.
//! * [`net`]: connections to brokers.
//! * [`membership`]: a member with its coordinator: heartbeats and assignment. Sans-IO.
//! * [`metadata`]: who leads what.
//! * [`tools`]: commands for whoever may do what we may not.
//! * [`session`]: one member with one broker: what to ask next, and what answers mean. Sans-IO.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")
)]

pub mod admin;
pub mod config;
pub mod consumer;
pub mod membership;
pub mod metadata;
pub mod net;
mod sasl;
pub mod session;
pub mod tools;
