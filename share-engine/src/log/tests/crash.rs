//! Power loss after every call of a short history, and every call failing once: what the last snapshot lists is
//! there, byte for byte, and the log goes on from it.

use super::*;
use crate::storage::{CrashPlan, Fault, FaultKind};

/// What a history does next.
enum Step {
    Append(usize),
    Sync,
    /// Sync, and a snapshot that lists the result.
    Snapshot,
    /// Drop the first segment, snapshot, remove its files.
    Drop,
}

/// Appends, rolls, syncs with and without a snapshot behind them, drops.
const HISTORY: [Step; 14] = [
    Step::Append(3),
    Step::Snapshot,
    Step::Append(2),
    Step::Sync,
    Step::Append(9),
    Step::Snapshot,
    Step::Sync,
    Step::Drop,
    Step::Append(4),
    Step::Append(8),
    Step::Snapshot,
    Step::Drop,
    Step::Append(1),
    Step::Sync,
];

/// What the newest snapshot lists, and the batches in it.
#[derive(Clone, Default)]
struct Listed {
    state: LogState,
    batches: Vec<StoredBatch>,
    /// How many of all batches were appended by then.
    appended: usize,
}

/// Runs the history until a call fails; `listed` is always what the newest snapshot says.
fn run(storage: &MemoryStorage, all: &[StoredBatch], listed: &mut Listed) -> Result<(), LogError> {
    let mut writer = open(storage, &listed.state)?;
    let mut appended = 0;
    let mut dropped = Offset::ZERO;
    for step in HISTORY {
        match step {
            Step::Append(count) => {
                writer.append(&all[appended..appended + count])?;
                appended += count;
                continue;
            }
            Step::Sync => {
                writer.sync()?;
                continue;
            }
            Step::Snapshot => writer.sync()?,
            Step::Drop => {
                let first = writer.state().segments[0];
                dropped = first.end;
                assert_eq!(writer.drop_segments_before(dropped), [first]);
            }
        }
        let state = writer.state();
        let in_list = |batch: &&StoredBatch| {
            let of = |segment: &SegmentState| segment.base <= batch.base() && batch.last() < segment.end;
            state.segments.iter().any(of)
        };
        *listed = Listed {
            batches: all.iter().filter(in_list).cloned().collect(),
            appended: all
                .iter()
                .filter(|batch| in_list(batch) || batch.base() < dropped)
                .count(),
            state,
        };
        if writer.has_dropped() {
            writer.remove_dropped()?;
        }
    }
    Ok(())
}

/// Opens with the list, checks, appends the rest as the journal would, checks, and opens once more.
fn check_recovery(storage: &MemoryStorage, listed: &Listed, all: &[StoredBatch], story: &str) {
    let mut writer = open(storage, &listed.state).unwrap_or_else(|error| panic!("{story}: {error}"));
    assert_eq!(writer.state(), listed.state, "{story}");
    check_lengths(storage, &listed.state);
    check_all(&writer.reader(), &listed.batches);
    let rest = &all[listed.appended..];
    writer.append(rest).unwrap();
    writer.sync().unwrap();
    let expected = [&listed.batches[..], rest].concat();
    check_all(&writer.reader(), &expected);
    let state = writer.state();
    assert_eq!(
        storage.files().len(),
        2 + 4 * state.segments.len(),
        "{story}: files are left"
    );
    let after = storage.crash(CrashPlan::Lose);
    check_all(&open(&after, &state).unwrap().reader(), &expected);
}

#[test]
fn power_loss_after_every_call() {
    let all = batches(27);
    let whole = MemoryStorage::new(1);
    let mut listed = Listed::default();
    run(&whole, &all, &mut listed).unwrap();
    assert!(
        listed.state.segments.len() >= 2,
        "the history must roll after its drops"
    );
    let calls = whole.calls();
    assert!(calls > 100);
    for stop in 0..=calls {
        let storage = MemoryStorage::new(stop);
        storage.stop_after(stop);
        let mut listed = Listed::default();
        assert_eq!(run(&storage, &all, &mut listed).is_ok(), stop == calls);
        let random = (0..6).map(|seed| CrashPlan::Random(stop * 6 + seed));
        for plan in random.chain([CrashPlan::Lose, CrashPlan::Keep]) {
            check_recovery(
                &storage.crash(plan),
                &listed,
                &all,
                &format!("{plan:?} after call {stop}"),
            );
        }
    }
}

#[test]
fn every_call_fails_once_and_opening_anew_helps() {
    let all = batches(27);
    let whole = MemoryStorage::new(1);
    run(&whole, &all, &mut Listed::default()).unwrap();
    for nth in 1..=whole.calls() {
        for kind in [FaultKind::NoSpace, FaultKind::Short] {
            let storage = MemoryStorage::new(nth);
            storage.fail(Fault::nth(kind, nth));
            let mut listed = Listed::default();
            assert!(
                run(&storage, &all, &mut listed).is_err(),
                "call {nth} failed and nobody said so"
            );
            let story = format!("{kind:?} at call {nth}");
            check_recovery(&storage, &listed, &all, &story);
        }
    }
}

#[test]
fn a_failed_log_takes_nothing_more() {
    let storage = MemoryStorage::new(1);
    let mut writer = open(&storage, &LogState::default()).unwrap();
    writer.append(&[batch(0, 1)]).unwrap();
    writer.sync().unwrap();
    let state = writer.state();
    writer.append(&[batch(1, 1)]).unwrap();
    storage.fail(Fault::nth(FaultKind::Io, 1));
    assert!(matches!(writer.sync(), Err(LogError::Io { .. })));
    assert!(matches!(writer.append(&[batch(2, 1)]), Err(LogError::Fenced { .. })));
    assert!(matches!(writer.sync(), Err(LogError::Fenced { .. })));
    assert_eq!(writer.state(), state);
}

#[test]
fn power_loss_during_deletion() {
    let (storage, writer, _) = filled(12);
    drop(writer);
    let calls = storage.fork(1);
    delete_log(&calls, DIRECTORY).unwrap();
    for stop in 0..=calls.calls() {
        let storage = storage.fork(stop);
        storage.stop_after(stop);
        let _ = delete_log(&storage, DIRECTORY);
        for plan in [CrashPlan::Lose, CrashPlan::Keep, CrashPlan::Random(stop)] {
            let after = storage.crash(plan);
            delete_log(&after, DIRECTORY).unwrap();
            assert!(after.files().is_empty());
            let writer = open(&after, &LogState::default()).unwrap();
            check_all(&writer.reader(), &[]);
        }
    }
}
