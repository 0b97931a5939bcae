//! `sharemill crash-test` as users call it: hundreds of kills of an engine under load lose nothing, a planted loss is noticed, and
//! nobody's data is touched. `SHAREMILL_CRASHES` sets how many kills.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sharemill_tests::{Folder, Output, failing_syncs, until};

/// With those of `kill.rs`, which go through a host with guests, it is 300 in every run.
const KILLS: u64 = 290;
/// Tests side by side: each waits for its disk and its child most of the time.
const BESIDE: u64 = 2;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_accepted_comes_again() {
    let kills = std::env::var("SHAREMILL_CRASHES").map_or(KILLS, |text| text.parse().unwrap());
    let each = kills.div_ceil(BESIDE).to_string();
    let folders: Vec<Folder> = (0..BESIDE).map(|_| Folder::new("")).collect();
    let results: Vec<Value> = std::thread::scope(|scope| {
        let run = |folder: &Folder| {
            let arguments = [
                "crash-test",
                "--for",
                "7d",
                "--kills",
                &each,
                "--data-dir",
                "new",
                "--format",
                "json",
            ];
            let output = folder.run(&arguments);
            eprintln!("{}{}", output.stdout, output.stderr);
            assert!(!folder.path().join("new").exists(), "what is good is removed");
            output.json()
        };
        let running: Vec<_> = folders.iter().map(|folder| scope.spawn(move || run(folder))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for one in &results {
        let of = |name: &str| one[name].as_u64().unwrap();
        let kills = of("kills_under_load") + of("kills_in_recovery") + of("kills_in_between");
        assert_eq!(of("kills"), kills);
        let finished = of("accepted") + of("accepted_unanswered") + of("dead_letters");
        assert_eq!(of("produced") + of("produced_unanswered"), finished, "{one}");
    }
    let sum = |name: &str| -> u64 { results.iter().map(|one| one[name].as_u64().unwrap()).sum() };
    assert_eq!((sum("lost"), sum("redelivered_after_accept"), sum("other")), (0, 0, 0));
    assert!(sum("kills") >= kills, "{} kills", sum("kills"));
    // A run in which hardly anything was under way proves nothing.
    let (loaded, recovering) = (sum("kills_under_load"), sum("kills_in_recovery"));
    assert!(loaded * 2 > kills, "{loaded} of {kills} kills under load");
    assert!(recovering * 20 > kills, "{recovering} of {kills} kills in recovery");
    for (name, least) in [("produced", 50), ("accepted", 50), ("emitted", 1)] {
        let found = sum(name);
        assert!(found >= least * kills, "{found} {name} in {kills} kills");
    }
    assert!(sum("dead_letters") > 0);
}

/// A group that is answered before it is written is lost if the process dies in between: with a produce in it a record is lost, with
/// an accept one comes again, with an acquisition a delivery count falls.
#[test]
fn a_planted_loss_is_noticed_and_the_record_is_named() {
    for seed in 1..=20 {
        let folder = Folder::new("");
        let seed = seed.to_string();
        let arguments = [
            "crash-test",
            "--for",
            "60s",
            "--seed",
            &seed,
            "--data-dir",
            "new",
            "--format",
            "json",
            "--plant",
            "ack-before-sync",
        ];
        let output = folder.run(&arguments);
        eprintln!("{}", output.stderr);
        output.failure(1, &["error: ", "promise", "hint: the data is kept as it was found: "]);
        assert!(folder.path().join("new/journal").is_dir(), "what is bad is kept");
        let result: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(result["data_dir"], folder.path().join("new").to_str().unwrap());
        // What was lost may have been other things than a produce; then it is tried again.
        if output.stderr.contains(" was acknowledged and is ") {
            assert!(result["lost"].as_u64().unwrap() > 0);
            return;
        }
    }
    panic!("no record was lost");
}

/// What is not a matter of a moment is noticed within a few kills.
#[test]
fn other_planted_mistakes_are_noticed() {
    let plants: [(&str, &[&str]); 5] = [
        (
            "stale-ack",
            &[
                "while its accept was acknowledged",
                "comes again",
                "to be delivered again",
            ],
        ),
        (
            "count-not-persisted",
            &["the delivery count of task ", "its next delivery is number "],
        ),
        (
            "emit-without-ack",
            &["to be delivered again", "emitted twice", "comes again"],
        ),
        // Bits that are forgotten break whatever promise comes first, an assertion or a format of the engine's among them.
        ("word-boundary", &[" promise broken", " promises broken"]),
        // This one may come to an assertion of the engine before.
        ("start-past-acquired", &["is gone", "the engine failed: "]),
    ];
    for (plant, says) in plants {
        let folder = Folder::new("");
        let arguments = ["crash-test", "--for", "60s", "--data-dir", "new", "--plant", plant];
        let output = folder.run(&arguments);
        // Also if the engine failed before the first kill.
        let result = output.stdout.lines().next().unwrap_or("no result");
        eprintln!("{plant}: {result}");
        assert!(result.starts_with("kills "), "{output:?}");
        output.failure(1, &["error: ", "hint: the data is kept "]);
        if output.stderr.contains("the engine failed: ") {
            let ways = [
                "thread shard panicked at ",
                "damaged: ",
                "nothing was finished for 60 s, with ",
            ];
            let told = |way: &&str| output.stderr.contains(&format!("the engine failed: {way}"));
            assert!(ways.iter().any(told), "{plant}: {}", output.stderr);
        }
        let said = says.iter().any(|says| output.stderr.contains(says));
        assert!(said, "{plant}: {}", output.stderr);
    }
}

#[test]
fn nobodys_data_is_touched() {
    let folder = Folder::new("");
    folder.file("mine/precious", "1");
    let arguments = ["crash-test", "--for", "1s", "--data-dir", "mine"];
    folder
        .run(&arguments)
        .failure(2, &["mine is not empty", "hint: name a new or an empty folder"]);
    assert_eq!(fs::read_to_string(folder.path().join("mine/precious")).unwrap(), "1");
    folder
        .run(&["crash-test", "--for", "10ms"])
        .failure(2, &["below the limit of 1s"]);
    // One that is there and empty is left as it was; on demand the data stays in it.
    fs::create_dir(folder.path().join("empty")).unwrap();
    let arguments = ["crash-test", "--for", "7d", "--kills", "3", "--data-dir", "empty"];
    let said = folder.run(&arguments).success();
    assert!(said.contains("kills                     3: "), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("empty")).unwrap().count(), 0);
    let said = folder.run(&[&arguments[..], &["--keep"]].concat()).success();
    assert!(said.contains("data  ") && said.contains("/empty\n"), "{said}");
    folder.run(&["verify", "--data-dir", "empty"]).success();
}

/// Runs it with a folder in memory that holds so much.
fn on_small_disk(folder: &Folder, size: &str, arguments: &[&str]) -> Output {
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // Seen by this process and its children alone, and gone with them.
    let mounts = format!("mount -t tmpfs -o size={size} tmpfs {} && exec \"$@\"", disk.display());
    let program = ["unshare", "--mount", "sh", "-c", &mounts, "sh"];
    finished(folder.command_under(&program, arguments))
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn a_full_disk_is_no_broken_promise_and_memory_is_no_disk() {
    let folder = Folder::new("");
    let arguments = ["crash-test", "--for", "60s", "--data-dir", "disk", "--format", "json"];
    let output = on_small_disk(&folder, "512k", &arguments);
    let parts = [
        "warning: this folder lies in memory (tmpfs): nothing of a disk is tested",
        "error: the disk is full: the engine failed: ",
        "No space left on device",
        "hint: the data is kept ",
    ];
    output.failure(3, &parts);
    let result: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&result["lost"], &result["other"]), (&json!(0), &json!(0)));
    assert_eq!(result["in_memory"], true);
    let why = result["unfinished"].as_str().unwrap();
    assert!(why.starts_with("the disk is full: "), "{why}");
}

/// It went on for as long as it was to, and a minute more, without a word.
#[test]
fn a_disk_that_fills_ends_the_test_at_once() {
    let folder = Folder::new("");
    let arguments = ["crash-test", "--for", "10m", "--data-dir", "disk", "--format", "json"];
    let output = on_small_disk(&folder, "3m", &arguments);
    output.failure(3, &["error: the disk is full: "]);
    let result: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&result["lost"], &result["other"]), (&json!(0), &json!(0)));
    let seconds = result["seconds"].as_f64().unwrap();
    assert!(seconds < 60.0, "{seconds} s");
}

/// It was called a broken promise after the first kill, and had no result before it.
#[test]
fn a_disk_that_fails_is_no_broken_promise() {
    let folder = Folder::new("");
    let strace = failing_syncs("inject=fdatasync:error=EIO:when=12");
    let arguments = ["crash-test", "--for", "60s", "--data-dir", "new", "--format", "json"];
    let output = finished(folder.command_under(&strace, &arguments));
    output.failure(3, &["error: the disk failed: ", "Input/output error (os error 5)"]);
    let result: Value = serde_json::from_str(&output.stdout).unwrap();
    let broken = ["lost", "redelivered_after_accept", "other"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(broken, [0; 3], "{}", output.stderr);
}

/// A crash test without end, and the first line that it says.
fn endless(folder: &Folder) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = folder
        .command(&["crash-test", "--data-dir", "new", "--for", "7d"])
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("note: seed "), "{line}");
    until("a data directory", || {
        folder.path().join("new/format").exists().then_some(())
    });
    (child, stderr)
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn a_signal_ends_it_early_with_the_result_so_far() {
    let folder = Folder::new("");
    let (child, mut stderr) = endless(&folder);
    send(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // It looked like a pass of seven days.
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("lost                      0\n"), "{said}");
    assert!(said.contains("interrupted               after "), "{said}");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("error: interrupted after "), "{rest}");
    assert!(!folder.path().join("new").exists());
}

/// It was called a loss.
#[test]
fn a_folder_that_is_deleted_in_the_middle_is_no_broken_promise() {
    let takings: [fn(&Path); 2] = [
        |data| {
            // The process that runs in it may make a file meanwhile.
            until("the end of the folder", || {
                let removed = fs::remove_dir_all(data);
                (removed.is_ok() || !data.exists()).then_some(())
            });
        },
        |data| fs::rename(data, data.with_extension("moved")).unwrap(),
    ];
    for take in takings {
        let folder = Folder::new("");
        let (child, mut stderr) = endless(&folder);
        take(&folder.path().join("new"));
        let output = child.wait_with_output().unwrap();
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{said}{rest}");
        let why = "the data directory was deleted, moved or replaced while the test ran";
        assert!(
            said.contains(why) && rest.contains(&format!("error: {why}")),
            "{said}{rest}"
        );
        assert!(said.contains("lost                      0\n"), "{said}");
    }
}

/// A panic in any thread ends a process of the test, which says so before it is gone.
#[test]
fn a_panic_is_told_to_the_parent() {
    let folder = Folder::new("");
    let mut command = folder.command(&["crash-test-child", "new"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let task = json!({"round": 0, "seed": 1, "known": {"results": 0, "letters": 0}, "plant": "panic"});
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{task}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let why = said["failed"].as_str().unwrap();
    assert!(
        why.starts_with("thread planted panicked at ") && why.ends_with(" planted"),
        "{why}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("panicked at "));
}

/// The child was left behind with nobody to end it.
#[test]
fn a_child_does_not_outlive_its_parent() {
    let folder = Folder::new("");
    let (mut child, _stderr) = endless(&folder);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    until("the end of the child", || {
        (folder.run(&["verify", "--data-dir", "new"]).code == Some(0)).then_some(())
    });
}
