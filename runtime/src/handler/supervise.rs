//! Polls a guest call under its deadline, its cancellation and a net for panics. Guest code is stopped by the epoch callback; what waits
//! in a host call is stopped here. A timer is armed only for a call that really waits: most calls end in their first poll.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::control::{CallControl, now};
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

/// Drives `future`, which the caller drops afterwards; adds the time spent in polls to `busy`.
pub(super) async fn supervise<F: Future>(
    future: F,
    control: &CallControl,
    activity: &Activity,
    busy: &mut Duration,
) -> Supervised<F::Output> {
    let mut future = pin!(future);
    let mut timer = pin!(None::<tokio::time::Sleep>);
    let mut wake = pin!(None::<tokio::sync::futures::Notified<'_>>);
    let mut first = true;
    poll_fn(|context| {
        let began = now();
        if !std::mem::take(&mut first) && control.must_stop(began) {
            return Poll::Ready(Supervised::Stopped);
        }
        activity.note();
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let ended = now();
        *busy += ended.duration_since(began);
        match polled {
            Ok(Poll::Ready(value)) => return Poll::Ready(Supervised::Done(value)),
            Err(panic) => return Poll::Ready(Supervised::Panicked(panic_text(panic.as_ref()))),
            Ok(Poll::Pending) => {}
        }
        if control.take_yield() {
            // Only made room for others: it is in the run queue already.
            return Poll::Pending;
        }
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
        if control.must_stop(ended) {
            return Poll::Ready(Supervised::Stopped);
        }
        let stop = tokio::time::Instant::from_std(control.stop_instant());
        match timer.as_mut().as_pin_mut() {
            Some(armed) if armed.deadline() == stop => {}
            Some(armed) => armed.reset(stop),
            None => timer.set(Some(tokio::time::sleep_until(stop))),
        }
        match timer.as_mut().as_pin_mut().map(|timer| timer.poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Supervised::Stopped),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}
