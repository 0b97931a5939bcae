//! Short runs of everything that changes the disk, for crashes and faults at each of their storage calls.

use super::harness::World;
use super::oracle::{Driver, LINES, Said, TOPIC};

/// A name, the least number of storage calls it makes, and what it does.
pub(super) type Script = (&'static str, u64, fn(&mut Driver));

pub(super) const ALL: &[Script] = &[
    ("produce", 20, produce),
    ("ride", 10, ride),
    ("acquire", 20, acquire),
    ("settle", 25, settle),
    ("park", 25, park),
    ("emit", 25, emit),
    ("reject", 25, reject),
    ("limit", 25, limit),
    ("redrive", 25, redrive),
    ("drain", 60, drain),
    ("snapshot", 60, snapshot),
    ("wrap", 100, wrap),
    ("roll", 100, roll),
    ("catalog", 60, catalog),
    ("strikes", 60, strikes),
    ("close", 40, close),
    ("cold", 60, cold),
    ("growth", 100, growth),
    ("retention", 100, retention),
];

/// The world that a script runs in: only one has a ring that grows.
pub(super) fn world(name: &str) -> World {
    let mut world = World::small();
    if name == "growth" {
        world.config.journal_bytes = 256 << 10;
    }
    world
}

fn begin(driver: &mut Driver) {
    driver.create_topic(TOPIC);
    driver.subscribe();
}

fn produce(driver: &mut Driver) {
    begin(driver);
    driver.produce(1);
    driver.produce(3);
    driver.produce(1);
}

fn acquire(driver: &mut Driver) {
    begin(driver);
    driver.produce(3);
    driver.acquire(2);
    driver.acquire(2);
    driver.look();
}

/// Members wait before there is anything.
fn ride(driver: &mut Driver) {
    begin(driver);
    driver.produce_to_waiting(2, 5);
    driver.produce_to_waiting(1, 5);
    driver.settle(2, &Said::Accept);
    driver.produce_to_waiting(3, 2);
    driver.look();
    driver.settle(1, &Said::Park(5, Some(b"half")));
    driver.acquire(1);
    driver.look();
}

fn settle(driver: &mut Driver) {
    begin(driver);
    driver.produce(6);
    driver.acquire(5);
    driver.settle(2, &Said::Accept);
    driver.look();
    driver.settle(1, &Said::Release);
    driver.settle(1, &Said::Reject);
    driver.settle(1, &Said::Delay(20));
    driver.look();
    driver.acquire(5);
    driver.settle(5, &Said::Accept);
    driver.look();
}

fn park(driver: &mut Driver) {
    begin(driver);
    driver.produce(3);
    driver.acquire(3);
    driver.settle(1, &Said::Park(60, Some(b"first")));
    driver.settle(1, &Said::Park(5, None));
    driver.advance(5);
    driver.acquire(1);
    driver.settle(1, &Said::Accept);
    driver.settle(1, &Said::Park(10, Some(b"second")));
    driver.restart();
    driver.advance(60);
    driver.acquire(3);
    driver.settle(1, &Said::Release);
    driver.settle(1, &Said::Park(3, Some(b"third")));
    driver.look();
}

fn emit(driver: &mut Driver) {
    begin(driver);
    driver.create_topic(LINES);
    driver.produce(3);
    driver.acquire(3);
    driver.settle(1, &Said::Emit(vec![1_000, 1_001]));
    driver.settle(1, &Said::Emit(vec![1_002]));
    driver.settle(1, &Said::Emit(vec![1_003, 1_004, 1_005]));
}

fn reject(driver: &mut Driver) {
    begin(driver);
    driver.produce(4);
    driver.acquire(4);
    driver.settle(1, &Said::Reject);
    driver.settle(2, &Said::Reject);
    driver.drain();
    driver.settle(1, &Said::Reject);
}

fn limit(driver: &mut Driver) {
    begin(driver);
    driver.produce(2);
    for _ in 0..3 {
        driver.acquire(2);
        driver.settle(1, &Said::Release);
        driver.advance(31);
    }
    driver.look();
    driver.produce(1);
}

fn redrive(driver: &mut Driver) {
    begin(driver);
    driver.produce(3);
    driver.acquire(3);
    driver.settle(2, &Said::Reject);
    driver.redrive(0);
    driver.drain();
    driver.redrive(1);
    driver.acquire(1);
    driver.settle(2, &Said::Accept);
}

fn drain(driver: &mut Driver) {
    driver.value_bytes = 500;
    begin(driver);
    driver.produce(4);
    driver.acquire(2);
    driver.settle(1, &Said::Accept);
    driver.drain();
    driver.settle(1, &Said::Accept);
    driver.produce(2);
    driver.acquire(2);
    driver.drain();
    driver.settle(2, &Said::Accept);
    driver.restart();
    driver.acquire(10);
    driver.settle(1, &Said::Accept);
    driver.drain();
    driver.look();
    driver.produce(2);
    driver.drain();
}

fn snapshot(driver: &mut Driver) {
    begin(driver);
    driver.produce(5);
    driver.acquire(5);
    driver.settle(1, &Said::Park(60, Some(b"kept")));
    driver.settle(1, &Said::Reject);
    driver.settle(1, &Said::Delay(20));
    driver.drain();
    driver.settle(1, &Said::Release);
    driver.drain();
    driver.drain();
    driver.restart();
    driver.look();
    driver.acquire(5);
    driver.drain();
    driver.settle(2, &Said::Accept);
    driver.restart();
}

fn wrap(driver: &mut Driver) {
    driver.value_bytes = 6_000;
    begin(driver);
    for round in 0..30 {
        driver.produce(1);
        if round % 2 == 1 {
            driver.acquire(2);
            driver.settle(2, &Said::Accept);
        }
    }
    driver.look();
}

fn roll(driver: &mut Driver) {
    driver.value_bytes = 3_000;
    begin(driver);
    driver.produce(4);
    driver.produce(4);
    driver.drain();
    driver.produce(3);
    driver.drain();
    driver.acquire(4);
    driver.settle(4, &Said::Accept);
    driver.drain();
    driver.acquire(3);
    driver.settle(2, &Said::Accept);
    driver.restart();
    driver.drain();
    driver.acquire(4);
    driver.settle(1, &Said::Reject);
    driver.look();
}

fn catalog(driver: &mut Driver) {
    driver.create_topic("other");
    begin(driver);
    driver.produce(2);
    driver.drain();
    driver.delete_topic("other");
    driver.create_topic("third");
    driver.drain();
    driver.create_topic("other");
    driver.drain();
    driver.delete_topic("third");
    driver.delete_topic("other");
    driver.restart();
    driver.create_topic("third");
    driver.acquire(1);
    driver.settle(1, &Said::Accept);
    driver.delete_group();
    driver.drain();
    driver.delete_topic(TOPIC);
    driver.drain();
}

fn strikes(driver: &mut Driver) {
    begin(driver);
    driver.produce(3);
    driver.acquire(2);
    driver.restart();
    driver.acquire(1);
    driver.settle(1, &Said::Accept);
    driver.acquire(1);
    driver.acquire(1);
    driver.restart();
    driver.acquire(1);
    driver.look();
    driver.restart();
    driver.look();
}

fn close(driver: &mut Driver) {
    begin(driver);
    driver.produce(3);
    driver.acquire(2);
    driver.close();
    driver.acquire(3);
    driver.settle(1, &Said::Accept);
    driver.drain();
    driver.close();
    driver.look();
    driver.produce(1);
}

/// Dead letters of records that are in the log alone: they wait until it is read.
fn cold(driver: &mut Driver) {
    driver.value_bytes = 500;
    begin(driver);
    driver.produce(4);
    driver.acquire(2);
    driver.drain();
    driver.restart();
    driver.acquire(1);
    driver.drain();
    driver.restart();
    driver.look();
    driver.acquire(1);
    driver.settle(1, &Said::Release);
    driver.acquire(4);
    driver.settle(1, &Said::Reject);
    driver.restart();
    driver.look();
    driver.acquire(4);
    driver.settle(1, &Said::Accept);
}

/// Produces wait until a ring file is made.
fn growth(driver: &mut Driver) {
    driver.value_bytes = 12_000;
    begin(driver);
    driver.produce(1);
    driver.produce_at_once(12);
    driver.acquire(3);
    driver.settle(2, &Said::Accept);
    driver.produce_at_once(3);
    driver.look();
}

/// A topic without a group forgets what is an hour old: segments, and what is still in the journal.
fn retention(driver: &mut Driver) {
    driver.value_bytes = 2_500;
    driver.create_aged();
    driver.produce_aged(3);
    driver.drain();
    driver.advance(1_200);
    driver.produce_aged(3);
    driver.drain();
    driver.advance(1_500);
    driver.produce_aged(1);
    driver.advance(1_000);
    driver.drain();
    driver.restart();
    driver.advance(1_200);
    driver.produce_aged(1);
    driver.drain();
    driver.advance(2_000);
    driver.close();
    driver.produce_aged(1);
}
