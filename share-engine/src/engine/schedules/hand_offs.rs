//! Each hand-off by itself, in every schedule. Whoever waits has no time limit here: a wake-up that is lost is a deadlock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::model::{Builder, model};
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use crate::engine::block_on;
use crate::engine::gate::Gate;
use crate::engine::gauge::TopicGauge;
use crate::engine::mailbox::Mailbox;
use crate::engine::reply::{Sender, reply};
use crate::engine::routes::Routes;
use crate::engine::stats::EngineStats;
use crate::ids::PartitionKey;

/// Takes until so many have come.
fn receive<T>(mailbox: &Mailbox<T>, count: usize, timeout: Option<Duration>) -> Vec<T> {
    let (mut seen, mut queue) = (Vec::new(), VecDeque::new());
    while seen.len() < count {
        mailbox.wait(timeout);
        mailbox.take(&mut queue);
        seen.extend(queue.drain(..));
    }
    seen
}

const WAITS: [Option<Duration>; 2] = [None, Some(Duration::from_secs(1))];

#[test]
fn a_mailbox_wakes_its_receiver_for_every_message() {
    for timeout in WAITS {
        model(move || {
            let mailbox = Arc::new(Mailbox::default());
            let others = [10, 20].map(|first| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || {
                    mailbox.post(first);
                    mailbox.post(first + 1);
                })
            });
            let seen = receive(&mailbox, 4, timeout);
            for other in others {
                other.join().unwrap();
            }
            let from = |first| seen.iter().copied().filter(move |one| one / 10 == first / 10);
            assert!(
                from(10).eq([10, 11]) && from(20).eq([20, 21]),
                "each sender's in its order: {seen:?}"
            );
        });
    }
}

/// What is left without waking is found by whoever was nudged.
#[test]
fn what_was_left_is_found_with_the_nudge() {
    for timeout in WAITS {
        model(move || {
            let mailbox = Arc::new(Mailbox::default());
            let (left, posted) = (Arc::clone(&mailbox), Arc::clone(&mailbox));
            let first = thread::spawn(move || {
                left.leave(1);
                left.nudge();
            });
            let second = thread::spawn(move || posted.post(2));
            let mut seen = receive(&mailbox, 2, timeout);
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

/// What a nudge is about lies elsewhere: one that comes before the wait is not forgotten.
#[test]
fn a_nudge_that_comes_first_is_kept() {
    for timeout in WAITS {
        model(move || {
            let mailbox: Arc<Mailbox<u64>> = Arc::default();
            let elsewhere = Arc::new(AtomicBool::new(false));
            let (nudged, left) = (Arc::clone(&mailbox), Arc::clone(&elsewhere));
            let other = thread::spawn(move || {
                left.store(true, Ordering::Relaxed);
                nudged.nudge();
            });
            while !elsewhere.load(Ordering::Relaxed) {
                mailbox.wait(timeout);
            }
            other.join().unwrap();
        });
    }
}

/// An answer that was asked for is had, whichever comes first: the question, the end of whoever would have answered, or his look at
/// the question.
#[test]
fn a_mailbox_that_closes_answers_everybody() {
    for timeout in WAITS {
        model(move || {
            let mailbox: Arc<Mailbox<Sender<u64>>> = Arc::default();
            let (asked, closed) = (Arc::clone(&mailbox), Arc::clone(&mailbox));
            let receiver = thread::spawn(move || {
                let mut queue = VecDeque::new();
                while !mailbox.is_closed() {
                    mailbox.wait(timeout);
                    mailbox.take(&mut queue);
                    for one in queue.drain(..) {
                        one.send(7).unwrap();
                    }
                }
            });
            let closer = thread::spawn(move || closed.close());
            let (sender, answer) = reply();
            asked.post(sender);
            assert!(matches!(block_on(answer), None | Some(7)));
            closer.join().unwrap();
            receiver.join().unwrap();
        });
    }
}

/// Who counts how often it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_answer_wakes_whoever_waits() {
    for answered in [true, false] {
        model(move || {
            let (sender, answer) = reply();
            let other = thread::spawn(move || {
                if answered {
                    sender.send(7).unwrap();
                }
            });
            assert_eq!(block_on(answer), answered.then_some(7));
            other.join().unwrap();
        });
    }
}

/// An acquisition that nobody waits for any more goes back to the engine: the answer is dropped, here or there, once.
#[test]
fn an_answer_that_nobody_takes_is_dropped_once() {
    model(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (sender, answer) = reply();
        let value = Dropped(Arc::clone(&count));
        let other = thread::spawn(move || {
            let abandoned = sender.is_abandoned();
            let back = sender.send(value);
            assert!(!abandoned || back.is_err(), "who has gone does not come back");
        });
        drop(answer);
        other.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future that moves from one task to another is woken where it was polled last.
#[test]
fn an_answer_wakes_the_last_who_asked() {
    model(|| {
        let (sender, mut answer) = reply();
        let other = thread::spawn(move || sender.send(7).unwrap());
        let rings = Arc::new(Rings(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&rings));
        match Future::poll(std::pin::Pin::new(&mut answer), &mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => assert_eq!(answer, Some(7)),
            Poll::Pending => assert_eq!(block_on(answer), Some(7)),
        }
        other.join().unwrap();
    });
}

/// Everybody comes in, and never more at once than the limit allows.
#[test]
fn a_gate_lets_everybody_in() {
    let mut most_schedules = Builder::new();
    most_schedules.preemption_bound = Some(3);
    most_schedules.check(|| {
        let gate = Gate::new(10);
        let inside = Arc::new(AtomicU64::new(0));
        let enter = |amount| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            move || {
                let pass = gate.enter(amount).or_else(|turn| block_on(turn).ok_or(())).unwrap();
                assert!(inside.fetch_add(amount, Ordering::Relaxed) + amount <= 10);
                inside.fetch_sub(amount, Ordering::Relaxed);
                drop(pass);
            }
        };
        let others = [thread::spawn(enter(8)), thread::spawn(enter(3))];
        enter(7)();
        for other in others {
            other.join().unwrap();
        }
        assert!(gate.enter(10).is_ok(), "everything was given back");
    });
}

/// A caller who went away while it was its turn, or just before, takes nothing with it.
#[test]
fn a_gate_takes_back_what_nobody_waits_for() {
    model(|| {
        let gate = Gate::new(10);
        let first = gate.enter(10).unwrap();
        let impatient = Arc::clone(&gate);
        let second = thread::spawn(move || drop(impatient.enter(10)));
        let patient = Arc::clone(&gate);
        let third = thread::spawn(move || drop(patient.enter(4).or_else(|turn| block_on(turn).ok_or(())).unwrap()));
        drop(first);
        second.join().unwrap();
        third.join().unwrap();
        assert!(gate.enter(10).is_ok(), "everything was given back");
    });
}

#[test]
fn a_gauge_loses_no_byte() {
    model(|| {
        let gauge = Arc::new(TopicGauge::new("orders", None));
        gauge.add(10);
        let (added, dropped) = (Arc::clone(&gauge), Arc::clone(&gauge));
        let first = thread::spawn(move || added.add(5));
        let second = thread::spawn(move || dropped.subtract(3));
        gauge.subtract(4);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(gauge.bytes(), 8);
    });
}

/// The first cause stands; a sync is in the sum and in the list, or in neither yet.
#[test]
fn statistics_are_read_while_they_are_written() {
    model(|| {
        let stats = Arc::new(EngineStats::default());
        let written = Arc::clone(&stats);
        let other = thread::spawn(move || {
            written.died("one");
            written.synced(Duration::from_nanos(5));
        });
        stats.died("two");
        let first = stats.snapshot().died;
        let taken = stats.take_syncs().len();
        other.join().unwrap();
        let last = stats.snapshot();
        assert_eq!(first, last.died);
        assert_eq!((last.syncs, last.sync_nanos, last.sync_nanos_max), (1, 5, 5));
        assert_eq!(taken + stats.take_syncs().len(), 1);
    });
}

#[test]
fn routes_are_whole() {
    model(|| {
        let routes = Arc::new(Routes::default());
        let publish = |keys: &[u32]| {
            let keys: Vec<_> = keys.iter().copied().map(PartitionKey).collect();
            BTreeMap::from([("orders".to_owned(), keys.into())])
        };
        routes.publish(publish(&[1]));
        let (writer, more) = (Arc::clone(&routes), publish(&[1, 2]));
        let other = thread::spawn(move || writer.publish(more));
        let before = routes.find("orders").unwrap().len();
        let after = routes.find("orders").unwrap().len();
        assert!(before <= after, "what was told stays told");
        other.join().unwrap();
        assert_eq!(routes.find("orders").unwrap().len(), 2);
    });
}
