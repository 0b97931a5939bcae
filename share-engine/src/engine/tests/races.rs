//! What a member does with a record in the very instant in which its lease ends, in every order of the turns that the shard and the journal
//! may take before, between and after. Either the member comes in time, or the record goes to the next: never both, never neither.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::harness::*;
use crate::config::GroupConfig;
use crate::engine::{Delivery, Member, Outcome, Part, Settlement};
use crate::error::{RefusedBy, SettleResult};
use crate::ids::Continuation;
use crate::share::AcquireMode;
use crate::storage::CrashPlan;
use crate::time::Clock;

/// What the member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Accept,
    Emit,
    Reject,
    Release,
    Park,
    GiveBack,
    Extend,
    Leave,
}

/// When what happens: `turns` has a bit for each turn, set where it is the journal's.
#[derive(Clone, Copy, Debug)]
struct Order {
    turns: u32,
    /// Before which turn the lease ends, and before which the member acts.
    end: u32,
    act: u32,
    /// Where both are before the same turn.
    end_first: bool,
    /// The shard commits by itself.
    together: bool,
    /// Another member waits for records already.
    waits: bool,
}

const TURNS: u32 = 5;

fn orders() -> impl Iterator<Item = Order> {
    let places = (0..=TURNS).flat_map(|end| (0..=TURNS).map(move |act| (end, act)));
    places
        .flat_map(|(end, act)| {
            (0..8 << TURNS).map(move |bits: u32| Order {
                turns: bits >> 3,
                end,
                act,
                end_first: bits & 1 != 0,
                together: bits & 2 != 0,
                waits: bits & 4 != 0,
            })
        })
        // Which comes first matters in one place only.
        .filter(|order| order.end == order.act || order.end_first)
}

/// Came in time, or too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    InTime,
    Late,
}

type Call = Pin<Box<dyn Future<Output = Came>>>;

fn begin(act: Act, member: &Member, held: &Delivery) -> Call {
    let (member, lease) = (member.clone(), held.lease);
    let outcome = match act {
        Act::Extend => {
            return Box::pin(async move { came(member.renew(vec![lease]).await[0].is_ok()) });
        }
        Act::Leave => {
            return Box::pin(async move { came(member.leave().await.is_ok()) });
        }
        Act::Accept => accept(),
        Act::Emit => emit("lines", &["x".to_owned()]),
        Act::Reject => Outcome::Reject { reason: None },
        Act::Release => Outcome::Release {
            after: None,
            reason: None,
        },
        Act::Park => Outcome::Renew {
            after: Duration::ZERO,
            checkpoint: None,
        },
        Act::GiveBack => Outcome::GiveBack,
    };
    Box::pin(async move {
        let settlement = Settlement {
            lease,
            outcome,
            evidence: None,
        };
        match &member.settle(vec![settlement]).await[..] {
            [SettleResult::Applied] => Came::InTime,
            [SettleResult::Stale] => Came::Late,
            // The end of the lease is on its way to the disk: nothing was done, and whoever asks again is late.
            [SettleResult::Refused(refused)] if refused.by == RefusedBy::Other => Came::Late,
            other => panic!("{other:?}"),
        }
    })
}

fn came(in_time: bool) -> Came {
    if in_time { Came::InTime } else { Came::Late }
}

struct Race {
    world: World,
    engine: Running,
    /// Holds the record; the other may get it.
    first: Member,
    second: Member,
}

impl Race {
    fn new() -> Self {
        let world = World::new();
        let mut engine = world.open();
        engine.topic("orders");
        engine.topic("lines");
        let first = engine.group("work", "orders", GroupConfig::default());
        let second = engine.join("work", "orders");
        Self {
            world,
            engine,
            first,
            second,
        }
    }

    fn run(&mut self, act: Act, order: Order) -> Came {
        let what = format!("{act:?} {order:?}");
        let first = if act == Act::Leave {
            self.engine.join("work", "orders")
        } else {
            self.first.clone()
        };
        self.engine.produce("orders", &["a"]);
        let held = self.engine.acquire(&first, 1).remove(0);
        // An extension now ends later than the lease did.
        self.engine.advance(Duration::from_secs(10));
        let before = self.engine.engine.stats();
        let second = self.second.clone();
        let mut next = pin!(second.acquire(10, u64::MAX, AcquireMode::RecordLimit));
        if order.waits {
            assert!(poll(next.as_mut()).is_none());
            self.engine.pump.run();
        }
        let mut call = begin(act, &first, &held);
        self.turns(&held, order, &mut call);
        self.engine.pump.run();
        let came = poll(call.as_mut()).unwrap_or_else(|| panic!("no answer: {what}"));
        // A lease may end a little late.
        self.engine.advance(Duration::from_millis(50));
        let again = poll(next.as_mut()).or_else(|| {
            self.engine.pump.run();
            poll(next.as_mut())
        });
        let again: Vec<(u16, Continuation, Delivery)> = again
            .unwrap_or(Ok(Vec::new()))
            .unwrap()
            .into_iter()
            .map(|one| (one.lease.delivery_count.get(), one.lease.continuation, one))
            .collect();
        let found: Vec<_> = again
            .iter()
            .map(|(count, continuation, one)| (one.offset(), *count, continuation.get()))
            .collect();
        let wanted = match (act, came) {
            (Act::Accept | Act::Emit | Act::Reject | Act::Extend, Came::InTime) => vec![],
            (Act::GiveBack | Act::Park, Came::InTime) => vec![(held.offset(), 1, 1)],
            (Act::Release | Act::Leave, Came::InTime) | (_, Came::Late) => vec![(held.offset(), 2, 0)],
        };
        assert_eq!(found, wanted, "{came:?}: {what}");
        self.end(act, came, &held, again.into_iter().map(|one| one.2).collect(), &what);
        let after = self.engine.engine.stats();
        assert_eq!(after.deliveries - before.deliveries, wanted.len() as u64, "{what}");
        let expired = after.expired - before.expired;
        match act {
            // Whether it left or time was faster does not show.
            Act::Leave => assert!(expired <= 1, "{what}"),
            _ => assert_eq!(expired, u64::from(came == Came::Late), "{what}"),
        }
        came
    }

    fn turns(&mut self, held: &Delivery, order: Order, call: &mut Call) {
        self.engine.pump.set_together(order.together);
        for turn in 0..=TURNS {
            let end = || {
                let left = held.deadline.since(self.world.clock.now().monotonic);
                self.world.clock.advance(left);
            };
            let mut act = || assert_eq!(poll(call.as_mut()), None, "the engine has not had its turn");
            match (turn == order.end, turn == order.act) {
                (true, true) if order.end_first => {
                    end();
                    act();
                }
                (true, true) => {
                    act();
                    end();
                }
                (true, false) => end(),
                (false, true) => act(),
                (false, false) => {}
            }
            if turn < TURNS {
                let part = if order.turns >> turn & 1 == 1 {
                    Part::Journal
                } else {
                    Part::Shard
                };
                self.engine.pump.step(part);
            }
        }
    }

    /// Whoever holds it now ends it; it comes never again.
    fn end(&mut self, act: Act, came: Came, held: &Delivery, again: Vec<Delivery>, what: &str) {
        if (act, came) == (Act::Extend, Came::InTime) {
            self.engine.accept(&self.first.clone(), std::slice::from_ref(held));
        } else if act != Act::Leave {
            let late = self.engine.settle(&self.first.clone(), vec![(held.lease, accept())]);
            assert_eq!(late, [SettleResult::Stale], "{what}");
        }
        self.engine.accept(&self.second.clone(), &again);
        self.engine.advance(Duration::from_secs(31));
        assert!(self.engine.try_acquire(&self.second.clone(), 10).is_empty(), "{what}");
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Every order for each act, both ends seen; and a process that dies afterwards brings nothing back.
fn all(acts: &[Act]) {
    for act in acts {
        let mut race = Race::new();
        let (mut in_time, mut late) = (0, 0);
        for order in orders() {
            match race.run(*act, order) {
                Came::InTime => in_time += 1,
                Came::Late => late += 1,
            }
        }
        assert!(
            in_time > 0 && (late > 0 || *act == Act::Leave),
            "{act:?}: {in_time} {late}"
        );
        let after = race.world.after(race.world.storage.crash(CrashPlan::Keep));
        let mut engine = after.open();
        let member = engine.join("work", "orders");
        assert!(engine.try_acquire(&member, 10).is_empty(), "{act:?}");
    }
}

#[test]
fn an_end_and_the_end_of_the_lease() {
    all(&[Act::Accept, Act::Emit, Act::Reject]);
}

#[test]
fn a_return_and_the_end_of_the_lease() {
    all(&[Act::Release, Act::Park, Act::GiveBack]);
}

#[test]
fn an_extension_or_a_leave_and_the_end_of_the_lease() {
    all(&[Act::Extend, Act::Leave]);
}
