//! Reads batches that have left memory, so that neither the shard nor a caller waits for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::shard::{Found, Loaded, Overtaken, ReadFor, ToReader, ToShard};
use crate::error::AdminError;
use crate::log::{LogError, LogReader};

/// The reader thread's state.
pub(crate) struct Reader {
    inbox: Arc<Mailbox<ToReader>>,
    queue: VecDeque<ToReader>,
    shard: Arc<Mailbox<ToShard>>,
    stopped: bool,
}

/// However its thread ends: nobody waits for an answer of it any more.
impl Drop for Reader {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Reader {
    pub(crate) fn new(inbox: Arc<Mailbox<ToReader>>, shard: Arc<Mailbox<ToShard>>) -> Self {
        Self {
            inbox,
            queue: VecDeque::new(),
            shard,
            stopped: false,
        }
    }

    pub(crate) fn wait(&self) {
        self.inbox.wait(None);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped || self.inbox.is_closed()
    }

    /// Reads everything that was asked for. `false` if nothing was.
    pub(crate) fn step(&mut self) -> bool {
        self.inbox.take(&mut self.queue);
        let worked = !self.queue.is_empty();
        while let Some(message) = self.queue.pop_front() {
            let (log, from, max_bytes, answer) = match message {
                ToReader::Read {
                    log,
                    from,
                    max_bytes,
                    answer,
                } => (log, from, max_bytes, answer),
                ToReader::Find(wanted) => {
                    let find = |(partition, log, at): (_, LogReader, _)| Found {
                        partition,
                        result: log.offset_for_timestamp(at),
                        log,
                    };
                    self.shard.post(ToShard::Found(wanted.into_iter().map(find).collect()));
                    continue;
                }
                ToReader::Stop => {
                    self.stopped = true;
                    continue;
                }
            };
            let result = log.read(from, usize::try_from(max_bytes).unwrap_or(usize::MAX));
            match answer {
                ReadFor::Shard { partition, careful } => self.shard.post(ToShard::Loaded(Loaded {
                    partition,
                    from,
                    careful,
                    log,
                    result,
                })),
                ReadFor::Caller(caller) => {
                    let missing = result.as_ref().is_err_and(LogError::is_missing_file);
                    let result = result.map_err(|error| AdminError::Unreadable {
                        reason: error.to_string(),
                        resume: log.behind(from).get(),
                    });
                    match result {
                        Err(error) if missing => self.shard.post(ToShard::Overtaken(Overtaken {
                            caller,
                            from,
                            max_bytes,
                            log,
                            error,
                        })),
                        result => drop(caller.reply.send(result)),
                    }
                }
            }
        }
        worked
    }
}
