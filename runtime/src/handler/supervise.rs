//! Polls a guest call under its deadline, its cancellation and a net for panics. Guest code is stopped by the epoch callback; what waits
//! in a host call is stopped here. A timer is armed only for a call that really waits: most calls end in their first poll.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::time::Sleep;

use super::control::{CallControl, beginning, now};
use super::ticker::Activity;

/// How the polling ended.
pub(super) enum Supervised<T> {
    /// The future did.
    Done(T),
    /// Its time was over, or it was cancelled; it is to be dropped.
    Stopped,
    /// It panicked; it is to be dropped.
    Panicked(String),
}

/// Times the polls of one call.
pub(super) struct Clock {
    pub(super) busy: Duration,
    pub(super) ended: Instant,
}

impl Clock {
    /// Not running yet.
    pub(super) fn new() -> Self {
        Self {
            busy: Duration::ZERO,
            // Overwritten by the first poll; no reason to ask the system for the time.
            ended: beginning(),
        }
    }
}

/// What a call that really waits needs; made on its caller's frame, since futures are dear to move.
pub(super) struct Waiting<'p, 'c> {
    pub(super) timer: Pin<&'p mut Option<Sleep>>,
    pub(super) wake: Pin<&'p mut Option<Notified<'c>>>,
}

/// Drives `future`, which the caller drops afterwards; which `clock` times.
pub(super) fn supervise<'c, F: Future>(
    mut future: Pin<&mut F>,
    mut waiting: Waiting<'_, 'c>,
    control: &'c CallControl,
    activity: &Activity,
    clock: &mut Clock,
) -> impl Future<Output = Supervised<F::Output>> {
    let mut first = true;
    poll_fn(move |context| {
        let began = now();
        if !std::mem::take(&mut first) && control.must_stop(began) {
            return Poll::Ready(Supervised::Stopped);
        }
        activity.note();
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let ended = now();
        clock.busy += ended.duration_since(began);
        clock.ended = ended;
        match polled {
            Ok(Poll::Ready(value)) => Poll::Ready(Supervised::Done(value)),
            Err(panic) => Poll::Ready(Supervised::Panicked(panic_text(panic.as_ref()))),
            // Only made room for others: it is in the run queue already.
            Ok(Poll::Pending) if control.take_yield() => Poll::Pending,
            Ok(Poll::Pending) if waiting.is_over(control, ended, context) => Poll::Ready(Supervised::Stopped),
            Ok(Poll::Pending) => Poll::Pending,
        }
    })
}

impl<'c> Waiting<'_, 'c> {
    /// True when the call must stop; else `context` is woken when it must, or when its control changes.
    fn is_over(&mut self, control: &'c CallControl, at: Instant, context: &mut Context<'_>) -> bool {
        let Self { timer, wake } = self;
        // Cancellation first: it moves the time that the timer is armed for.
        loop {
            if wake.is_none() {
                wake.set(Some(control.wake.notified()));
            }
            match wake.as_mut().as_pin_mut().map(|wake| wake.poll(context)) {
                Some(Poll::Ready(())) => wake.set(None),
                Some(Poll::Pending) | None => break,
            }
        }
        if control.must_stop(at) {
            return true;
        }
        let stop = tokio::time::Instant::from_std(control.stop_instant());
        match timer.as_mut().as_pin_mut() {
            Some(armed) if armed.deadline() == stop => {}
            Some(armed) => armed.reset(stop),
            None => timer.set(Some(tokio::time::sleep_until(stop))),
        }
        timer
            .as_mut()
            .as_pin_mut()
            .is_some_and(|timer| timer.poll(context).is_ready())
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}
