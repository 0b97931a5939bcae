//! Power loss after every storage call of a script that wraps around three times and grows, during recovery too; and
//! many lives in a row, each ended by a power loss.

use super::*;
use crate::entropy::Entropy;
use crate::storage::CrashPlan;
use crate::testing::SeededEntropy;

/// What a script had reached when the storage failed.
#[derive(Default)]
struct Reached {
    created: bool,
    finished: bool,
    /// The newest snapshot.
    from: Position,
    /// Groups that were acknowledged: images and end.
    acknowledged: Vec<(Vec<Image>, Position)>,
    /// The group that was being committed.
    in_flight: Vec<Image>,
    /// Where the tail was when it stopped.
    tail: Position,
}

impl Reached {
    fn expected(&self) -> Vec<Image> {
        let live = self.acknowledged.iter().filter(|(_, end)| *end > self.from);
        live.flat_map(|(images, _)| images.clone()).collect()
    }

    /// Everything acknowledged, then nothing or all of the group in flight.
    fn check(&self, found: &[Image], context: &str) {
        let expected = self.expected();
        assert!(
            found.starts_with(&expected),
            "{context}: acknowledged entries are missing"
        );
        let more = &found[expected.len()..];
        assert!(more.is_empty() || more == self.in_flight, "{context}: {more:?}");
    }
}

/// Groups of one to three entries; the two newest are kept, everything older is freed.
fn run(storage: &MemoryStorage) -> Reached {
    let mut reached = Reached::default();
    let Ok(mut journal) = Journal::create(shared(storage), small(), ID) else {
        return reached;
    };
    reached.created = true;
    let mut number = 0;
    for turn in 0..40 {
        let mut group = GroupBuilder::default();
        reached.in_flight.clear();
        for _ in 0..=turn % 3 {
            if group.disk_len() < 2048 {
                reached.in_flight.push(push(&mut group, number));
                number += 1;
            }
        }
        let result = journal.commit(&mut group, Durability::Sync);
        reached.tail = journal.tail();
        let Ok(committed) = result else {
            assert!(journal.is_fenced());
            return reached;
        };
        reached
            .acknowledged
            .push((std::mem::take(&mut reached.in_flight), committed.end));
        if let Some((_, end)) = reached.acknowledged.iter().rev().nth(2) {
            reached.from = *end;
            journal.free_before(*end);
        }
        if turn >= 25
            && let Some(growth) = journal.begin_growth()
        {
            match growth.run() {
                Ok(file) => journal.adopt(file),
                Err(_) => journal.abandon_growth(),
            }
        }
    }
    reached.finished = journal.close().is_ok();
    reached
}

fn plans(seed: u64) -> impl Iterator<Item = CrashPlan> {
    [CrashPlan::Lose, CrashPlan::Keep]
        .into_iter()
        .chain((0..40).map(move |step| CrashPlan::Random(seed * 100 + step)))
}

#[test]
fn power_loss_after_every_call_loses_nothing_acknowledged() {
    let whole = storage();
    let reached = run(&whole);
    assert!(reached.finished && whole.files().len() == 3, "the script grows");
    assert!(reached.tail.get() > 3 * 2 * ROOM, "three laps");
    let mut states = 0;
    for calls in 0..=whole.calls() {
        let storage = storage();
        storage.stop_after(calls);
        let reached = run(&storage);
        for plan in plans(calls) {
            let context = format!("cut after call {calls}, {plan:?}");
            let disk = storage.crash(plan);
            states += 1;
            if !reached.created {
                fill(&mut create(&disk, small()), 0..3);
                continue;
            }
            let (mut journal, _, found) =
                images(&disk, reached.from).unwrap_or_else(|error| panic!("{context}: {error}"));
            reached.check(&found, &context);
            let mut expected = found;
            for number in 900..904 {
                // The ring may be as full as it was; a snapshot makes room.
                if journal.room(Admission::Always) < 2048 {
                    journal.free_before(journal.tail());
                }
                expected.extend(fill(&mut journal, [number]).into_iter().map(|(image, _)| image));
            }
            let (_, report, again) = images(&disk.crash(CrashPlan::Lose), journal.tail()).unwrap();
            assert_eq!((again.len(), report.tail), (0, journal.tail()), "{context}");
        }
    }
    assert!(states > 5000, "{states}");
}

#[test]
fn power_loss_during_recovery_loses_nothing_acknowledged() {
    let whole = storage();
    run(&whole);
    for calls in (0..=whole.calls()).step_by(3) {
        let storage = storage();
        storage.stop_after(calls);
        let reached = run(&storage);
        if !reached.created {
            continue;
        }
        for plan in [CrashPlan::Lose, CrashPlan::Keep, CrashPlan::Random(calls)] {
            let disk = storage.crash(plan);
            let probe = disk.fork(1);
            images(&probe, reached.from).unwrap();
            for step in 0..=probe.calls() {
                let second = disk.fork(step);
                second.stop_after(step);
                let served = images(&second, reached.from).ok().map(|(_, _, found)| found);
                let context = format!("cut after call {calls}, {plan:?}, recovery after {step}");
                for last in [CrashPlan::Lose, CrashPlan::Keep, CrashPlan::Random(step)] {
                    let (_, _, found) = images(&second.crash(last), reached.from)
                        .unwrap_or_else(|error| panic!("{context}, {last:?}: {error}"));
                    reached.check(&found, &context);
                    assert!(
                        served.as_ref().is_none_or(|served| *served == found),
                        "{context}: served, then lost"
                    );
                }
            }
        }
    }
}

/// A cut tail leaves whole groups behind it on disk. The next life writes groups of the same lengths over the first
/// of them; those behind must never come back to life. Entry `n + 1400` has the length of entry `n`.
#[test]
fn many_lives_in_a_row_never_resurrect_a_cut_tail() {
    let mut cut = 0;
    for seed in 0..1500 {
        cut += live_and_die(seed);
    }
    assert!(cut > 500, "only {cut} tails were cut");
}

fn live_and_die(seed: u64) -> u64 {
    let entropy = SeededEntropy::new(seed);
    let mut disk = MemoryStorage::new(seed);
    let mut journal = create(&disk, small());
    let mut history: Vec<(Image, Position)> = Vec::new();
    let mut from = Position::ZERO;
    let mut cut = 0;
    for life in 0..5_u64 {
        for turn in 0..entropy.next_u64() % 12 {
            let (mut group, image) = one(life * 1400 + (history.len() as u64 + turn) % 10);
            while journal.room(Admission::Always) < group.disk_len() || choose(&entropy, 6) == 0 && !history.is_empty()
            {
                // A snapshot may be ahead of what the journal has synced.
                if choose(&entropy, 2) == 0 {
                    journal.sync().unwrap();
                }
                from = history[choose(&entropy, history.len() as u64)].1;
                history.retain(|(_, end)| *end > from);
                journal.free_before(from);
            }
            if choose(&entropy, 8) == 0
                && let Some(growth) = journal.begin_growth()
            {
                journal.adopt(growth.run().unwrap());
            }
            let durability = [Durability::Os, Durability::Os, Durability::Os, Durability::Sync][choose(&entropy, 4)];
            let committed = journal.commit(&mut group, durability).unwrap();
            history.push((image, committed.end));
        }
        let closed = choose(&entropy, 4) == 0;
        let mut synced = journal.synced_through();
        let room_for_the_end = journal.free() >= SECTOR;
        if closed {
            synced = journal.close().unwrap();
        }
        disk = disk.crash(match choose(&entropy, 6) {
            0 => CrashPlan::Keep,
            _ => CrashPlan::Random(seed * 10 + life),
        });
        let (next, report, found) =
            images(&disk, from).unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
        assert_eq!(
            closed && room_for_the_end,
            report.clean,
            "seed {seed} life {life}: {report:?}"
        );
        let submitted: Vec<Image> = history.iter().map(|(image, _)| image.clone()).collect();
        assert!(submitted.starts_with(&found), "seed {seed} life {life}: not a prefix");
        let kept = history.iter().filter(|(_, end)| *end <= synced).count();
        assert!(
            found.len() >= kept,
            "seed {seed} life {life}: {} of {kept} synced",
            found.len()
        );
        cut += u64::from(report.torn.is_some());
        history.truncate(found.len());
        journal = next;
    }
    cut
}

/// A disk on which the journal was cut back to sector 4 of its first file while the header of the second file survived,
/// which says that the first was left at sector 8.
fn left_over_header() -> MemoryStorage {
    let disk = storage();
    let mut journal = create(&disk, small());
    sized(&mut journal, 4, Durability::Sync).unwrap();
    sized(&mut journal, 4, Durability::Os).unwrap();
    sized(&mut journal, 10, Durability::Os).unwrap();
    let left_over = |disk: &MemoryStorage| disk.contents("journal/0001.ring")[32] == 1;
    (0..1000)
        .map(|seed| disk.crash(CrashPlan::Random(seed)))
        .find(|disk| left_over(disk) && images(&disk.fork(0), Position::ZERO).unwrap().2.len() == 1)
        .unwrap()
}

/// When the next life comes to the same place and a snapshot is taken just there, the header that was left over,
/// believed, would free what is written behind the snapshot.
#[test]
fn a_header_left_over_from_a_cut_tail_frees_nothing() {
    let disk = left_over_header();
    let (mut journal, ..) = images(&disk, Position::ZERO).unwrap();
    let place = sized(&mut journal, 4, Durability::Sync).unwrap();
    assert_eq!(place.get(), 8 * SECTOR);
    journal.free_before(place);
    sized(&mut journal, 6, Durability::Sync).unwrap();
    sized(&mut journal, 10, Durability::Sync).unwrap();
    let refused = sized(&mut journal, 10, Durability::Sync).unwrap_err();
    assert!(
        matches!(refused, CommitError::Refused(RefusedError::Full { .. })),
        "{refused}"
    );
    assert_eq!(images(&disk, place).unwrap().2.len(), 2);
}

/// The same when the first file was filled to its last sector and the journal is opened there: the header is taken
/// over for the file that comes next, without what it says of the past. Found by seed 17027 of the test above.
#[test]
fn a_header_left_over_from_a_cut_tail_is_not_taken_over() {
    let disk = left_over_header();
    let (mut journal, ..) = images(&disk, Position::ZERO).unwrap();
    let place = sized(&mut journal, 4, Durability::Sync).unwrap();
    sized(&mut journal, 7, Durability::Sync).unwrap();
    assert_eq!(journal.tail().get(), ROOM);
    let (mut journal, ..) = images(&disk, Position::ZERO).unwrap();
    journal.free_before(place);
    sized(&mut journal, 10, Durability::Sync).unwrap();
    let refused = sized(&mut journal, 10, Durability::Sync).unwrap_err();
    assert!(
        matches!(refused, CommitError::Refused(RefusedError::Full { .. })),
        "{refused}"
    );
    assert_eq!(images(&disk, place).unwrap().2.len(), 2);
}

/// A group of this many sectors; gives back its end.
fn sized(journal: &mut Journal, sectors: usize, durability: Durability) -> Result<Position, CommitError> {
    let mut group = GroupBuilder::default();
    let bytes = vec![1; sectors * 512 - GROUP_HEADER - ENTRY_OVERHEAD - 5];
    group.push_entry(u64::MAX, |entry| entry.catalog(&bytes)).unwrap();
    assert_eq!(group.disk_len(), sectors as u64 * SECTOR);
    journal.commit(&mut group, durability).map(|committed| committed.end)
}

fn choose(entropy: &SeededEntropy, among: u64) -> usize {
    usize::try_from(entropy.next_u64() % among).unwrap()
}
