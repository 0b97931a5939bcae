//! The n-th call fails: a commit is refused with nothing written or the journal is fenced, and the next open finds
//! everything acknowledged.

use super::*;
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind};

fn script(storage: &MemoryStorage) -> (Option<Position>, Vec<(Image, Position)>) {
    let mut done = Vec::new();
    let Ok(mut journal) = Journal::create(shared(storage), small(), ID) else {
        return (None, done);
    };
    let mut from = Position::ZERO;
    let mut fenced = false;
    for number in 0..50 {
        let (mut group, image) = one(number);
        match journal.commit(&mut group, Durability::Sync) {
            Ok(committed) => {
                assert!(!fenced, "a fenced journal accepted a group");
                done.push((image, committed.end));
            }
            Err(CommitError::Refused(error)) => panic!("refused: {error}"),
            Err(CommitError::Fenced { .. }) => fenced = true,
        }
        assert_eq!(journal.is_fenced(), fenced);
        if done.len() > 2 && !fenced {
            from = done[done.len() - 3].1;
            journal.free_before(from);
        }
    }
    let closed = journal.close();
    assert!(!fenced || closed.is_err());
    (Some(from), done)
}

#[test]
fn a_failure_of_any_call_fences_and_recovers() {
    let whole = storage();
    script(&whole);
    for kind in [
        FaultKind::Io,
        FaultKind::NoSpace,
        FaultKind::Interrupted,
        FaultKind::Short,
    ] {
        for sticky in [false, true] {
            for nth in 1..=whole.calls() {
                let storage = MemoryStorage::new(nth);
                let fault = Fault::nth(kind, nth);
                storage.fail(if sticky { fault.sticky() } else { fault });
                let (from, done) = script(&storage);
                storage.heal();
                for plan in [CrashPlan::Lose, CrashPlan::Keep, CrashPlan::Random(nth)] {
                    let disk = storage.crash(plan);
                    let Some(from) = from else {
                        create(&disk, small());
                        continue;
                    };
                    let context = format!("{kind:?} at call {nth}, sticky {sticky}, {plan:?}");
                    let (_, _, found) = images(&disk, from).unwrap_or_else(|error| panic!("{context}: {error}"));
                    let live = done.iter().filter(|(_, end)| *end > from);
                    let expected: Vec<Image> = live.map(|(image, _)| image.clone()).collect();
                    assert!(found.starts_with(&expected), "{context}");
                    assert!(found.len() <= expected.len() + 1, "{context}");
                }
            }
        }
    }
}

#[test]
fn an_interrupted_call_is_not_noticed() {
    let storage = storage();
    let mut journal = create(&storage, small());
    storage.fail(Fault::nth(FaultKind::Interrupted, 1).on(CallKind::Write));
    storage.fail(Fault::nth(FaultKind::Interrupted, 1).on(CallKind::Sync));
    fill(&mut journal, 0..2);
}

#[test]
fn the_fence_names_what_failed_first() {
    let storage = storage();
    let mut journal = create(&storage, small());
    storage.fail(Fault::nth(FaultKind::NoSpace, 1).on(CallKind::Write));
    let (mut group, _) = one(1);
    let expected = "the journal is fenced since it failed to write journal/0000.ring: injected: no space left";
    for _ in 0..2 {
        let error = journal.commit(&mut group, Durability::Sync).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(journal.sync().unwrap_err().to_string(), expected);
    assert_eq!(journal.close().unwrap_err().to_string(), expected);
}

#[test]
fn a_failing_open_says_where() {
    let storage = storage();
    fill(&mut create(&storage, small()), 0..3);
    for (call, message) in [
        (CallKind::List, "cannot list journal: injected: input/output error"),
        (
            CallKind::Open,
            "cannot open journal/0000.ring: injected: input/output error",
        ),
        (
            CallKind::Read,
            "cannot read journal/0000.ring: injected: input/output error",
        ),
        (
            CallKind::Sync,
            "cannot sync journal/0000.ring: injected: input/output error",
        ),
    ] {
        let disk = storage.fork(1);
        disk.fail(Fault::nth(FaultKind::Io, 1).on(call));
        assert_eq!(images(&disk, Position::ZERO).unwrap_err().to_string(), message);
    }
}
