//! The place of one slot in its station: what it runs, whether it waits, how to stop it. Belongs to one lane; shared by the slot's task and
//! its station.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use share_engine::time::Instant;

use super::chunk::Item;
use super::station::Station;
use crate::handler::{CallControl, CallEnd};

/// One slot, as its station sees it.
pub(crate) struct Seat {
    pub(crate) control: Arc<CallControl>,
    /// What it runs.
    pub(crate) current: RefCell<Option<Item>>,
    /// Counted among the slots that wait for the host, or have held their lane for long: no reason not to run another.
    pub(crate) stepped_aside: Cell<bool>,
    pub(crate) idle_since: Cell<Option<Instant>>,
    pub(crate) closing: Cell<bool>,
    /// When its call should have ended by itself.
    pub(crate) ends_at: Cell<Option<Instant>>,
    /// The call is dropped when this time has come.
    pub(crate) stop_at: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    pub(crate) fn new(control: Arc<CallControl>) -> Rc<Self> {
        Rc::new(Self {
            control,
            current: RefCell::new(None),
            stepped_aside: Cell::new(false),
            idle_since: Cell::new(None),
            closing: Cell::new(false),
            ends_at: Cell::new(None),
            stop_at: Cell::new(None),
            waker: RefCell::new(None),
        })
    }

    /// How a call ends that did not end by itself.
    fn stopped(&self, began: Instant, now: Instant) -> CallEnd {
        match self.ends_at.get() {
            Some(end) if end <= now && self.control.cancel_reason().is_none() => CallEnd::Deadline {
                limit: end.since(began),
            },
            _ => CallEnd::Cancelled,
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn remember(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }
}

/// Polls `future`, which runs a handler: catches its panics, drops it when the seat's time to stop has come, and tells the station when it
/// waits. `Err` is how the call ended without a report.
pub(crate) async fn guarded<F: Future>(
    station: &Rc<Station>,
    seat: &Seat,
    began: Instant,
    future: F,
) -> Result<F::Output, CallEnd> {
    let mut future = pin!(future);
    let mut resumed = Some(began);
    std::future::poll_fn(|context| {
        let polled_at = if let Some(at) = resumed.take() {
            at
        } else {
            station.step_in(seat);
            let now = station.now().monotonic;
            if seat.stop_at.get().is_some_and(|stop| stop <= now) {
                return Poll::Ready(Err(seat.stopped(began, now)));
            }
            now
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => return Poll::Ready(Ok(output)),
            Err(panic) => return Poll::Ready(Err(CallEnd::Panic(panic_text(panic.as_ref())))),
            Ok(Poll::Pending) => {}
        }
        seat.remember(context.waker());
        let now = station.now().monotonic;
        // A short poll that is not ready waits for the host; a long one was a guest making room, which comes back by itself.
        if now.since(polled_at) < SLICE || now.since(began) >= LONG {
            station.step_aside(seat);
        }
        Poll::Pending
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

/// A guest gives up its lane for others after this time, and not much before.
const SLICE: Duration = Duration::from_millis(1);

/// A call that has taken this long no longer keeps the records behind it waiting.
const LONG: Duration = Duration::from_millis(50);
