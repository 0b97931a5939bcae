//! A stream of records into a topic. What there is no room for is tried again before anything behind it, so that records of one
//! key keep their order; nothing is tried again that may have been stored.

use std::collections::VecDeque;
use std::time::Duration;

use share_engine::error::ProduceError;
use share_engine::record::NewRecord;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{EmbeddedAdmin, convert};
use crate::admin::{AdminError, ProduceOutcome, ProduceResult, Record};
use crate::config::format_duration;

/// Records that are produced together, at most.
const AT_ONCE: usize = 1_000;
/// Bytes of keys, values and headers at which they are enough: the engine then makes one batch for each partition, and takes or
/// refuses it as a whole. Of two, the second might be taken after the first was refused.
const BYTES_AT_ONCE: usize = 1 << 20;
/// Pauses until there is room, each twice the one before. Draining takes some ten milliseconds.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// What became of neighbours in the stream.
#[derive(Debug)]
struct Taken {
    /// Of each, in order; `None`: there was no room.
    outcomes: Vec<Option<ProduceOutcome>>,
    /// Why some have none.
    full: Option<AdminError>,
}

impl EmbeddedAdmin {
    /// Takes records in groups, so that a fast stream shares syncs and a slow one does not wait.
    pub(super) async fn produce_stream(
        &self,
        topic: &str,
        patience: Duration,
        mut records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Result<(), AdminError> {
        self.topic_named(topic).await?;
        let mut index = 0;
        let mut arrived = Vec::with_capacity(AT_ONCE);
        while records.recv_many(&mut arrived, AT_ONCE).await > 0 {
            let mut rest: VecDeque<Record> = arrived.drain(..).collect();
            while let Some((partition, run)) = next_run(&mut rest) {
                let Taken { mut outcomes, full } = self.produce_run(topic, partition, run, patience).await;
                // Behind the last that was taken nothing has an outcome.
                while matches!(outcomes.last(), Some(None)) {
                    outcomes.pop();
                }
                for outcome in outcomes {
                    let refused = || full.clone().map(|error| ProduceOutcome::Refused { error });
                    let Some(outcome) = outcome.or_else(refused) else {
                        continue;
                    };
                    if results.send(ProduceResult { index, outcome }).await.is_err() {
                        return Ok(());
                    }
                    index += 1;
                }
                if let Some(error) = full {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tries until each was stored or refused for what it is, or none was for as long as `patience`.
    async fn produce_run(
        &self,
        topic: &str,
        partition: Option<u32>,
        records: Vec<NewRecord>,
        patience: Duration,
    ) -> Taken {
        let mut outcomes = vec![None; records.len()];
        let mut left: Vec<(usize, NewRecord)> = records.into_iter().enumerate().collect();
        // Where there is no room for all of them there may be for some.
        let mut most = left.len();
        let mut pause = PAUSE_FIRST;
        let mut since = Instant::now();
        loop {
            let tried = most.min(left.len());
            let rest = left.split_off(tried);
            let records = left.iter().map(|(_, record)| record.clone()).collect();
            let results = self.engine.produce(topic, partition, records).await;
            let mut full = None;
            let mut refused = Vec::new();
            for (one, result) in left.into_iter().zip(results) {
                match result {
                    Err(error @ (ProduceError::JournalFull { .. } | ProduceError::TopicFull { .. })) => {
                        full = Some(error);
                        refused.push(one);
                    }
                    result => {
                        if let Some(place) = outcomes.get_mut(one.0) {
                            *place = Some(outcome(result));
                        }
                    }
                }
            }
            let taken = tried - refused.len();
            left = refused;
            left.extend(rest);
            if left.is_empty() {
                return Taken { outcomes, full: None };
            }
            let Some(error) = full else {
                most = tried * 2;
                continue;
            };
            if taken > 0 {
                pause = PAUSE_FIRST;
                since = Instant::now();
            } else if tried > 1 {
                most = tried / 2;
                continue;
            }
            let rest = patience.saturating_sub(since.elapsed());
            if rest.is_zero() {
                let full = Some(no_room(error, patience));
                return Taken { outcomes, full };
            }
            tokio::time::sleep(pause.min(rest)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Neighbours that wish for the same partition, or for none, and are not too many.
fn next_run(rest: &mut VecDeque<Record>) -> Option<(Option<u32>, Vec<NewRecord>)> {
    let partition = rest.front()?.partition;
    let mut run = Vec::new();
    let mut bytes = 0;
    while bytes < BYTES_AT_ONCE && rest.front().is_some_and(|record| record.partition == partition) {
        let Some(record) = rest.pop_front() else { break };
        bytes += len(&record);
        run.push(convert::new_record(record));
    }
    Some((partition, run))
}

/// As the engine counts.
fn len(record: &Record) -> usize {
    let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.iter().map(|one| one.name.len() + bytes(&one.value));
    bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>()
}

fn outcome(result: Result<share_engine::engine::Receipt, ProduceError>) -> ProduceOutcome {
    match result {
        Ok(receipt) => ProduceOutcome::Stored {
            partition: receipt.partition,
            offset: receipt.offset.get(),
        },
        Err(error) => ProduceOutcome::Refused { error: error.into() },
    }
}

fn no_room(error: ProduceError, waited: Duration) -> AdminError {
    let mut error = AdminError::from(error);
    if !waited.is_zero() {
        error.message = format!("{}; nothing was taken for {}", error.message, format_duration(waited));
    }
    error
}

#[cfg(test)]
mod tests;
