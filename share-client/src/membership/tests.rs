//! A member against answers as a coordinator gives them: every row of `ShareGroupHeartbeat`'s errors.

use share_wire::Uuid;
use share_wire::kafka::find_coordinator_response::Coordinator;
use share_wire::kafka::share_group_heartbeat_response::{Assignment, TopicPartitions};

use super::*;

/// In the middle of what chance does to a pause.
const EVEN: u64 = 200;

struct Bench {
    member: Membership,
    now: Instant,
}

fn answer(code: ErrorCode, epoch: i32, partitions: Option<&[i32]>) -> ShareGroupHeartbeatResponse {
    let assignment = partitions.map(|partitions| {
        let topic = TopicPartitions::default()
            .with_topic_id(Uuid::from_u128(7))
            .with_partitions(partitions.to_vec());
        Assignment::default().with_topic_partitions(vec![topic])
    });
    ShareGroupHeartbeatResponse::default()
        .with_error_code(code.0)
        .with_member_epoch(epoch)
        .with_heartbeat_interval_ms(5000)
        .with_assignment(assignment)
}

fn places(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    let place = |partition: &i32| TopicPartition {
        topic_id: Uuid::from_u128(7),
        partition: *partition,
    };
    partitions.iter().map(place).collect()
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "some moment to count from")]
    fn new() -> Self {
        let options = Options {
            group: "packers".to_owned(),
            member: "m".to_owned(),
            topics: vec!["orders".to_owned()],
            rack: Some("r1".to_owned()),
            who: Who {
                principal: Some("User:bob".to_owned()),
                servers: "k1:9092".to_owned(),
            },
        };
        let now = Instant::now();
        let member = Membership::new(options, now);
        Self { member, now }
    }

    /// In the group, with partition 0.
    fn joined() -> Self {
        let mut bench = Self::new();
        bench.find();
        bench.beat();
        bench.answer(ErrorCode::NONE, 3, Some(&[0]));
        assert_eq!(
            bench.member.take_events(),
            [Event::Joined, Event::Assigned(places(&[0]))]
        );
        bench
    }

    fn find(&mut self) {
        let Step::Find(request) = self.member.next(self.now) else {
            panic!("no search")
        };
        assert_eq!((request.key_type, request.coordinator_keys[0].as_str()), (0, "packers"));
        let found = Coordinator::default()
            .with_host(StrBytes::from_static_str("localhost"))
            .with_port(9092);
        let response = FindCoordinatorResponse::default().with_coordinators(vec![found]);
        self.member.found(&response, self.now, EVEN);
    }

    fn beat(&mut self) -> ShareGroupHeartbeatRequest {
        match self.member.next(self.now) {
            Step::Beat(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, code: ErrorCode, epoch: i32, partitions: Option<&[i32]>) {
        self.member.beaten(&answer(code, epoch, partitions), self.now, EVEN);
    }

    /// How long nothing is to be done; then it is that time.
    fn wait(&mut self) -> u128 {
        let Step::Wait(until) = self.member.next(self.now) else {
            return 0;
        };
        let wait = until - self.now;
        self.now = until;
        wait.as_millis()
    }
}

#[test]
fn the_first_heartbeat_says_all_and_later_ones_that_it_lives() {
    let mut bench = Bench::new();
    bench.find();
    let request = bench.beat();
    assert_eq!((request.member_epoch, request.member_id.as_str()), (0, "m"));
    assert_eq!(request.rack_id.as_deref(), Some("r1"));
    assert_eq!(request.subscribed_topic_names.unwrap()[0].0.as_str(), "orders");
    // As in a real group: nothing is assigned yet.
    bench.answer(ErrorCode::NONE, 1, Some(&[]));
    assert_eq!(bench.member.take_events(), [Event::Joined]);
    assert_eq!(bench.wait(), 5000);
    let request = bench.beat();
    assert_eq!((request.member_epoch, request.rack_id), (1, None));
    assert_eq!(request.subscribed_topic_names, None);
    bench.answer(ErrorCode::NONE, 2, Some(&[0, 1]));
    assert_eq!(bench.member.take_events(), [Event::Assigned(places(&[0, 1]))]);
    assert_eq!(bench.wait(), 5000);
    assert_eq!(bench.beat().member_epoch, 2);
    bench.answer(ErrorCode::NONE, 2, None);
    assert_eq!(bench.member.take_events(), [], "an assignment that is left out stays");
}

#[test]
fn the_interval_counts_from_when_the_heartbeat_left() {
    let mut bench = Bench::joined();
    bench.wait();
    bench.beat();
    bench.now += Duration::from_secs(2);
    bench.answer(ErrorCode::NONE, 3, None);
    assert_eq!(bench.wait(), 3000);
    // What a coordinator may ask for has its limits.
    for (interval, wait) in [(-1, 50), (0, 50), (i32::MAX, 60_000)] {
        bench.beat();
        let answer = answer(ErrorCode::NONE, 3, None).with_heartbeat_interval_ms(interval);
        bench.member.beaten(&answer, bench.now, EVEN);
        assert_eq!(bench.wait(), wait);
    }
}

#[test]
fn whoever_was_put_out_comes_back_under_the_same_name() {
    for code in [
        ErrorCode::FENCED_MEMBER_EPOCH,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::GROUP_ID_NOT_FOUND,
    ] {
        let mut bench = Bench::joined();
        bench.wait();
        bench.beat();
        bench.answer(code, 0, None);
        assert_eq!(bench.member.take_events(), [Event::Assigned(places(&[]))]);
        assert_eq!(bench.wait(), 0, "at once");
        let request = bench.beat();
        assert_eq!((request.member_epoch, request.member_id.as_str()), (0, "m"));
        assert!(request.subscribed_topic_names.is_some());
        if code != ErrorCode::GROUP_ID_NOT_FOUND {
            bench.answer(code, 0, None);
            assert_eq!(bench.wait(), 100, "not for ever at once");
            bench.beat();
        }
        bench.answer(ErrorCode::NONE, 9, Some(&[0]));
        assert_eq!(
            bench.member.take_events(),
            [Event::Joined, Event::Assigned(places(&[0]))]
        );
        assert_eq!(bench.member.epoch(), 9);
    }
}

#[test]
fn another_coordinator_is_looked_for_at_once_and_then_more_slowly() {
    for code in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE] {
        let mut bench = Bench::joined();
        bench.wait();
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert_eq!(bench.beat().member_epoch, 3, "the member stays who it is");
            bench.answer(code, 0, None);
            waits.push(bench.wait());
            bench.find();
        }
        assert_eq!(waits, [0, 200, 400, 800]);
        assert_eq!(bench.member.take_events(), []);
        bench.beat();
        bench.answer(ErrorCode::NONE, 3, None);
        assert_eq!(bench.wait(), 5000);
    }
}

#[test]
fn a_coordinator_that_reads_its_state_is_waited_for() {
    let mut bench = Bench::joined();
    bench.wait();
    let mut waits = Vec::new();
    for _ in 0..5 {
        bench.beat();
        bench.answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 0, None);
        waits.push(bench.wait());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1000]);
    assert_eq!(bench.beat().member_epoch, 3);
}

#[test]
fn whoever_cannot_be_reached_is_looked_for_again() {
    let mut bench = Bench::joined();
    bench.wait();
    bench.beat();
    bench.member.unreachable(bench.now, EVEN);
    assert_eq!(bench.wait(), 100);
    bench.find();
    assert_eq!(bench.wait(), 0);
    assert_eq!(bench.beat().member_epoch, 3);
    // Nobody knows the coordinator either.
    bench.member.unreachable(bench.now, EVEN);
    assert_eq!(bench.wait(), 200);
    let Step::Find(_) = bench.member.next(bench.now) else {
        panic!("no search")
    };
    bench.member.unreachable(bench.now, EVEN);
    assert_eq!(bench.wait(), 400);
    let Step::Find(_) = bench.member.next(bench.now) else {
        panic!("no search")
    };
    let nobody = Coordinator::default().with_error_code(15).with_port(-1);
    let response = FindCoordinatorResponse::default().with_coordinators(vec![nobody]);
    bench.member.found(&response, bench.now, EVEN);
    assert_eq!(bench.wait(), 800);
}

#[test]
fn an_assignment_whose_answer_was_lost_is_asked_for_again() {
    type Lose = fn(&mut Bench);
    let lost: [(&str, Lose); 3] = [
        ("no answer", |bench| {
            bench.member.unreachable(bench.now, EVEN);
            bench.wait();
            bench.find();
        }),
        ("another coordinator", |bench| {
            bench.answer(ErrorCode::NOT_COORDINATOR, 0, None);
            bench.find();
        }),
        ("one that is not ready", |bench| {
            bench.answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 0, None);
            bench.wait();
        }),
    ];
    for (name, lose) in lost {
        let mut bench = Bench::joined();
        bench.wait();
        assert_eq!(bench.beat().subscribed_topic_names, None, "{name}");
        lose(&mut bench);
        let request = bench.beat();
        assert_eq!(
            (request.member_epoch, request.rack_id.as_deref()),
            (3, Some("r1")),
            "{name}"
        );
        assert_eq!(
            request.subscribed_topic_names.unwrap()[0].0.as_str(),
            "orders",
            "{name}"
        );
        bench.answer(ErrorCode::NONE, 4, Some(&[0, 1]));
        assert_eq!(bench.member.take_events(), [Event::Assigned(places(&[0, 1]))], "{name}");
        bench.wait();
        assert_eq!(bench.beat().subscribed_topic_names, None, "{name}: said once");
    }
}

#[test]
fn what_is_refused_for_good_says_why() {
    for (code, said, message) in [
        (
            81,
            Some("maximum capacity of 2"),
            "`packers` is full: maximum capacity of 2",
        ),
        (30, None, "User:bob needs the operation READ on the group `packers`"),
        (
            29,
            None,
            "User:bob needs the operations DESCRIBE and READ on each of the topics orders",
        ),
        (35, None, "share groups are off"),
        (69, None, "`packers` is not a share group"),
        (42, Some("no such field"), "INVALID_REQUEST (42): no such field"),
        (9999, None, "unknown error code 9999"),
    ] {
        let mut bench = Bench::new();
        bench.find();
        bench.beat();
        let said: Option<&str> = said;
        let answer = answer(ErrorCode(code), 0, None)
            .with_error_message(said.map(|said| StrBytes::from_string(said.to_owned())));
        bench.member.beaten(&answer, bench.now, EVEN);
        let events = bench.member.take_events();
        let [Event::Failed(refusal)] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(refusal.to_string().contains(message), "{refusal}");
        assert_eq!(bench.member.next(bench.now), Step::End);
    }
}

/// Kafka's own clients tell it and stay: somebody may grant it again.
#[test]
fn a_member_outlives_that_a_topic_is_refused() {
    let mut bench = Bench::joined();
    bench.wait();
    bench.beat();
    bench.answer(ErrorCode::TOPIC_AUTHORIZATION_FAILED, 0, None);
    assert!(matches!(bench.member.take_events()[..], [Event::Refused(_)]));
    assert_eq!(bench.wait(), 100);
    assert_eq!(bench.beat().member_epoch, 3);
}

#[test]
fn whoever_leaves_says_so_once() {
    let mut bench = Bench::joined();
    bench.member.leave(bench.now);
    assert_eq!(bench.beat().member_epoch, -1);
    bench.answer(ErrorCode::NOT_COORDINATOR, 0, None);
    bench.find();
    assert_eq!(bench.beat().member_epoch, -1);
    bench.answer(ErrorCode::UNKNOWN_MEMBER_ID, 0, None);
    assert_eq!(bench.member.next(bench.now), Step::End);
    // Nothing to leave.
    let mut bench = Bench::new();
    bench.member.leave(bench.now);
    assert_eq!(bench.member.next(bench.now), Step::End);
}
