//! One slot: a long-lived task that owns one worker and loops over records: take, call, classify, push the outcome. No task per record, no
//! allocation per record but the handler's own.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use share_engine::time::{Instant, Now};

use super::chunk::Item;
use super::seat::{Seat, guarded};
use super::station::Station;
use super::worker::{Worker, WorkerFactory, plain_report};
use crate::handler::{CallEnd, CallReport, InstanceMode};
use crate::source::Delivery;

/// [`WorkerFactory`] as a trait object: what a station opens slots with.
pub(crate) trait Staff: Send + Sync {
    fn slot(self: Arc<Self>, station: Rc<Station>, seat: Rc<Seat>) -> Pin<Box<dyn Future<Output = ()>>>;
    fn module_digest(&self) -> Arc<str>;
    fn prepare(&self);
}

impl<F: WorkerFactory> Staff for F {
    fn slot(self: Arc<Self>, station: Rc<Station>, seat: Rc<Seat>) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(run(self, station, seat))
    }

    fn module_digest(&self) -> Arc<str> {
        self.module()
    }

    fn prepare(&self) {
        self.prepare_lane();
    }
}

/// Gives the seat back however the slot ends, a panic of the loop itself included.
struct Occupied {
    station: Rc<Station>,
    seat: Rc<Seat>,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.station.vacate(&self.seat);
    }
}

async fn run<F: WorkerFactory>(factory: Arc<F>, station: Rc<Station>, seat: Rc<Seat>) {
    let _occupied = Occupied {
        station: station.clone(),
        seat: seat.clone(),
    };
    let mut slot = Slot {
        factory,
        station,
        seat,
        worker: None,
        calls_left: 0,
        last_ended: None,
    };
    let mut slice = Slice::default();
    while let Some(item) = slot.station.next(&slot.seat).await {
        let was_idle = slot.seat.idle_since.get().is_some();
        let started = slice.resume(&slot.station, &slot.seat);
        if !item.chunk.start(item.index, started.monotonic) {
            slot.station.skip();
            continue;
        }
        *slot.seat.current.borrow_mut() = Some(item.clone());
        let served = slot.serve(&item, started, was_idle).await;
        let now = slot.station.now();
        slot.seat.ends_at.set(None);
        slot.seat.current.borrow_mut().take();
        let busy = match served {
            Served::Called(report) => {
                let busy = report.cpu;
                slot.station.ended(item, started, now, report);
                busy
            }
            Served::NotStarted(end) => {
                slot.station.not_started(item, started, now, end.as_ref());
                now.monotonic.since(started.monotonic)
            }
        };
        if slice.is_over(now, busy) {
            slot.station.make_room(slice.busy).await;
            slice = Slice::default();
            slot.last_ended = None;
        }
    }
}

/// What became of one record in a slot.
enum Served {
    Called(CallReport),
    /// No handler saw it: opening a worker failed in this way, or (`None`) was not tried, so soon after others had failed.
    NotStarted(Option<CallEnd>),
}

struct Slot<F: WorkerFactory> {
    factory: Arc<F>,
    station: Rc<Station>,
    seat: Rc<Seat>,
    worker: Option<F::Worker>,
    calls_left: u32,
    /// When the last call ended, on the clock of [`crate::handler::CallControl`].
    last_ended: Option<std::time::Instant>,
}

impl<F: WorkerFactory> Slot<F> {
    async fn serve(&mut self, item: &Item, started: Now, was_idle: bool) -> Served {
        let plain = |end| Served::Called(plain_report(end, Duration::ZERO));
        let Some(delivery) = item.delivery() else {
            return plain(CallEnd::HostFault("no such delivery".to_owned()));
        };
        if self.worker.is_none() && self.station.rests(started.monotonic) {
            return Served::NotStarted(None);
        }
        let seat = self.seat.clone();
        let control = &seat.control;
        let budget = self.budget(delivery, started);
        seat.stop_at.set(None);
        seat.ends_at.set(Some(started.monotonic.after(budget)));
        // Straight after the last call that one's end is now: one look at the clock less.
        match self.last_ended.take().filter(|_| !was_idle) {
            Some(now) => control.rearm_at(now, budget),
            None => control.rearm(budget),
        }
        control.set_lease_until(self.station.std_instant(delivery.lease_deadline));
        let report = match self.hired(started.monotonic).await {
            Ok(mut worker) => {
                let id = self.station.next_id();
                let call = worker.call(delivery, id, control);
                match guarded(&self.station, &seat, started.monotonic, call).await {
                    Ok(report) => {
                        self.last_ended = Some(report.ended);
                        self.worker = Some(worker);
                        report
                    }
                    Err(end) => plain_report(end, Duration::ZERO),
                }
            }
            Err(CallEnd::Cancelled) => return plain(CallEnd::Cancelled),
            Err(end) => return Served::NotStarted(Some(end)),
        };
        let spent = self.calls_left == 0 || self.station.spec().instance == InstanceMode::Fresh;
        if spent || !matches!(report.end, CallEnd::Outcome(_)) {
            self.worker = None;
        }
        Served::Called(report)
    }

    /// The deadline, or what is left of `max-lease` where that is less.
    fn budget(&self, delivery: &Delivery, started: Now) -> Duration {
        let spec = self.station.spec();
        let age = delivery.age(started.monotonic);
        spec.deadline.min(spec.max_lease.saturating_sub(age))
    }

    /// The worker there is, or a new one; taken out, so that a dropped call takes it along.
    async fn hired(&mut self, began: Instant) -> Result<F::Worker, CallEnd> {
        self.calls_left = self.calls_left.saturating_sub(1);
        if let Some(worker) = self.worker.take() {
            return Ok(worker);
        }
        let open = self.factory.open(&self.seat.control);
        let worker = guarded(&self.station, &self.seat, began, open).await;
        let worker = match worker {
            Ok(Ok(worker)) => worker,
            Ok(Err(end)) | Err(end) => {
                self.station.could_not_open();
                return Err(end);
            }
        };
        self.calls_left = self.station.draw_reuse().saturating_sub(1);
        self.station.opened();
        Ok(worker)
    }
}

/// How long a slot has gone on without making room for others.
#[derive(Default)]
struct Slice {
    began: Option<Now>,
    last: Option<Now>,
    records: u32,
    busy: Duration,
}

impl Slice {
    /// The time at which the next record starts: the end of the last one, unless the slot was idle in between.
    fn resume(&mut self, station: &Station, seat: &Seat) -> Now {
        let last = self.last.take();
        let now = match last {
            Some(last) if seat.idle_since.get().is_none() => last,
            _ => {
                seat.idle_since.set(None);
                *self = Self::default();
                station.now()
            }
        };
        self.began.get_or_insert(now);
        now
    }

    fn is_over(&mut self, now: Now, busy: Duration) -> bool {
        self.last = Some(now);
        self.records += 1;
        self.busy += busy;
        let age = self
            .began
            .map_or(Duration::ZERO, |began| now.monotonic.since(began.monotonic));
        self.records >= SLICE_RECORDS || age >= SLICE_TIME
    }
}

/// A slot makes room for others after so many records, or so much time.
const SLICE_RECORDS: u32 = 256;
const SLICE_TIME: Duration = Duration::from_micros(500);
