//! Looks after one station: opens slots when all that are open wait and records queue, closes idle ones, sends outcomes, and ends when the
//! deployment does. One task a station; woken by a bell, never per record while slots are busy.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use tokio::task::JoinSet;

use super::outbox::Sent;
use super::shared::Stage;
use super::slot::Staff;
use super::station::{GRACE, Station};
use crate::source::{SettleResult, Settlement};

/// Runs until the deployment is drained and everything is settled, or given up.
pub(crate) async fn run(station: Rc<Station>, staff: Arc<dyn Staff>) {
    let mut slots: JoinSet<()> = JoinSet::new();
    let mut settles: JoinSet<()> = JoinSet::new();
    staff.prepare();
    // The first slot is there before the first record.
    open(&mut slots, &station, &staff);
    let mut reported_at = station.now().monotonic;
    loop {
        // The stage first: what was handed over before it came is in the inbox.
        let stage = station.deployment.stage();
        station.handle_inbox();
        if stage >= Stage::Draining {
            station.give_back_waiting();
            station.close_idle();
        }
        if stage >= Stage::Releasing {
            station.cancel_all(GRACE);
        }
        while let Some(seat) = station.staff() {
            slots.spawn_local(staff.clone().slot(station.clone(), seat));
        }
        send(&station, &mut settles);
        let now = station.now().monotonic;
        let quiet = station.shared.held() == 0 && station.outbox.borrow().pending() == 0;
        if now.since(reported_at) >= REPORT || quiet && station.outbox.borrow().has_news() {
            reported_at = now;
            report(&station);
        }
        if stage >= Stage::Draining && slots.is_empty() && station.outbox.borrow().is_empty() {
            break;
        }
        if stage >= Stage::Releasing && slots.is_empty() && settles.is_empty() {
            // What the source refuses to the last is released by leaving the group.
            break;
        }
        wait(&station, &mut slots, &mut settles).await;
    }
    report(&station);
    station.shared.closed.store(true, Ordering::Release);
    station.deployment.wake.notify_one();
}

fn open(slots: &mut JoinSet<()>, station: &Rc<Station>, staff: &Arc<dyn Staff>) {
    let seat = station.seat();
    slots.spawn_local(staff.clone().slot(station.clone(), seat));
}

fn send(station: &Rc<Station>, settles: &mut JoinSet<()>) {
    let now = station.now().monotonic;
    let attempts = station.spec().attempts;
    let batch = station.outbox.borrow_mut().take(now, attempts);
    // Before calls are published as ended: a record is always counted somewhere.
    count_settling(station);
    station.publish();
    if let Some((settlements, sent)) = batch {
        settles.spawn_local(settle(station.clone(), settlements, sent));
    }
}

async fn settle(station: Rc<Station>, settlements: Vec<Settlement>, sent: Sent) {
    let results: Vec<SettleResult> = station.source.settle(settlements).await;
    let random = station.context.entropy.next_u64();
    let mut outbox = station.outbox.borrow_mut();
    let now = station.now();
    let told = |reason: &str| {
        let (faults, deployment) = (&station.deployment.faults, &*station.spec().name);
        faults.warn(now.monotonic, deployment, "the source refused an outcome", reason);
    };
    let failed = outbox.handle_results(sent, results, now, &mut station.desk.borrow_mut(), random, told);
    let refused = outbox.refused();
    drop(outbox);
    station.deployment.endings.tell(now.monotonic, station.spec(), &failed);
    count_settling(&station);
    let before = station.shared.refused.swap(refused, Ordering::AcqRel);
    // What calls of this lane held is free by now: either the dispatcher sees that, or its wish is seen here.
    fence(Ordering::SeqCst);
    let freed = station.deployment.short_of_bytes.swap(false, Ordering::AcqRel);
    if freed || before != refused || station.deployment.held() == 0 {
        station.deployment.wake.notify_one();
    }
}

fn count_settling(station: &Station) {
    let pending = station.outbox.borrow().pending();
    station.shared.settling.store(pending, Ordering::Release);
}

fn report(station: &Station) {
    let (open, idle, waiting) = station.census();
    let tally = std::mem::take(&mut station.outbox.borrow_mut().tally);
    station
        .deployment
        .metrics
        .add(station.shared.lane, &tally, [open - idle, idle, waiting]);
}

/// Until something happens. A timer runs only while there is something to look after.
async fn wait(station: &Rc<Station>, slots: &mut JoinSet<()>, settles: &mut JoinSet<()>) {
    let retry = station.outbox.borrow().next_retry();
    let now = station.now().monotonic;
    let (open, _, _) = station.census();
    let news = station.outbox.borrow().has_news();
    let look = if news {
        REPORT
    } else if open > 0 || retry.is_some() {
        LOOK
    } else {
        Duration::MAX
    };
    let sleep = retry.map_or(look, |at| at.since(now).min(look));
    tokio::select! {
        biased;
        () = station.shared.bell.notified() => {}
        Some(ended) = settles.join_next(), if !settles.is_empty() => note(ended),
        Some(ended) = slots.join_next(), if !slots.is_empty() => note(ended),
        () = tokio::time::sleep(sleep), if sleep != Duration::MAX => {
            station.look_around(station.now().monotonic);
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a slot or settlement of a lane failed");
    }
}

/// Between reports of what was counted, at least.
const REPORT: Duration = Duration::from_millis(20);

/// Between looks at idle and stubborn slots.
const LOOK: Duration = Duration::from_millis(250);
