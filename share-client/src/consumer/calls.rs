//! Calls for settlements at one broker: who waits for which results.

use std::collections::HashMap;
use std::time::Instant;

use share_wire::message::AcknowledgeType;
use tokio::sync::oneshot;

use crate::session::{Lease, Outcome, Ticket};

/// Settlements and renewals for one broker.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) batch: Vec<(Lease, AcknowledgeType)>,
    /// Gets as many results, in their order.
    pub(super) reply: oneshot::Sender<Vec<Done>>,
}

/// What came of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Settled(Outcome),
    Renewed(Instant),
    NotRenewed,
}

/// Calls whose results are not complete.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u32,
    open: HashMap<u32, Open>,
    complete: Vec<Open>,
    unsettled: usize,
}

#[derive(Debug)]
struct Open {
    results: Vec<Done>,
    left: usize,
    reply: oneshot::Sender<Vec<Done>>,
}

impl Calls {
    /// What nobody waits for.
    pub(super) const NOBODY: Ticket = Ticket(0);

    /// A call begins. Its settlements bear the ticket that is returned, and the following numbers.
    pub(super) fn begin(&mut self, count: usize, reply: oneshot::Sender<Vec<Done>>) -> Ticket {
        self.last = self.last.wrapping_add(1).max(1);
        self.unsettled += count;
        let open = Open {
            results: vec![Done::NotRenewed; count],
            left: count,
            reply,
        };
        self.open.insert(self.last, open);
        Ticket(u64::from(self.last) << 32)
    }

    /// One of its results. Whoever waits is told by [`Calls::tell`].
    pub(super) fn done(&mut self, ticket: Ticket, done: Done) {
        let (call, index) = (ticket.0 >> 32, ticket.0 & u64::from(u32::MAX));
        let (Ok(call), Ok(index)) = (u32::try_from(call), usize::try_from(index)) else {
            return;
        };
        let Some(open) = self.open.get_mut(&call) else { return };
        if let Some(result) = open.results.get_mut(index) {
            *result = done;
            open.left -= 1;
            self.unsettled -= 1;
        }
        if open.left == 0
            && let Some(open) = self.open.remove(&call)
        {
            self.complete.push(open);
        }
    }

    /// Answers the calls that are complete.
    pub(super) fn tell(&mut self) {
        for open in self.complete.drain(..) {
            // Whoever asked may have gone.
            drop(open.reply.send(open.results));
        }
    }

    /// Results that are to come.
    pub(super) const fn unsettled(&self) -> usize {
        self.unsettled
    }
}
