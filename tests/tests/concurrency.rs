//! Concurrency comes from free places, never from partitions: a handler that sleeps 20 ms, on one partition.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sharemill::admin::{Admin as _, AdminClient};
use sharemill_tests::{Folder, Host};

/// Sleep of one call.
const CALL: Duration = Duration::from_millis(20);
/// Machines that run tests are shared: the best of so many is taken.
const TRIES: usize = 3;

/// Records per second in the middle of a run, from what the group has still to do.
fn rate(slots: u64, partitions: u32) -> f64 {
    let manifest = format!(
        r#"
[topics.naps]
partitions = {partitions}
[deployments.naps]
component = "sleeper.wasm"
topic = "naps"
concurrency = {slots}
"#
    );
    let folder = Folder::new(&manifest).guest("sleeper");
    folder.run(&["run", "--until-idle"]).success();
    let records = (slots * 75).max(100);
    folder.produce("naps", &vec!["nap"; usize::try_from(records).unwrap()]);
    let host = Host::start(&folder, &[]);
    let rate = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(middle(&folder, records));
    host.stop();
    rate
}

async fn middle(folder: &Folder, records: u64) -> f64 {
    let client = AdminClient::connect(&folder.data()).await.unwrap().unwrap();
    let began = Instant::now();
    let mut first = None;
    loop {
        let group = client.group("naps").await.unwrap();
        let left: u64 = group
            .share_partitions
            .iter()
            .map(|share| share.log_end - share.start_offset.unwrap())
            .sum();
        let now = Instant::now();
        assert!(now - began < sharemill_tests::AMPLE, "{left} of {records} records left");
        match first {
            None if left * 10 <= records * 9 => first = Some((now, left)),
            Some((then, before)) if left * 5 <= records => {
                return (before - left) as f64 / (now - then).as_secs_f64();
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Best of three, or the first that is good enough.
fn best(slots: u64, enough: f64) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..TRIES {
        best = best.max(rate(slots, 1));
        if best >= enough {
            break;
        }
    }
    best
}

/// What 4 partitions change against 1: best of equally many tries, in turn, until both agree.
fn change(slots: u64) -> (f64, f64) {
    let (mut one, mut four) = (0.0_f64, 0.0_f64);
    for _ in 0..TRIES {
        one = one.max(rate(slots, 1));
        four = four.max(rate(slots, 4));
        if (four / one - 1.0).abs() < PARTITIONS_MAX {
            break;
        }
    }
    (one, four)
}

/// What more partitions may change at most, as a part of the rate.
const PARTITIONS_MAX: f64 = 0.1;

/// Of what one slot could do if nothing but the handler took time: between two of its calls lies the hand-over, no settlement is waited for.
const ALONE_MIN: f64 = 0.9;

/// Sleeps of [`CALL`] per second in this process, one after the other, while `other` runs: what the machine has to give at the moment.
fn beside<T>(other: impl FnOnce() -> T) -> (T, f64) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let control = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let (began, mut sleeps) = (Instant::now(), 0_u32);
            while !ended.load(Ordering::Relaxed) {
                runtime.block_on(async { tokio::time::sleep(CALL).await });
                sleeps += 1;
            }
            f64::from(sleeps) / began.elapsed().as_secs_f64()
        });
        let done = other();
        ended.store(true, Ordering::Relaxed);
        (done, control.join().unwrap())
    })
}

/// The try that came nearest to its control, with it.
fn alone() -> (f64, f64) {
    let mut best = (0.0_f64, f64::INFINITY);
    for _ in 0..TRIES {
        let (found, control) = beside(|| rate(1, 1));
        if found / control > best.0 / best.1 {
            best = (found, control);
        }
        if found >= ALONE_MIN * control {
            break;
        }
    }
    best
}

#[test]
fn one_partition_feeds_every_slot() {
    let (alone, most) = alone();
    eprintln!("  1 slot: {alone:.1} records/s, {most:.1} sleeps/s beside it");
    assert!(alone >= ALONE_MIN * most, "1 slot: {alone:.1} of {most:.1} records/s");
    for slots in [8, 64, 256] {
        let linear = alone * slots as f64;
        let found = best(slots, linear * 0.9);
        eprintln!(
            "{slots:3} slots: {found:7.0} records/s, {:.2} of linear",
            found / linear
        );
        assert!(
            slots > 64 || found >= linear * 0.9,
            "{slots} slots: {found:.0} of {linear:.0} records/s"
        );
    }
    let (one, four) = change(64);
    let change = four / one - 1.0;
    eprintln!(
        " 64 slots, 4 partitions: {four:7.0} records/s, {:+.1} %",
        change * 100.0
    );
    assert!(change.abs() < PARTITIONS_MAX, "{one:.0} and {four:.0} records/s");
}
