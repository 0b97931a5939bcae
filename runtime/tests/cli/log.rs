//! What a host says of records that fail: enough for who runs a handler for the first time, and little in a storm.

use std::fs;

use crate::support::{Folder, REJECT, component};

/// A deployment of a handler with this body.
fn folder(body: &str, more: &str) -> Folder {
    let folder = Folder::with_manifest(&format!(
        "[host]\ncache-dir = \"cache\"\n[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nconcurrency = 1\n{more}"
    ));
    fs::write(folder.path().join("handler.wasm"), component(body)).unwrap();
    folder
}

/// The lines about records that a run logs, without their times.
fn logged(folder: &Folder, arguments: &[&str]) -> String {
    let shown = folder.run(&[&["run", "--until-idle"], arguments].concat());
    assert!(shown.starts_with("exit 0"), "{shown}");
    let about = |line: &&str| {
        ["dead letter", "attempt", "handled", "given up"]
            .iter()
            .any(|word| line.contains(word))
    };
    let text = |line: &str| {
        line.split_once("INFO ")
            .map_or(String::new(), |(_, text)| format!("{text}\n"))
    };
    let lines = shown
        .lines()
        .filter(about)
        .filter(|line| !line.contains("created topic"));
    lines.map(text).collect()
}

#[test]
fn dead_letters_are_named_with_reason_and_place_and_a_run_is_summed_up() {
    let folder = folder(REJECT, "");
    folder.run(&["produce", "t", "a", "b"]);
    insta::assert_snapshot!(logged(&folder, &[]), @r#"
    dead letter deployment="d" record=t/0/0 cause="reject" reason="no price" attempts=1 to="d.dead"
    dead letter deployment="d" record=t/0/1 cause="reject" reason="no price" attempts=1 to="d.dead"
    handled deployment="d" accepted=0 dead_letters=2 failed_attempts=0 renewed=0
    "#);
    // The second time nothing is left to do, and a quiet log stays quiet.
    folder.run(&["produce", "t", "c"]);
    assert_eq!(logged(&folder, &["--log", "warn"]), "");
}

#[test]
fn failed_attempts_are_named_until_the_last_one() {
    // Tag 1: a release that says nothing.
    let release = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.const 16)";
    let more = "attempts = 2\ndead-letter = false\nbackoff = { first = \"1100ms\", jitter = 0 }\n";
    let folder = folder(release, more);
    folder.run(&["produce", "t", "a"]);
    insta::assert_snapshot!(logged(&folder, &[]), @r#"
    attempt failed deployment="d" record=t/0/0 cause="release" attempt=1 of 2 again_in=1.1s
    record given up: no dead letters are kept deployment="d" record=t/0/0 cause="release" attempts=2
    handled deployment="d" accepted=0 dead_letters=1 failed_attempts=2 renewed=0
    "#);
}

/// Each second has its few lines, and what they leave out is counted: nothing is lost.
#[test]
fn a_storm_of_rejects_is_counted() {
    let folder = folder(REJECT, "");
    let values: String = (0..3_000).map(|number| format!("{number}\n")).collect();
    folder.run_with_input(&["produce", "t"], Some(&values));
    let said = logged(&folder, &[]);
    let named = said.lines().filter(|line| line.starts_with("dead letter ")).count();
    let left_out: usize = said
        .lines()
        .filter_map(|line| line.strip_prefix("more dead letters within a second, not shown one by one "))
        .map(|fields| fields.split_once("count=").unwrap().1.parse::<usize>().unwrap())
        .sum();
    assert!((10..1_000).contains(&named), "{said}");
    assert_eq!(named + left_out, 3_000, "{said}");
    assert!(said.contains("dead_letters=3000"), "{said}");
}

#[test]
fn a_dead_letter_is_redriven_once() {
    let folder = folder(REJECT, "");
    folder.run(&["produce", "t", "a", "b"]);
    logged(&folder, &[]);
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "d.dead/0/1"]), @"
    exit 0
    --- stdout
    DEAD LETTER  NOW
    d.dead/0/1   t/0/2
    ");
    // Its topic keeps it as long as it keeps what is before it.
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "d.dead/0/1", "d.dead/0/0"]), @"
    exit 1
    --- stdout
    DEAD LETTER  NOW
    d.dead/0/0   t/0/3
    --- stderr
    error: d.dead/0/1 was not redriven: dead letter d.dead/0/1 has been redriven already
    hint: its record is in t again: sharemill records d --topic t shows what becomes of it
    ");
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "d.dead/0/0"]), @"
    exit 1
    --- stderr
    error: d.dead/0/0 was not redriven: dead letter d.dead/0/0 is not there any more: it was redriven already, or retention took it
    ");
}

/// The topic of the manifest that takes dead letters is told from others by its group.
#[test]
fn a_dead_letter_of_a_listed_topic_is_redriven_once() {
    let folder = folder(REJECT, "dead-letter = \"bin\"\n[topics.bin]\nretention = \"queue\"\n");
    folder.run(&["produce", "t", "a"]);
    logged(&folder, &[]);
    let first = folder.run(&["dead", "redrive", "bin/0/0"]);
    assert!(first.starts_with("exit 0"), "{first}");
    logged(&folder, &[]);
    let second = folder.run(&["dead", "redrive", "bin/0/0"]);
    assert!(
        second.contains("is not there any more: it was redriven already"),
        "{second}"
    );
    let other = folder.run(&["dead", "show", "t/0/0"]);
    assert!(other.contains("there is no dead letter t/0/0"), "{other}");
}
