//! A session against answers as a broker gives them.

use std::collections::BTreeSet;

use share_wire::message::{
    AcknowledgedPartition, AcknowledgedTopic, FetchedPartition, FetchedTopic, ShareAcknowledgeResponse,
    ShareFetchResponse,
};

use super::*;

const LOCK_MS: i32 = 30_000;

fn place(partition: i32) -> TopicPartition {
    TopicPartition {
        topic_id: Uuid::from_u128(7),
        partition,
    }
}

fn lease(offset: i64) -> Lease {
    Lease {
        place: place(0),
        offset,
        delivery_count: 1,
        acquisition: 0,
    }
}

/// Of a later acquisition.
fn numbered(offset: i64, acquisition: u64) -> Lease {
    Lease {
        acquisition,
        ..lease(offset)
    }
}

struct Bench {
    session: Session,
    now: Instant,
}

/// What a request acknowledges, by partition: ranges with their types.
type Acks = Vec<(i32, i64, i64, Vec<i8>)>;

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "some moment to count from")]
    fn new() -> Self {
        let options = Options {
            group: "g".to_owned(),
            member: "m".to_owned(),
            max_wait_held: Duration::from_millis(20),
            min_bytes: 1,
            acquisitions: Arc::default(),
        };
        let mut session = Session::new(options);
        session.assign(BTreeSet::from([place(0), place(1)]));
        Self {
            session,
            now: Instant::now(),
        }
    }

    /// Open, and with so many records of partition 0.
    fn holding(records: i64) -> Self {
        let mut bench = Self::new();
        bench.fetch(100);
        bench.fetched(0, acquired(0, records));
        assert!(matches!(bench.session.take_events()[..], [Event::Acquired { .. }]));
        bench
    }

    fn ask(&mut self, records: u32) -> Option<Request> {
        let ask = Ask {
            records,
            max_bytes: 1 << 20,
            mode: AcquireMode::RecordLimit,
            max_wait: Duration::from_millis(500),
        };
        self.session.next_request(ask, self.now)
    }

    fn settle(&mut self, offset: i64, verb: AcknowledgeType) {
        self.session.settle(lease(offset), verb, Ticket(0));
    }

    fn fetch(&mut self, credit: u32) -> ShareFetchRequest {
        match self.ask(credit) {
            Some(Request::Fetch(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn acknowledge(&mut self) -> ShareAcknowledgeRequest {
        match self.ask(0) {
            Some(Request::Acknowledge(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn fetched(&mut self, error_code: i16, partitions: Vec<FetchedPartition>) {
        let topic_id = place(0).topic_id;
        let response = ShareFetchResponse {
            throttle_time_ms: 0,
            error_code,
            error_message: None,
            acquisition_lock_timeout_ms: LOCK_MS,
            topics: vec![FetchedTopic { topic_id, partitions }],
            node_endpoints: Vec::new(),
        };
        self.session.fetched(response, self.now).unwrap();
    }

    fn acknowledged(&mut self, error_code: i16, partitions: &[(i32, i16)]) {
        let topic_id = place(0).topic_id;
        let partitions = partitions.iter().map(|(partition, error_code)| AcknowledgedPartition {
            partition: *partition,
            error_code: *error_code,
            error_message: None,
            current_leader: CurrentLeader::default(),
        });
        let response = ShareAcknowledgeResponse {
            throttle_time_ms: 0,
            error_code,
            error_message: None,
            acquisition_lock_timeout_ms: LOCK_MS,
            topics: vec![AcknowledgedTopic {
                topic_id,
                partitions: partitions.collect(),
            }],
            node_endpoints: Vec::new(),
        };
        self.session.acknowledged(response, self.now).unwrap();
    }

    /// Outcomes since the last call, by offset.
    fn outcomes(&mut self) -> Vec<(i64, Outcome)> {
        let settled = self.session.take_events().into_iter().filter_map(|event| match event {
            Event::Settled { lease, outcome, .. } => Some((lease.offset, outcome)),
            _ => None,
        });
        let mut settled: Vec<_> = settled.collect();
        settled.sort_by_key(|(offset, _)| *offset);
        settled
    }
}

fn partition(partition: i32) -> FetchedPartition {
    FetchedPartition {
        partition,
        error_code: 0,
        error_message: None,
        acknowledge_error_code: 0,
        acknowledge_error_message: None,
        current_leader: CurrentLeader::default(),
        records: Bytes::new(),
        acquired: Vec::new(),
    }
}

fn acquired(first_offset: i64, count: i64) -> Vec<FetchedPartition> {
    vec![FetchedPartition {
        acquired: vec![Acquired {
            first_offset,
            last_offset: first_offset + count - 1,
            delivery_count: 1,
        }],
        ..partition(0)
    }]
}

fn acks(topics: &[share_wire::message::AcknowledgeTopic]) -> Acks {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let batches = partitions.flat_map(|one| one.acknowledgements.iter().map(|batch| (one.partition, batch)));
    batches
        .map(|(partition, batch)| (partition, batch.first_offset, batch.last_offset, batch.types.clone()))
        .collect()
}

/// KIP-932: 0 opens with all partitions and no acknowledgements; then one more each time, for both kinds of request.
#[test]
fn numbers_go_on_over_both_kinds_of_request() {
    let mut bench = Bench::new();
    let first = bench.fetch(10);
    assert_eq!(
        (first.session_epoch, first.max_records, first.max_wait_ms),
        (0, 10, 500)
    );
    assert_eq!(first.topics[0].partitions.len(), 2);
    assert_eq!(bench.ask(10), None, "one request at a time");
    bench.fetched(0, acquired(0, 3));
    let second = bench.fetch(10);
    assert_eq!(second.session_epoch, 1);
    assert!(second.topics.is_empty() && second.forgotten.is_empty());
    bench.fetched(0, Vec::new());
    bench.settle(1, AcknowledgeType::Accept);
    let third = bench.acknowledge();
    assert_eq!((third.session_epoch, third.is_renew_ack), (2, false));
    assert_eq!(acks(&third.topics), [(0, 1, 1, vec![1])]);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(1, Outcome::Applied)]);
    assert_eq!(bench.session.held(), 2);
    assert_eq!(bench.fetch(1).session_epoch, 3);
}

/// What has just come may fill the window: a broker that waited for more would keep the settlements waiting that make room.
#[test]
fn a_fetch_waits_only_after_one_that_brought_nothing() {
    let mut bench = Bench::holding(3);
    assert_eq!(bench.fetch(10).max_wait_ms, 0);
    bench.fetched(0, Vec::new());
    assert_eq!(bench.fetch(10).max_wait_ms, 20);
    bench.fetched(0, acquired(3, 1));
    assert_eq!(bench.fetch(10).max_wait_ms, 0);
    bench.fetched(0, Vec::new());
    for offset in 0..3 {
        bench.settle(offset, AcknowledgeType::Accept);
    }
    bench.session.settle(numbered(3, 1), AcknowledgeType::Accept, Ticket(0));
    bench.acknowledge();
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.fetch(10).max_wait_ms, 500, "nothing is held");
}

#[test]
fn numbers_begin_again_at_1() {
    let mut bench = Bench::holding(1);
    bench.session.epoch = Epoch::Open(i32::MAX);
    assert_eq!(bench.fetch(1).session_epoch, i32::MAX);
    bench.fetched(0, Vec::new());
    assert_eq!(bench.fetch(1).session_epoch, 1);
}

#[test]
fn settlements_in_any_order_ride_with_the_next_fetch() {
    let mut bench = Bench::holding(6);
    for (offset, verb) in [
        (4, AcknowledgeType::Release),
        (0, AcknowledgeType::Accept),
        (5, AcknowledgeType::Accept),
        (1, AcknowledgeType::Accept),
    ] {
        bench.settle(offset, verb);
    }
    let request = bench.fetch(10);
    let partition = &request.topics[0].partitions[0];
    let ranges: Vec<_> = partition
        .acknowledgements
        .iter()
        .map(|batch| (batch.first_offset, batch.last_offset, batch.types.clone()))
        .collect();
    assert_eq!(ranges, [(0, 1, vec![1]), (4, 5, vec![2, 1])]);
    assert_eq!((request.topics.len(), request.topics[0].partitions.len()), (1, 1));
    bench.fetched(0, vec![partition_ok()]);
    let applied = [0, 1, 4, 5].map(|offset| (offset, Outcome::Applied));
    assert_eq!(bench.outcomes(), applied);
    assert_eq!(bench.session.held(), 2);
}

fn partition_ok() -> FetchedPartition {
    partition(0)
}

/// One that is not ours any more among 499 that are: the broker refuses all of them, and none of the others may be lost by it.
#[test]
fn one_stale_record_costs_no_other_its_settlement() {
    let mut bench = Bench::holding(500);
    (0..500).for_each(|offset| bench.settle(offset, AcknowledgeType::Accept));
    let (mut requests, mut outcomes) = (0, Vec::new());
    while let Some(request) = bench.ask(0) {
        let Request::Acknowledge(request) = request else {
            panic!("{request:?}");
        };
        requests += 1;
        let is_stale = acks(&request.topics).iter().any(|ack| ack.1 <= 321 && ack.2 >= 321);
        bench.acknowledged(0, &[(0, if is_stale { 121 } else { 0 })]);
        outcomes.extend(bench.outcomes());
    }
    outcomes.sort_by_key(|(offset, _)| *offset);
    let expected = (0..500).map(|offset| match offset {
        321 => (offset, Outcome::Stale),
        _ => (offset, Outcome::Applied),
    });
    assert_eq!(outcomes, expected.collect::<Vec<_>>());
    assert!(requests <= 19, "{requests} requests");
    assert_eq!(bench.session.held(), 0);
}

#[test]
fn a_lease_that_is_over_is_not_sent() {
    let mut bench = Bench::holding(3);
    bench.settle(0, AcknowledgeType::Accept);
    assert_eq!(
        bench.session.deadline(bench.now),
        Some(bench.now + Duration::from_secs(30))
    );
    bench.now += Duration::from_secs(30);
    assert_eq!(bench.ask(0), None);
    let events = bench.session.take_events();
    assert!(
        matches!(&events[..], [
            Event::Settled { lease: settled, outcome: Outcome::Lost, .. },
            Event::Gone { leases },
        ] if *settled == lease(0) && *leases == [lease(1), lease(2)]),
        "{events:?}"
    );
    bench.settle(1, AcknowledgeType::Accept);
    assert_eq!(bench.outcomes(), [(1, Outcome::Stale)]);
}

/// The broker looked at it when it was in time: its answer counts.
#[test]
fn a_lease_that_ends_while_its_settlement_is_on_its_way_has_the_brokers_result() {
    let mut bench = Bench::holding(2);
    bench.settle(0, AcknowledgeType::Accept);
    bench.acknowledge();
    bench.now += Duration::from_secs(31);
    assert_eq!(bench.ask(10), None);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
}

/// KIP-1222: nothing is fetched with a renewal.
#[test]
fn a_renewal_goes_by_itself_and_gives_more_time() {
    let mut bench = Bench::holding(2);
    bench.now += Duration::from_secs(20);
    bench.settle(0, AcknowledgeType::Renew);
    bench.settle(1, AcknowledgeType::Accept);
    let Some(Request::Acknowledge(request)) = bench.ask(10) else {
        panic!("a fetch");
    };
    assert!(request.is_renew_ack);
    assert_eq!(acks(&request.topics), [(0, 0, 1, vec![4, 1])]);
    bench.acknowledged(0, &[(0, 0)]);
    let deadline = bench.now + Duration::from_secs(30);
    let events = bench.session.take_events();
    assert!(
        events.contains(&Event::Renewed {
            lease: lease(0),
            ticket: Ticket(0),
            deadline
        }),
        "{events:?}"
    );
    bench.now += Duration::from_secs(29);
    bench.settle(0, AcknowledgeType::Accept);
    bench.acknowledge();
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
}

/// The connection takes the session with it, and the broker gives back what was held.
#[test]
fn a_broken_connection_leaves_nothing_in_the_dark() {
    let mut bench = Bench::holding(4);
    bench.settle(0, AcknowledgeType::Accept);
    bench.acknowledge();
    bench.settle(1, AcknowledgeType::Accept);
    bench.session.disconnected();
    let events = bench.session.take_events();
    let gone: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, Event::Gone { .. }))
        .collect();
    assert_eq!(
        gone,
        [&Event::Gone {
            leases: vec![lease(2), lease(3)]
        }]
    );
    bench.session.events = events;
    assert_eq!(bench.outcomes(), [(0, Outcome::Unknown), (1, Outcome::Lost)]);
    let request = bench.fetch(5);
    assert_eq!((request.session_epoch, request.topics[0].partitions.len()), (0, 2));
}

/// The broker has forgotten the session, not what was acquired: a new one settles it.
#[test]
fn a_lost_session_is_opened_again_and_settles_what_waited() {
    for code in [122, 123, 133] {
        let mut bench = Bench::holding(2);
        bench.settle(0, AcknowledgeType::Accept);
        bench.acknowledge();
        bench.acknowledged(code, &[]);
        let code = ErrorCode(code);
        assert_eq!(bench.session.take_events(), [Event::Failed { code, message: None }]);
        assert_eq!(bench.ask(5), None, "not at once");
        bench.now = bench.session.deadline(bench.now).unwrap();
        let request = bench.fetch(5);
        assert_eq!(request.session_epoch, 0);
        assert!(
            request.topics[0]
                .partitions
                .iter()
                .all(|one| one.acknowledgements.is_empty())
        );
        bench.fetched(0, Vec::new());
        assert_eq!(acks(&bench.acknowledge().topics), [(0, 0, 0, vec![1])]);
        bench.acknowledged(0, &[(0, 0)]);
        assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
    }
}

#[test]
fn what_cannot_be_applied_now_is_tried_again_more_and_more_slowly() {
    let mut bench = Bench::holding(1);
    bench.settle(0, AcknowledgeType::Accept);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        bench.acknowledge();
        bench.acknowledged(0, &[(0, 15)]);
        assert_eq!(bench.outcomes(), []);
        let until = bench.session.deadline(bench.now).unwrap();
        pauses.push((until - bench.now).as_millis());
        bench.now = until;
    }
    assert_eq!(pauses, [20, 40, 80, 160]);
    bench.acknowledge();
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
    assert_eq!(bench.session.pause, None);
}

#[test]
fn what_is_refused_for_good_says_so() {
    let mut bench = Bench::holding(1);
    bench.settle(0, AcknowledgeType::Accept);
    bench.acknowledge();
    bench.acknowledged(0, &[(0, 42)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Failed(ErrorCode(42)))]);
    // The broker still holds it for us: it can be tried again.
    assert_eq!((bench.session.held(), bench.session.held_in_all()), (1, 1));
    bench.settle(0, AcknowledgeType::Accept);
    assert_eq!(acks(&bench.acknowledge().topics), [(0, 0, 0, vec![1])]);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
    assert_eq!(bench.session.held_in_all(), 0);
}

/// A renewal that rides with a settlement which the broker refuses is refused with it.
#[test]
fn what_is_refused_with_others_is_still_held() {
    let mut bench = Bench::holding(2);
    bench.settle(0, AcknowledgeType::Accept);
    bench.settle(1, AcknowledgeType::Renew);
    bench.settle(1, AcknowledgeType::Accept);
    bench.settle(1, AcknowledgeType::Renew);
    bench.session.take_events();
    bench.acknowledge();
    bench.acknowledged(0, &[(0, -1)]);
    bench.session.take_events();
    assert_eq!((bench.session.held(), bench.session.held_in_all()), (2, 2));
    bench.settle(1, AcknowledgeType::Accept);
    assert_eq!(acks(&bench.acknowledge().topics), [(0, 1, 1, vec![1])]);
}

/// Kafka's own clients take a partition without an entry as one whose acknowledgements were not applied.
#[test]
fn a_partition_without_an_answer_is_stale() {
    let mut bench = Bench::holding(1);
    bench.settle(0, AcknowledgeType::Accept);
    bench.acknowledge();
    bench.acknowledged(0, &[]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Stale)]);
}

#[test]
fn with_the_leader_goes_what_was_acquired() {
    let mut bench = Bench::holding(3);
    bench.settle(0, AcknowledgeType::Accept);
    bench.fetch(5);
    bench.settle(1, AcknowledgeType::Accept);
    let leader = CurrentLeader {
        leader_id: 2,
        leader_epoch: 9,
    };
    let gone = FetchedPartition {
        error_code: 6,
        acknowledge_error_code: 6,
        current_leader: leader,
        ..partition(0)
    };
    bench.fetched(0, vec![gone]);
    let events = bench.session.take_events();
    let refused = Event::Refused {
        place: place(0),
        code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        leader: Some(leader),
    };
    assert!(events.contains(&refused), "{events:?}");
    assert!(events.contains(&Event::Gone { leases: vec![lease(2)] }), "{events:?}");
    bench.session.events = events;
    assert_eq!(bench.outcomes(), [(0, Outcome::Lost), (1, Outcome::Lost)]);
}

/// A settlement of one delivery never meets another, though a new leader may have forgotten the count.
#[test]
fn a_new_delivery_of_a_record_ends_the_one_before() {
    let mut bench = Bench::holding(2);
    bench.fetch(5);
    bench.settle(0, AcknowledgeType::Accept);
    bench.fetched(0, acquired(0, 2));
    let events = bench.session.take_events();
    assert!(events.contains(&Event::Gone { leases: vec![lease(1)] }), "{events:?}");
    bench.session.events = events;
    assert_eq!(bench.outcomes(), [(0, Outcome::Stale)]);
    assert!(bench.ask(0).is_none(), "nothing is sent for it");
    bench.settle(0, AcknowledgeType::Accept);
    assert_eq!(bench.outcomes(), [(0, Outcome::Stale)]);
    assert_eq!(bench.session.held(), 2);
}

/// `ShareFetch` adds to the session whatever it names.
#[test]
fn partitions_come_and_go() {
    let mut bench = Bench::holding(1);
    bench.settle(0, AcknowledgeType::Accept);
    bench.session.assign(BTreeSet::from([place(1), place(2)]));
    let request = bench.fetch(5);
    let named: Vec<_> = request.topics[0].partitions.iter().map(|one| one.partition).collect();
    assert_eq!(named, [0, 2]);
    assert_eq!(request.forgotten[0].partitions, [0]);
    bench.fetched(0, vec![partition(0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied)]);
    let request = bench.fetch(5);
    assert!(request.topics.is_empty() && request.forgotten.is_empty());
}

/// What is settled has its result before the session ends; what is not is given back by its end.
#[test]
fn the_end_comes_after_the_last_result() {
    let mut bench = Bench::holding(3);
    bench.settle(0, AcknowledgeType::Accept);
    bench.session.close();
    let request = bench.acknowledge();
    assert_eq!(request.session_epoch, 1);
    bench.acknowledged(0, &[(0, 0)]);
    assert!(!bench.session.is_closed());
    let request = bench.acknowledge();
    assert_eq!((request.session_epoch, request.topics.len()), (-1, 0));
    bench.acknowledged(0, &[]);
    assert!(bench.session.is_closed());
    let events = bench.session.take_events();
    assert!(
        events.contains(&Event::Gone {
            leases: vec![lease(1), lease(2)]
        }),
        "{events:?}"
    );
    assert_eq!(bench.ask(5), None);
}

#[test]
fn a_session_that_was_never_open_ends_at_once() {
    let mut bench = Bench::new();
    bench.session.close();
    assert_eq!(bench.ask(5), None);
    assert!(bench.session.is_closed());
}

#[test]
fn an_answer_that_no_broker_gives_is_an_error() {
    let respond = |first_offset, last_offset| ShareFetchResponse {
        throttle_time_ms: 0,
        error_code: 0,
        error_message: None,
        acquisition_lock_timeout_ms: LOCK_MS,
        topics: vec![FetchedTopic {
            topic_id: place(0).topic_id,
            partitions: vec![FetchedPartition {
                acquired: vec![Acquired {
                    first_offset,
                    last_offset,
                    delivery_count: 1,
                }],
                ..partition(0)
            }],
        }],
        node_endpoints: Vec::new(),
    };
    for (first, last) in [(0, i64::MAX), (i64::MIN, i64::MAX), (5, 4), (-2, -1), (0, 1_000_010)] {
        let mut bench = Bench::new();
        bench.fetch(10);
        let error = bench.session.fetched(respond(first, last), bench.now).unwrap_err();
        assert!(matches!(error, SessionError::Acquired { .. }), "{error}");
    }
    let mut bench = Bench::new();
    let error = bench.session.fetched(respond(0, 1), bench.now).unwrap_err();
    assert_eq!(error, SessionError::Unasked("ShareFetch"));
}

/// Whoever is done with a record does not wait for its renewal, and is not told that it was too late.
#[test]
fn a_settlement_takes_the_place_of_a_renewal_or_follows_it() {
    let mut bench = Bench::holding(4);
    // One that waits.
    bench.settle(0, AcknowledgeType::Renew);
    bench.session.settle(lease(0), AcknowledgeType::Accept, Ticket(1));
    let not_renewed = |offset| Event::NotRenewed {
        lease: lease(offset),
        ticket: Ticket(0),
    };
    assert_eq!(bench.session.take_events(), [not_renewed(0)]);
    // Some that are on their way: applied, refused, broken.
    (1..4).for_each(|offset| bench.settle(offset, AcknowledgeType::Renew));
    let request = bench.acknowledge();
    assert_eq!(acks(&request.topics), [(0, 0, 3, vec![1, 4, 4, 4])]);
    bench.settle(1, AcknowledgeType::Release);
    bench.settle(1, AcknowledgeType::Accept);
    bench.settle(2, AcknowledgeType::Renew);
    assert_eq!(bench.session.take_events().len(), 2, "a second one of each");
    bench.acknowledged(0, &[(0, 121)]);
    assert_eq!(bench.session.take_events(), [not_renewed(1)]);
    let request = bench.acknowledge();
    assert_eq!(acks(&request.topics), [(0, 0, 1, vec![1, 2])]);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(0, Outcome::Applied), (1, Outcome::Applied)]);
    bench.acknowledge();
    bench.settle(2, AcknowledgeType::Reject);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), []);
    assert_eq!(acks(&bench.acknowledge().topics), [(0, 2, 2, vec![3])]);
    bench.acknowledged(0, &[(0, 0)]);
    assert_eq!(bench.outcomes(), [(2, Outcome::Applied)]);
    bench.settle(3, AcknowledgeType::Renew);
    bench.acknowledge();
    bench.settle(3, AcknowledgeType::Accept);
    bench.session.disconnected();
    assert_eq!(bench.outcomes(), [(3, Outcome::Unknown), (3, Outcome::Lost)]);
    assert_eq!(bench.session.held_in_all(), 0);
}
