//! Every row of the table.

use share_engine::ids::{Continuation, DeliveryCount, Offset, ShareKey, StateEpoch};
use share_engine::testing::SeededEntropy;

use super::*;

const FRESH: Attempt = Attempt {
    number: 2,
    age: Duration::from_secs(1),
};
const OLD: Attempt = Attempt {
    number: 2,
    age: Duration::from_mins(10),
};

fn lease() -> LeaseKey {
    LeaseKey {
        share: ShareKey(1),
        epoch: StateEpoch(0),
        offset: Offset::saturating(7),
        delivery_count: DeliveryCount(2),
        continuation: Continuation(0),
    }
}

fn desk() -> Desk {
    let mut spec = DeploymentSpec::new("d", "t");
    spec.backoff.jitter = 0.0;
    Desk::new(&spec, Arc::from("abc"), Arc::new(SeededEntropy::new(1)))
}

fn decide(end: CallEnd, attempt: Attempt) -> Decision {
    let emitted = vec![OutgoingRecord {
        topic: "out".to_owned(),
        partition: None,
        key: None,
        value: None,
        headers: Vec::new(),
    }];
    desk().decide(lease(), attempt, end, emitted, vec!["last line".to_owned()])
}

/// End of the call, verdict, cause in the evidence, whether it counts as healthy.
#[track_caller]
fn check(end: CallEnd, verdict: &Verdict, cause: Option<Cause>, healthy: bool) {
    let decision = decide(end, FRESH);
    assert_eq!(&decision.settlement.verdict, verdict);
    assert_eq!(
        decision.settlement.evidence.as_ref().map(|evidence| evidence.cause),
        cause
    );
    assert_eq!(decision.healthy, healthy);
    let accepted = decision.settlement.verdict == Verdict::Accept;
    assert_eq!(
        !decision.settlement.emitted.is_empty(),
        accepted,
        "only an accept emits"
    );
    if let Some(evidence) = decision.settlement.evidence {
        assert_eq!(
            (&*evidence.module, &*evidence.log_tail),
            ("abc", &["last line".to_owned()][..])
        );
    }
}

#[test]
fn outcomes() {
    let second = Duration::from_secs(1);
    let retry = Verdict::Release { delay: 2 * second };
    check(CallEnd::Outcome(Outcome::Accept), &Verdict::Accept, None, true);
    let release = |after| CallEnd::Outcome(Outcome::Release { after, reason: None });
    check(release(None), &retry, Some(Cause::Release), true);
    let named = Verdict::Release { delay: 9 * second };
    check(release(Some(9 * second)), &named, Some(Cause::Release), true);
    let reject = CallEnd::Outcome(Outcome::Reject { reason: None });
    check(reject, &Verdict::Reject, Some(Cause::Reject), true);
    let checkpoint = Some(Bytes::from_static(b"state"));
    let renew = CallEnd::Outcome(Outcome::Renew {
        after: Some(second),
        checkpoint: checkpoint.clone(),
    });
    let delay = second;
    check(renew, &Verdict::Park { delay, checkpoint }, None, true);
}

#[test]
fn faults_of_the_guest_cost_an_attempt() {
    let retry = Verdict::Release {
        delay: Duration::from_secs(2),
    };
    let trap = CallEnd::Trap {
        code: "unreachable".to_owned(),
        message: "wasm trap".to_owned(),
        backtrace: vec!["handle".to_owned()],
    };
    let text = decide(trap.clone(), FRESH).settlement.evidence.unwrap().trap;
    assert_eq!(text.as_deref(), Some("unreachable\nhandle"));
    let limit = Duration::from_secs(30);
    let what = "host calls";
    check(trap, &retry, Some(Cause::Trap), false);
    check(
        CallEnd::OutOfMemory { limit: 5 },
        &retry,
        Some(Cause::OutOfMemory),
        false,
    );
    check(CallEnd::Deadline { limit }, &retry, Some(Cause::Deadline), false);
    let passed = CallEnd::Limit {
        what,
        value: 2,
        limit: 1,
    };
    check(passed, &retry, Some(Cause::Limit), false);
    check(CallEnd::Exit { code: 0 }, &retry, Some(Cause::Exit), false);
}

#[test]
fn faults_of_the_host_cost_nothing() {
    let now = Verdict::GiveBack { delay: Duration::ZERO };
    check(CallEnd::Cancelled, &now, None, true);
    for end in [
        CallEnd::HostFault("no instance".to_owned()),
        CallEnd::Refused {
            reason: "no".to_owned(),
        },
    ] {
        let decision = decide(end, FRESH);
        let Verdict::GiveBack { delay } = decision.settlement.verdict else {
            panic!("{decision:?}")
        };
        assert!(delay >= Duration::from_millis(25) && delay <= Duration::from_millis(75));
        assert!(!decision.healthy);
    }
}

#[test]
fn a_panic_is_attributed_at_once() {
    let panic = CallEnd::Panic("boom".to_owned());
    check(panic.clone(), &Verdict::Reject, Some(Cause::HostCrash), false);
    let reason = decide(panic, FRESH).settlement.evidence.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("the host panicked: boom"));
}

#[test]
fn no_attempt_outlives_max_lease() {
    let renew = |after| {
        CallEnd::Outcome(Outcome::Renew {
            after: Some(Duration::from_secs(after)),
            checkpoint: None,
        })
    };
    for (end, attempt) in [
        (renew(1), OLD),
        (renew(599), FRESH),
        (CallEnd::HostFault("no instance".to_owned()), OLD),
    ] {
        let decision = decide(end, attempt);
        assert!(matches!(decision.settlement.verdict, Verdict::Release { .. }));
        assert_eq!(decision.settlement.evidence.unwrap().cause, Cause::MaxLease);
    }
    assert!(matches!(
        decide(renew(598), FRESH).settlement.verdict,
        Verdict::Park { .. }
    ));
}

/// A record that waited to the very end of its attempt was archived without cause and reason.
#[test]
fn a_fault_of_the_host_ends_the_attempt_that_it_would_wait_out() {
    let late = Attempt {
        age: Duration::from_secs(590),
        ..FRESH
    };
    let desk = desk();
    let lease = lease();
    let waits = |delay| desk.not_started(lease, late, "no instance", Duration::from_secs(delay));
    assert!(matches!(waits(9).verdict, Verdict::GiveBack { .. }));
    let ended = waits(10);
    assert!(matches!(ended.verdict, Verdict::Release { .. }));
    let evidence = ended.evidence.unwrap();
    assert_eq!(evidence.cause, Cause::MaxLease);
    assert!(
        evidence
            .reason
            .unwrap()
            .ends_with("the last fault of the host: no instance")
    );
}
