//! Events that nobody has taken yet. Those of one kind become one, so that there are few at any time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use share_wire::code::ErrorCode;

use super::Event;
use crate::session::Lease;

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct News {
    lost: Vec<Lease>,
    partitions: Option<u32>,
    /// What was told last, and what is now.
    told: Option<String>,
    trouble: Option<String>,
    refused: BTreeMap<(Arc<str>, ErrorCode), String>,
    failed: VecDeque<String>,
    waker: Option<Waker>,
}

impl News {
    /// Leases are lost. Beyond [`LOST_MAX`] they are not told: settling one of them says so too.
    pub(super) fn lost(&mut self, leases: Vec<Lease>) {
        let room = LOST_MAX.saturating_sub(self.lost.len());
        self.lost.extend(leases.into_iter().take(room));
        self.wake();
    }

    pub(super) fn assigned(&mut self, partitions: usize) {
        self.partitions = Some(u32::try_from(partitions).unwrap_or(u32::MAX));
        self.wake();
    }

    /// Why nothing can be acquired, if nothing can.
    pub(super) fn trouble(&mut self, reason: Option<String>) {
        self.trouble = reason;
        self.wake();
    }

    pub(super) fn refused(&mut self, topic: Arc<str>, code: ErrorCode, reason: String) {
        self.refused.insert((topic, code), reason);
        self.wake();
    }

    pub(super) fn failed(&mut self, reason: String) {
        // It fails once.
        if self.failed.is_empty() {
            self.failed.push_back(reason);
        }
        self.wake();
    }

    /// The next event.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.next() {
            return Poll::Ready(event);
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn next(&mut self) -> Option<Event> {
        if !self.lost.is_empty() {
            return Some(Event::LeasesLost(std::mem::take(&mut self.lost)));
        }
        if let Some(partitions) = self.partitions.take() {
            return Some(Event::AssignmentChanged { partitions });
        }
        if let Some(((topic, code), reason)) = self.refused.pop_first() {
            return Some(Event::Refused { topic, code, reason });
        }
        if let Some(reason) = self.failed.pop_front() {
            return Some(Event::Failed { reason });
        }
        // Another reason for the same trouble is no news.
        if self.told.is_some() == self.trouble.is_some() {
            return None;
        }
        self.told.clone_from(&self.trouble);
        Some(match &self.told {
            Some(reason) => Event::Unavailable { reason: reason.clone() },
            None => Event::Available,
        })
    }

    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// More leases than brokers hand out to one member.
const LOST_MAX: usize = 100_000;
