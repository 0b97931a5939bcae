//! One deployment on one lane: its queue, its slots, the outcomes on their way out. Everything here belongs to one thread; no borrow is
//! held across an await. Driven by slots, and by the foreman ([`super::foreman`]) that opens and closes them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::Poll;
use std::time::Duration;

use share_engine::time::{Instant, Now};

use super::chunk::{Chunk, Item};
use super::outbox::{Outbox, Outcome};
use super::seat::Seat;
use super::shared::{DeploymentShared, Inbox, Notice, Stage, StationShared};
use crate::dispatch::Fair;
use crate::handler::{CallControl, CallEnd, CallReport, CancelReason};
use crate::settle::{Attempt, Decision, Desk, start_fault};
use crate::source::Source;
use crate::supervisor::{DeploymentSpec, HostContext};

/// See the module.
pub(crate) struct Station {
    pub(crate) deployment: Arc<DeploymentShared>,
    pub(crate) shared: Arc<StationShared>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) context: HostContext,
    pub(crate) outbox: RefCell<Outbox>,
    pub(crate) desk: RefCell<Desk>,
    fair: Rc<RefCell<Fair>>,
    fair_key: usize,
    next_id: Rc<Cell<u64>>,
    queue: RefCell<VecDeque<(Arc<Chunk>, usize)>>,
    notices: RefCell<Vec<Notice>>,
    seats: RefCell<Vec<Rc<Seat>>>,
    /// The last to fall idle is the first to be called again.
    idle: RefCell<Vec<Rc<Seat>>>,
    aside: Cell<usize>,
    /// Opening a worker failed: no further slot before this time.
    closed_until: Cell<Option<Instant>>,
    calls: Cell<Calls>,
}

/// What slots measured since it was last published.
#[derive(Clone, Copy, Default)]
struct Calls {
    ended: usize,
    healthy: u64,
    unhealthy: u64,
    wall: Duration,
    busy: Duration,
}

impl Station {
    pub(crate) fn new(
        deployment: Arc<DeploymentShared>,
        shared: Arc<StationShared>,
        source: Arc<dyn Source>,
        context: HostContext,
        module: Arc<str>,
        fair: Rc<RefCell<Fair>>,
        next_id: Rc<Cell<u64>>,
    ) -> Rc<Self> {
        let desk = Desk::new(&deployment.spec, module, context.entropy.clone());
        let fair_key = fair.borrow_mut().join();
        Rc::new(Self {
            deployment,
            shared,
            source,
            context,
            outbox: RefCell::default(),
            desk: RefCell::new(desk),
            fair,
            fair_key,
            next_id,
            queue: RefCell::default(),
            notices: RefCell::default(),
            seats: RefCell::default(),
            idle: RefCell::default(),
            aside: Cell::new(0),
            closed_until: Cell::new(None),
            calls: Cell::default(),
        })
    }

    pub(crate) fn spec(&self) -> &DeploymentSpec {
        &self.deployment.spec
    }

    pub(crate) fn now(&self) -> Now {
        self.context.clock.now()
    }

    pub(crate) fn std_instant(&self, at: Instant) -> std::time::Instant {
        self.context.anchor.std_instant(at)
    }

    /// Names a delivery in host calls and logs; never 0, never the same on two lanes.
    pub(crate) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Calls after which a new worker is replaced: the configured number, 20 % around.
    pub(crate) fn draw_reuse(&self) -> u32 {
        let most = u64::from(self.spec().max_instance_reuse.max(1));
        let fifth = most / 5;
        let drawn = most - fifth + self.context.entropy.next_u64() % (2 * fifth + 1);
        u32::try_from(drawn).unwrap_or(u32::MAX)
    }

    // Slots.

    /// The next record for `seat`; `None` when the slot is to end.
    pub(crate) async fn next(&self, seat: &Rc<Seat>) -> Option<Item> {
        std::future::poll_fn(|context| {
            if seat.closing.get() {
                return Poll::Ready(None);
            }
            if let Some(item) = self.pop() {
                return Poll::Ready(Some(item));
            }
            if seat.idle_since.get().is_none() {
                seat.idle_since.set(Some(self.now().monotonic));
                self.shared.bell.notify_one();
            }
            seat.remember(context.waker());
            let mut idle = self.idle.borrow_mut();
            if !idle.iter().any(|other| Rc::ptr_eq(other, seat)) {
                idle.push(seat.clone());
            }
            Poll::Pending
        })
        .await
    }

    fn pop(&self) -> Option<Item> {
        if self.deployment.stage() != Stage::Running || self.outbox.borrow().is_full() {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        if queue.is_empty() {
            self.take_inbox(&mut queue);
        }
        let (chunk, next) = queue.front_mut()?;
        let index = *next;
        *next += 1;
        if *next < chunk.deliveries().len() {
            let chunk = chunk.clone();
            return Some(Item { chunk, index });
        }
        let (chunk, _) = queue.pop_front()?;
        Some(Item { chunk, index })
    }

    /// A record that was lost while it waited.
    pub(crate) fn skip(&self) {
        let mut calls = self.calls.get();
        calls.ended += 1;
        self.calls.set(calls);
        self.outbox.borrow_mut().tally.dropped += 1;
    }

    /// A call came to its end.
    pub(crate) fn ended(&self, item: Item, started: Now, now: Now, report: CallReport) {
        let wall = now.monotonic.since(started.monotonic);
        let mut calls = self.calls.get();
        calls.ended += 1;
        calls.wall += wall;
        calls.busy += report.cpu;
        let mut outbox = self.outbox.borrow_mut();
        outbox.tally.handler.record(wall);
        match item.delivery() {
            Some(delivery) if item.chunk.end(item.index) => {
                let attempt = Attempt::of(delivery, now.monotonic);
                let Decision {
                    settlement,
                    end,
                    healthy,
                    fault,
                } = self
                    .desk
                    .borrow_mut()
                    .decide(delivery.lease, attempt, report.end, report.emitted, report.log_tail);
                calls.healthy += u64::from(healthy);
                calls.unhealthy += u64::from(!healthy);
                if let Some(text) = fault {
                    let deployment = &*self.spec().name;
                    let faults = &self.deployment.faults;
                    faults.warn(now.monotonic, deployment, "a record could not be handled", &text);
                } else if healthy {
                    self.deployment.faults.worked();
                }
                outbox.tally.ends.add(end);
                outbox.push(Outcome { item, settlement });
            }
            // Its lease is gone, and with it whatever the call came to.
            _ => outbox.tally.dropped += 1,
        }
        self.calls.set(calls);
    }

    /// Whether starts have failed so often that none is to be tried now.
    pub(crate) fn rests(&self, now: Instant) -> bool {
        self.deployment.faults.rest(now).is_some()
    }

    /// A record reached no instance. `end`: how the start of one failed; `None`: it was not tried. The record goes back as it came.
    pub(crate) fn not_started(&self, item: Item, started: Now, now: Now, end: Option<&CallEnd>) {
        let mut calls = self.calls.get();
        calls.ended += 1;
        let faults = &self.deployment.faults;
        let mut outbox = self.outbox.borrow_mut();
        let (fault, delay) = if let Some(end) = end {
            let wall = now.monotonic.since(started.monotonic);
            calls.unhealthy += 1;
            calls.wall += wall;
            calls.busy += wall;
            outbox.tally.ends.add("failed-start");
            let fault = start_fault(end);
            // A start that had only the rest of an attempt says nothing of the next one.
            let cut_short = matches!(end, CallEnd::Deadline { limit } if *limit < self.spec().deadline);
            let delay = if cut_short {
                Duration::ZERO
            } else {
                let random = self.context.entropy.next_u64();
                faults.start_failed(now.monotonic, &self.spec().name, &fault, random)
            };
            (fault, delay)
        } else {
            (faults.last_start(), faults.rest(now.monotonic).unwrap_or_default())
        };
        match item.delivery() {
            Some(delivery) if item.chunk.end(item.index) => {
                let attempt = Attempt::of(delivery, now.monotonic);
                let desk = self.desk.borrow();
                let settlement = desk.not_started(delivery.lease, attempt, &fault, delay);
                outbox.push(Outcome { item, settlement });
            }
            _ => outbox.tally.dropped += 1,
        }
        self.calls.set(calls);
    }

    /// The slice of a slot is over: others of this lane come first that have had less.
    pub(crate) async fn make_room(&self, used: Duration) {
        let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.fair.borrow_mut().charge(self.fair_key, nanos);
        self.shared.bell.notify_one();
        self.fair.borrow_mut().enter(self.fair_key);
        loop {
            tokio::task::yield_now().await;
            if self.fair.borrow_mut().admits(self.fair_key) {
                break;
            }
        }
        self.fair.borrow_mut().leave(self.fair_key);
    }

    /// The slot waits: another may run meanwhile.
    pub(crate) fn step_aside(&self, seat: &Seat) {
        if !seat.stepped_aside.replace(true) {
            self.aside.set(self.aside.get() + 1);
            self.shared.bell.notify_one();
        }
    }

    pub(crate) fn step_in(&self, seat: &Seat) {
        if seat.stepped_aside.replace(false) {
            self.aside.set(self.aside.get() - 1);
        }
    }

    pub(crate) fn opened(&self) {
        self.closed_until.set(None);
        self.deployment.faults.worked();
        self.outbox.borrow_mut().tally.opened += 1;
    }

    /// Opening one more worker now would fail as well: the pool is used up, or the component does not start.
    pub(crate) fn could_not_open(&self) {
        self.closed_until.set(Some(self.now().monotonic.after(REOPEN)));
    }

    /// The slot is gone, in whatever way.
    pub(crate) fn vacate(&self, seat: &Rc<Seat>) {
        self.step_in(seat);
        self.seats.borrow_mut().retain(|other| !Rc::ptr_eq(other, seat));
        self.idle.borrow_mut().retain(|other| !Rc::ptr_eq(other, seat));
        if let Some(item) = seat.current.borrow_mut().take() {
            self.give_back(item);
        }
        self.shared.bell.notify_one();
    }

    // The foreman.

    /// Takes what was handed over, and what was told about it.
    pub(crate) fn handle_inbox(&self) {
        self.take_inbox(&mut self.queue.borrow_mut());
        for notice in self.notices.take() {
            let (item, until) = match &notice {
                Notice::Lost(item) => (item, None),
                Notice::Extended(item, until) => (item, Some(*until)),
            };
            let seats = self.seats.borrow();
            let runs = |seat: &&Rc<Seat>| seat.current.borrow().as_ref().is_some_and(|current| current.is(item));
            match (seats.iter().find(runs), until) {
                (Some(seat), Some(until)) => seat.control.set_lease_until(self.std_instant(until)),
                (Some(seat), None) => self.cancel(seat, CancelReason::LeaseLost, GRACE),
                (None, _) => {}
            }
        }
    }

    fn take_inbox(&self, queue: &mut VecDeque<(Arc<Chunk>, usize)>) {
        let Inbox { chunks, notices } = self.shared.take_inbox();
        queue.extend(chunks.into_iter().map(|chunk| (chunk, 0)));
        if !notices.is_empty() {
            self.notices.borrow_mut().extend(notices);
            self.shared.bell.notify_one();
        }
    }

    /// If records wait and no slot is about to run: the seat of a new slot, or nothing when an idle one was woken.
    pub(crate) fn staff(&self) -> Option<Rc<Seat>> {
        if self.deployment.stage() != Stage::Running || self.queue.borrow().is_empty() || self.outbox.borrow().is_full()
        {
            return None;
        }
        let open = self.seats.borrow().len();
        let mut idle = self.idle.borrow_mut();
        if open > idle.len() + self.aside.get() {
            return None;
        }
        if let Some(seat) = idle.pop() {
            seat.wake();
            return None;
        }
        let now = self.now().monotonic;
        let may_open = self.closed_until.get().is_none_or(|until| until <= now);
        // Somebody has to find out whether workers can be opened again.
        (open < self.shared.places && (may_open || open == 0)).then(|| self.seat())
    }

    /// The seat of a new slot.
    pub(crate) fn seat(&self) -> Rc<Seat> {
        let seat = Seat::new(CallControl::new(self.spec().deadline));
        self.seats.borrow_mut().push(seat.clone());
        seat
    }

    /// Stops calls that should have stopped by themselves, closes slots that have been idle for long.
    pub(crate) fn look_around(&self, now: Instant) {
        let timeout = self.spec().idle_instance_timeout;
        let mut idle = self.idle.borrow_mut();
        idle.retain(|seat| {
            let stays = seat.idle_since.get().is_none_or(|since| now.since(since) < timeout);
            if !stays {
                seat.closing.set(true);
                seat.wake();
            }
            stays
        });
        drop(idle);
        for seat in self.seats.borrow().iter() {
            if seat.stop_at.get().is_some_and(|stop| stop <= now) {
                seat.wake();
            } else if let Some(end) = seat.ends_at.get().filter(|end| *end <= now)
                && seat.stop_at.get().is_none()
            {
                seat.stop_at.set(Some(end.after(STUBBORN)));
            }
        }
    }

    /// Asks every running call to end.
    pub(crate) fn cancel_all(&self, grace: Duration) {
        for seat in self.seats.borrow().iter() {
            if seat.current.borrow().is_some() && seat.stop_at.get().is_none() {
                self.cancel(seat, CancelReason::Shutdown, grace);
            }
        }
    }

    fn cancel(&self, seat: &Seat, reason: CancelReason, grace: Duration) {
        seat.control.cancel(reason, grace);
        seat.stop_at.set(Some(self.now().monotonic.after(grace + STUBBORN)));
        seat.wake();
    }

    /// Hands back everything that was not started.
    pub(crate) fn give_back_waiting(&self) {
        let waiting: Vec<(Arc<Chunk>, usize)> = self.queue.borrow_mut().drain(..).collect();
        for (chunk, next) in waiting {
            for index in next..chunk.deliveries().len() {
                let chunk = chunk.clone();
                self.give_back(Item { chunk, index });
            }
        }
    }

    fn give_back(&self, item: Item) {
        let mut calls = self.calls.get();
        calls.ended += 1;
        self.calls.set(calls);
        let lease = item.delivery().map(|delivery| delivery.lease);
        if let Some(lease) = lease.filter(|_| item.chunk.end(item.index)) {
            let settlement = Desk::give_back(lease);
            self.outbox.borrow_mut().push(Outcome { item, settlement });
        }
    }

    /// Closes every slot that runs nothing; tells the others' calls that the end is wished for.
    pub(crate) fn close_idle(&self) {
        for seat in self.seats.borrow().iter() {
            seat.closing.set(true);
            seat.control.ask_to_end();
            if seat.current.borrow().is_none() {
                seat.wake();
            }
        }
    }

    /// How many slots are open, how many of them idle, how many wait.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        (self.seats.borrow().len(), self.idle.borrow().len(), self.aside.get())
    }

    /// Tells the dispatcher what was measured, and that there is room.
    pub(crate) fn publish(&self) {
        let calls = self.calls.take();
        if calls.ended == 0 {
            return;
        }
        let measured = &self.shared.measured;
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        measured.wall_nanos.fetch_add(nanos(calls.wall), Ordering::Relaxed);
        measured.busy_nanos.fetch_add(nanos(calls.busy), Ordering::Relaxed);
        measured.unhealthy.fetch_add(calls.unhealthy, Ordering::Relaxed);
        measured.healthy.fetch_add(calls.healthy, Ordering::Relaxed);
        let held = self.shared.held.fetch_sub(calls.ended, Ordering::AcqRel) - calls.ended;
        fence(Ordering::SeqCst);
        let refill_at = self.shared.refill_at.load(Ordering::Acquire);
        let low = i64::try_from(held).unwrap_or(i64::MAX) <= refill_at;
        let wanted = low || self.deployment.stage() != Stage::Running;
        if wanted && self.deployment.hungry.swap(false, Ordering::AcqRel) {
            self.deployment.wake.notify_one();
        }
    }
}

/// Between the failed opening of a worker and the next try for a further slot.
const REOPEN: Duration = Duration::from_millis(100);

/// What a handler gets to end by itself once its lease is lost.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// A worker that does not end when its control says so is dropped after this time.
const STUBBORN: Duration = Duration::from_secs(1);
