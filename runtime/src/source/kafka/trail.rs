//! One line for each record that is delivered, and one for what the brokers said of each settlement: `log = "info,sharemill::records=debug"`
//! shows them, for whoever has to know what became of a record.

use share_client::consumer::{Lease, Outcome, Verb};

use super::member::Member;

/// What a log filter names.
const RECORDS: &str = "sharemill::records";

impl Member {
    /// The host is about to work on it.
    pub(super) fn tell_acquired(&self, partition: u32, offset: u64, delivery: u16) {
        let topic = &self.topic;
        tracing::debug!(target: RECORDS, %topic, partition, offset, delivery, "acquired");
    }

    /// `Applied` is the brokers' word that it is so for good.
    pub(super) fn tell_settled(&self, lease: &Lease, verb: Verb, outcome: Outcome) {
        let topic = &self.topic;
        let Lease {
            place,
            offset,
            delivery_count: delivery,
            acquisition: _,
        } = lease;
        let partition = place.partition;
        tracing::debug!(target: RECORDS, %topic, partition, offset, delivery, ?verb, ?outcome, "settled");
    }
}
