//! Children that are shell scripts: what they say, how they end and what stands against the engine then.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::*;
use crate::shutdown::Stages;

/// Waits for its task, and says this in one write.
const SPEAKS: &str = r#"read task; printf '%s\n' "$@"; "#;
/// Until it is killed.
const STAYS: &str = "while read line; do :; done";

const LOADED: [&str; 3] = [
    r#""opening""#,
    r#""ready""#,
    r#"{"looked":{"results":{"from":0,"end":0,"start":0,"bytes":0},"letters":{"from":0,"end":0,"start":0,"bytes":0}}}"#,
];
const PRODUCED: &str = r#"{"produced":{"run":{"partition":0,"first":0,"last":2},"number":7}}"#;

fn drill(stages: &Stages, program: Vec<OsString>) -> Drill {
    Drill {
        program,
        ground: Ground::of(std::path::Path::new("")),
        data: PathBuf::new(),
        seed: 1,
        limit: Duration::from_secs(1),
        kills_max: 1,
        asked: stages.subscribe(),
        end_limit: Duration::ZERO,
        plant: None,
        progress: ProgressBar::hidden(),
    }
}

fn speaker(says: &[&str], then: &str) -> Vec<OsString> {
    let script = format!("{SPEAKS}{then}");
    let program = ["/bin/sh", "-c", &script, "child"];
    program.iter().chain(says).map(Into::into).collect()
}

/// One life of a child that speaks, and then does this.
fn lived(moment: Moment, says: &[&str], then: &str) -> (End, Outcome) {
    let mut outcome = Outcome::default();
    let end = drill(&Stages::default(), speaker(says, then)).live(0, moment, &mut outcome);
    (end, outcome)
}

const AT_ONCE: Moment = Moment::Load(Duration::ZERO);

#[track_caller]
fn stands_against_the_engine(outcome: &Outcome, text: &str) {
    assert_eq!(outcome.unfinished, None);
    assert_eq!((outcome.kills, outcome.oracle.found().other), (0, 1));
    let found = &outcome.oracle.found().first;
    assert!(found.iter().any(|one| one.text.contains(text)), "{found:?}");
}

#[track_caller]
fn stands_against_nobody(outcome: &Outcome, text: &str) {
    assert!(outcome.oracle.found().is_empty(), "{:?}", outcome.oracle.found());
    let why = outcome.unfinished.as_deref().unwrap();
    assert!(why.contains(text), "{why}");
}

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&LOADED, more].concat()
}

#[test]
fn what_was_said_before_the_kill_counts() {
    let (end, outcome) = lived(AT_ONCE, &with(&[PRODUCED]), STAYS);
    assert_eq!((end, outcome.kills), (End::Killed, 1));
    // Nothing was in hand.
    let parts = (
        outcome.kills_under_load,
        outcome.kills_in_recovery,
        outcome.kills_in_between,
    );
    assert_eq!(parts, (0, 0, 1));
    assert_eq!((outcome.oracle.counts().produced, outcome.unfinished), (3, None));
    assert!(outcome.oracle.found().is_empty());
}

/// It was passed over: the engine failed, and the kill hid it.
#[test]
fn a_failure_that_meets_the_kill_is_a_finding() {
    let says = with(&[r#"{"failed":"it broke"}"#, r#"{"failed":"it is closed"}"#, PRODUCED]);
    let (end, outcome) = lived(AT_ONCE, &says, STAYS);
    assert_eq!(end, End::Failed);
    stands_against_the_engine(&outcome, "the engine failed: it broke");
    assert_eq!(outcome.oracle.counts().produced, 3, "the figures are whole");
}

#[test]
fn a_failure_is_a_finding_also_when_nothing_was_killed_yet() {
    let says = with(&[PRODUCED, r#"{"failed":"it broke"}"#]);
    let (end, outcome) = lived(Moment::Never, &says, STAYS);
    assert_eq!((end, outcome.oracle.counts().produced), (End::Failed, 3));
    stands_against_the_engine(&outcome, "the engine failed: it broke");
}

#[test]
fn a_process_that_ends_by_itself_is_a_finding_with_its_last_words() {
    let complains = "printf 'out of luck\nnote: run with a backtrace\n' >&2; exit 7";
    let (end, outcome) = lived(Moment::Never, &LOADED, complains);
    assert_eq!(end, End::Failed);
    stands_against_the_engine(&outcome, "ended by itself: exit status: 7: out of luck");
    let (_, outcome) = lived(Moment::Never, &LOADED, "kill -ABRT $$");
    stands_against_the_engine(&outcome, "ended by itself: signal: 6");
}

/// It had come to its end before the kill that was meant for it.
#[test]
fn a_kill_that_comes_too_late_hides_nothing() {
    let judged = |wait_status| {
        let death = Death {
            status: Ok(ExitStatus::from_raw(wait_status)),
            complaint: Some("out of luck".to_owned()),
        };
        let mut outcome = Outcome::default();
        let end = outcome.judge(Turn::Due, None, &death, &Life::new(AT_ONCE));
        (end, outcome)
    };
    let (end, outcome) = judged(7 << 8);
    assert_eq!(end, End::Failed);
    stands_against_the_engine(&outcome, "ended by itself: exit status: 7: out of luck");
    let (_, outcome) = judged(6);
    stands_against_the_engine(&outcome, "ended by itself: signal: 6");
    let (end, outcome) = judged(9);
    assert_eq!((end, outcome.kills), (End::Killed, 1));
    assert!(outcome.oracle.found().is_empty());
}

#[test]
fn whoever_else_ends_the_process_is_not_the_engine() {
    let (end, outcome) = lived(Moment::Never, &LOADED, "kill -KILL $$");
    assert_eq!(end, End::Failed);
    stands_against_nobody(&outcome, "somebody else ended the process: signal: 9");
}

#[test]
fn a_disk_that_fails_breaks_no_promise() {
    let full = r#"{"failed":"cannot write journal/0001.new: No space left on device (os error 28)"}"#;
    for (moment, more) in [(Moment::Never, vec![full]), (AT_ONCE, vec![PRODUCED, full])] {
        let (end, outcome) = lived(moment, &with(&more), STAYS);
        assert_eq!((end, outcome.kills), (End::Failed, 0));
        stands_against_nobody(
            &outcome,
            "the disk is full: the engine failed: cannot write journal/0001.new",
        );
    }
}

#[test]
fn a_program_that_is_not_there_stands_against_nobody() {
    let drill = drill(&Stages::default(), vec!["/nowhere/sharemill".into()]);
    stands_against_nobody(&drill.run(), "cannot start another process of this program");
}

/// On a full disk it went on for two minutes.
#[test]
fn one_signal_ends_a_check_that_gets_nowhere() {
    let stages = Stages::default();
    stages.drain();
    let mut outcome = Outcome::default();
    let end = drill(&stages, speaker(&LOADED, STAYS)).live(0, Moment::Never, &mut outcome);
    assert_eq!(end, End::Failed);
    stands_against_nobody(&outcome, "interrupted before everything was checked");
    let later = Moment::Load(Duration::from_hours(1));
    let mut outcome = Outcome::default();
    let end = drill(&stages, speaker(&LOADED, STAYS)).live(0, later, &mut outcome);
    assert_eq!((end, outcome.kills), (End::Killed, 1));
}

/// It was called a loss.
#[test]
fn a_folder_that_somebody_deletes_stands_against_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let failed = r#"{"failed":"logs/tasks-0: No such file or directory (os error 2)"}"#;
    for (says, text) in [
        (with(&[failed]), "; then: the engine failed: logs/tasks-0"),
        (LOADED.to_vec(), "ran"),
    ] {
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let drill = Drill {
            ground: Ground::of(&data),
            ..drill(&Stages::default(), speaker(&says, STAYS))
        };
        std::fs::remove_dir(&data).unwrap();
        let outcome = drill.run();
        stands_against_nobody(
            &outcome,
            "the data directory was deleted, moved or replaced while the test ran",
        );
        stands_against_nobody(&outcome, text);
    }
}
