//! Calls and brokers at a desk, without either.

use bytes::Bytes;
use share_wire::Uuid;
use share_wire::message::Acquired;

use super::*;

struct Bench {
    desk: Desk,
    now: Instant,
}

fn place(broker: i32) -> TopicPartition {
    TopicPartition {
        topic_id: Uuid::from_u128(7),
        partition: broker,
    }
}

impl Bench {
    /// With so many brokers, each with a partition of its own number.
    #[expect(clippy::disallowed_methods, reason = "some moment to count from")]
    fn new(brokers: i32) -> Self {
        let waits = Waits {
            idle: Duration::from_millis(500),
            held: Duration::from_millis(20),
        };
        let mut desk = Desk::new(waits, 1 << 20);
        for broker in 1..=brokers {
            desk.seat(broker, mpsc::channel(1).0, Arc::new(Notify::new()));
            desk.open(broker, true);
        }
        Self {
            desk,
            now: Instant::now(),
        }
    }

    fn begin(&mut self, records: u32) -> u64 {
        self.desk.begin(Credit {
            records,
            bytes: 1 << 30,
        })
    }

    /// What a broker is granted: records and milliseconds.
    fn grant(&mut self, broker: i32) -> Option<(u32, u128)> {
        let ask = self.desk.grant(broker)?;
        Some((ask.records, ask.max_wait.as_millis()))
    }

    fn fetched(&mut self, broker: i32, first_offset: i64, count: i64) {
        let acquired = Acquired {
            first_offset,
            last_offset: first_offset + count - 1,
            delivery_count: 1,
        };
        let acquisition = Acquisition {
            topic: "orders".into(),
            place: place(broker),
            records: Bytes::new(),
            acquired: vec![acquired],
            deadline: self.now + Duration::from_secs(30),
            number: 0,
        };
        let acquisitions = if count > 0 { vec![acquisition] } else { Vec::new() };
        self.desk.fetched(broker, acquisitions, self.now);
    }

    /// Offsets that a call gets; `None` while there are none. A call that gets some is over.
    fn take(&mut self, call: u64) -> Option<Vec<i64>> {
        match self.desk.poll(call, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => {
                self.desk.end(call);
                let taken = taken.unwrap();
                Some(
                    taken
                        .iter()
                        .flat_map(Acquisition::leases)
                        .map(|lease| lease.offset)
                        .collect(),
                )
            }
            Poll::Pending => None,
        }
    }
}

#[test]
fn nothing_is_fetched_that_nobody_wants() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.grant(1), None);
    let call = bench.begin(10);
    assert_eq!(bench.take(call), None);
    assert_eq!(bench.grant(1), Some((10, 500)), "whoever is alone gets all and waits");
    assert_eq!(bench.grant(1), None, "one at a time");
    bench.fetched(1, 0, 4);
    assert_eq!(bench.grant(1), None, "the call has what it waits for");
    assert_eq!(bench.take(call).unwrap(), [0, 1, 2, 3]);
    assert_eq!(bench.grant(1), None);
}

#[test]
fn what_a_dropped_call_leaves_goes_to_the_next_one() {
    let mut bench = Bench::new(1);
    let call = bench.begin(10);
    bench.grant(1);
    bench.desk.end(call);
    bench.fetched(1, 0, 10);
    assert_eq!(bench.desk.ready(), 10);
    // And no more than that one has room for.
    let (first, second) = (bench.begin(4), bench.begin(100));
    assert_eq!(bench.take(second), None, "not before the first");
    assert_eq!(bench.take(first).unwrap(), [0, 1, 2, 3]);
    assert_eq!(bench.take(second).unwrap(), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_nobody_asks_for_is_given_back() {
    let mut bench = Bench::new(2);
    let call = bench.begin(10);
    bench.desk.end(call);
    bench.fetched(1, 0, 3);
    assert_eq!(bench.desk.unasked_at(1), Some(bench.now + Duration::from_secs(5)));
    assert_eq!(bench.desk.unasked_at(2), None);
    assert_eq!(bench.desk.unasked(1, bench.now + Duration::from_millis(4999)), []);
    let given_back = bench.desk.unasked(1, bench.now + Duration::from_secs(5));
    assert_eq!(given_back.len(), 3);
    assert_eq!(bench.desk.ready(), 0);
}

#[test]
fn leases_that_end_here_were_never_given_to_anybody() {
    let mut bench = Bench::new(1);
    let call = bench.begin(3);
    bench.fetched(1, 0, 10);
    bench.take(call);
    let lease = |offset| Lease {
        place: place(1),
        offset,
        delivery_count: 1,
        acquisition: 0,
    };
    let told = bench.desk.withdraw(1, vec![lease(5), lease(2), lease(9)]);
    assert_eq!(told, [lease(2)]);
    let call = bench.begin(100);
    assert_eq!(bench.take(call).unwrap(), [3, 4, 6, 7, 8]);
}

/// A broker without records waits for long, and must not hold what another one could use.
#[test]
fn no_broker_starves_another() {
    let mut bench = Bench::new(3);
    let call = bench.begin(2);
    // Nothing is known of them: one record each, which counts against nobody.
    for broker in 1..=3 {
        assert_eq!(bench.grant(broker), Some((1, 500)));
    }
    bench.fetched(1, 0, 1);
    assert_eq!(bench.take(call).unwrap(), [0]);
    // The two others still wait at their brokers.
    let mut next = 1;
    for _ in 0..3 {
        let call = bench.begin(2);
        assert_eq!(bench.grant(1), Some((2, 20)));
        bench.fetched(1, next, 2);
        assert_eq!(bench.take(call).unwrap(), [next, next + 1]);
        next += 2;
    }
    // Two that have records share, and take turns where it is not enough.
    bench.fetched(2, 0, 1);
    let call = bench.begin(1);
    assert_eq!(bench.take(call).unwrap(), [0]);
    bench.begin(10);
    assert_eq!(bench.grant(1), Some((5, 20)));
    assert_eq!(bench.grant(2), Some((5, 20)));
    assert_eq!(bench.grant(1), None);
    let mut bench = Bench::new(2);
    let call = bench.begin(1);
    bench.fetched(1, 0, 1);
    bench.fetched(2, 0, 1);
    bench.take(call);
    let call = bench.begin(1);
    bench.take(call);
    let mut turns = Vec::new();
    for _ in 0..4 {
        bench.begin(1);
        let granted: Vec<i32> = (1..=2).filter(|broker| bench.grant(*broker).is_some()).collect();
        for broker in &granted {
            bench.fetched(*broker, 9, 1);
        }
        turns.push(granted[0]);
        let calls: Vec<u64> = bench.desk.calls.iter().map(|call| call.id).collect();
        for call in calls {
            bench.take(call);
        }
    }
    assert_eq!(turns, [1, 2, 1, 2]);
}

#[test]
fn many_brokers_without_records_are_asked_some_at_a_time() {
    let mut bench = Bench::new(20);
    bench.begin(1);
    let asked = (1..=20).filter(|broker| bench.grant(*broker).is_some()).count();
    assert_eq!(asked, PROBES_MAX);
}

#[test]
fn whole_batches_come_where_there_is_room_for_many() {
    const LEAST: u32 = Credit::EXACT_BELOW;
    for (records, mode) in [
        (LEAST - 1, AcquireMode::RecordLimit),
        (LEAST, AcquireMode::BatchOptimized),
    ] {
        let mut bench = Bench::new(1);
        let call = bench.begin(records);
        assert_eq!(bench.desk.grant(1).unwrap().mode, mode);
        bench.fetched(1, 0, 700);
        let taken = bench.take(call).unwrap().len();
        let wanted = if records < LEAST { records as usize } else { 700 };
        assert_eq!(taken, wanted);
    }
}

#[test]
fn after_the_end_calls_are_told_so() {
    let mut bench = Bench::new(1);
    let call = bench.begin(1);
    bench.desk.close(ConsumerError::Closed);
    let polled = bench.desk.poll(call, &mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err(ConsumerError::Closed)));
    assert_eq!(bench.grant(1), None);
}
