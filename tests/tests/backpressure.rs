//! A full topic and a full disk: refusals with figures, neighbours go on, and space that becomes free is used without
//! a restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sharemill::admin::{AdminClient, AdminError, ProduceOutcome, Record};
use sharemill_tests::{Folder, Host, client, topics, until};

/// Jobs are held until the test says in a file that they are done.
const JOBS: &str = r#"
grants = { files = [{ host = "jobs", guest = "/jobs", access = "read" }] }
"#;

fn gated(manifest: &str) -> Folder {
    let folder = Folder::new(manifest).guest("poll");
    folder.file("jobs/one", "running");
    folder
}

/// One record of 100 KiB.
fn large(folder: &Folder, topic: &str, job: &str) -> sharemill_tests::Output {
    let key = "k".repeat(100 << 10);
    folder.run_with_input(
        &["produce", topic, "--timeout", "0s", "--ndjson", "-"],
        &format!(r#"{{"key":"{key}","value":"{job}"}}"#),
    )
}

#[test]
fn a_full_topic_refuses_and_settling_frees_it() {
    let folder = gated(&format!(
        r#"
[topics.orders]
max-bytes = "1MiB"
[topics.others]
[deployments.slow]
component = "poll.wasm"
topic = "orders"
{JOBS}"#
    ));
    let host = Host::start(&folder, &[]);
    let mut stored = 0;
    let refused = loop {
        let output = large(&folder, "orders", "one");
        if output.code != Some(0) {
            break output;
        }
        stored += 1;
        assert!(stored < 20, "more than the topic may hold");
    };
    assert!((8..=10).contains(&stored), "{stored} records of 100 KiB in 1 MiB");
    let parts = [
        "topic \"orders\" is full: it holds ",
        " of 1048576 bytes",
        "group \"slow\" is furthest behind",
        "hint: let its group catch up, raise max-bytes",
    ];
    refused.failure(1, &parts);
    // Nothing behind it is stored, small as it is.
    let behind = format!("{}\n1\n2\n", "x".repeat(500 << 10));
    let output = folder.run_with_input(&["produce", "orders", "--timeout", "100ms"], &behind);
    output.failure(1, &parts);
    output.failure(1, &["; nothing was taken for 100ms"]);
    assert_eq!(output.stdout, "");
    for _ in 0..20 {
        large(&folder, "others", "one").success();
    }
    folder.file("jobs/one", "done");
    until("room in the topic", || {
        (large(&folder, "orders", "one").code == Some(0)).then_some(())
    });
    host.stop();
    assert_eq!(topics::read(&folder.data(), &["others"])[0].len(), 20);
}

/// A small file system of its own.
struct Disk {
    at: PathBuf,
}

impl Disk {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "a small tmpfs cannot be mounted, run this test as root: {why}"
        );
        Self { at: at.to_owned() }
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Leaves so many bytes free.
    fn fill(&self, free: u64) -> PathBuf {
        let ballast = self.at.join("ballast");
        let len = self.free().checked_sub(free).unwrap();
        let bytes = vec![0; usize::try_from(len).unwrap()];
        fs::write(&ballast, bytes).unwrap();
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.at).status());
    }
}

/// A host on a disk of 64 MiB, with two topics and one deployment, on the first of them; `more` is manifest.
fn on_a_small_disk(more: &str) -> (Folder, Disk, Host) {
    let folder = gated(&format!(
        r#"
[sources.main]
data-dir = "disk/data"
journal-size = "16MiB"
memory-window = "1MiB"
reserve = "4MiB"
[topics.others]
[deployments.slow]
component = "poll.wasm"
topic = "orders"
{JOBS}{more}"#
    ));
    let disk = Disk::mount(&folder.path().join("disk"), "64m");
    let host = Host::start(&folder, &[]);
    (folder, disk, host)
}

/// Records of 100 KiB until there is no room: how many were stored.
fn fill(folder: &Folder, topic: &str) -> u64 {
    let mut stored = 0;
    let refused = loop {
        let output = large(folder, topic, "one");
        if output.code != Some(0) {
            break output;
        }
        stored += 1;
        assert!(stored < 700, "more than the disk holds");
    };
    eprintln!("{stored} records of 100 KiB stored: {}", refused.stderr.trim());
    refused.failure(1, &["the journal is full: ", " bytes", "hint: ", "free disk space"]);
    stored
}

#[test]
fn a_full_disk_refuses_and_free_space_resumes_service() {
    let (folder, disk, host) = on_a_small_disk("");
    // The first drains make the reserve.
    for _ in 0..30 {
        large(&folder, "others", "one").success();
    }
    large(&folder, "orders", "one").success();
    until("the reserve", || disk.at.join("data/reserve").exists().then_some(()));
    let ballast = disk.fill(1 << 20);
    let stored = 30 + fill(&folder, "others");
    // What is there is still settled.
    folder.file("jobs/one", "done");
    until("the settlement", || {
        let group = folder.run(&["group", "describe", "slow", "--format", "json"]).json();
        (group["share_partitions"][0]["start_offset"] == 1).then_some(())
    });
    fs::remove_file(ballast).unwrap();
    until("room again", || {
        (large(&folder, "others", "one").code == Some(0)).then_some(())
    });
    host.stop();
    let read = topics::read(&folder.path().join("disk/data"), &["others"]);
    // And the one for which there was room again.
    assert_eq!(read[0].len() as u64, stored + 1);
    drop(disk);
}

/// How often a disk is filled and freed under one host.
const FILLINGS: u64 = 10;

/// A record of 900 KiB that begins with its number.
fn numbered(number: u64) -> Record {
    Record {
        value: Some(format!("{number} {}", "v".repeat(900 << 10)).into()),
        ..Record::default()
    }
}

/// Records one after the other, and what became of them.
struct Filler {
    runtime: tokio::runtime::Runtime,
    client: AdminClient,
    sent: u64,
    stored: Vec<u64>,
    refused: u64,
}

impl Filler {
    /// Why the record was refused, if it was.
    fn produce(&mut self) -> Option<AdminError> {
        self.sent += 1;
        let produce = client::produce_one(&self.client, "orders", numbered(self.sent));
        match self.runtime.block_on(produce).unwrap() {
            ProduceOutcome::Stored { .. } => {
                self.stored.push(self.sent);
                None
            }
            ProduceOutcome::Refused { error } => {
                self.refused += 1;
                Some(error)
            }
        }
    }
}

#[test]
fn a_disk_that_is_filled_and_freed_ten_times_loses_nothing() {
    let folder = Folder::new(
        r#"
[sources.main]
data-dir = "disk/data"
journal-size = "16MiB"
memory-window = "1MiB"
reserve = "4MiB"
[topics.orders]
retention = "forever"
"#,
    );
    let disk = Disk::mount(&folder.path().join("disk"), "160m");
    let host = Host::start(&folder, &[]);
    let data = folder.path().join("disk/data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let mut filler = Filler {
        client: runtime.block_on(client::connect(&data)),
        runtime,
        sent: 0,
        stored: Vec::new(),
        refused: 0,
    };
    for filling in 1..=FILLINGS {
        let ballast = disk.fill(1 << 20);
        let refusal = loop {
            if let Some(refusal) = filler.produce() {
                break refusal;
            }
            assert!(filler.sent < filling * 100, "more than the disk holds");
        };
        assert!(
            refusal.message.starts_with("the journal is full: "),
            "{}",
            refusal.message
        );
        assert!(refusal.hint.is_some_and(|hint| hint.contains("free disk space")));
        fs::remove_file(ballast).unwrap();
        until("room again", || filler.produce().is_none().then_some(()));
    }
    host.stop();
    let read = topics::read(&data, &["orders"]).remove(0);
    let number = |one: &topics::Stored| one.value.split(' ').next().unwrap().parse::<u64>().unwrap();
    let found: Vec<u64> = read.iter().map(number).collect();
    assert!(read.iter().all(|one| one.value.len() > 900 << 10));
    let Filler { stored, refused, .. } = filler;
    assert_eq!(
        found, stored,
        "what was refused is not there, everything else is there once"
    );
    folder.run(&["verify", "--data-dir", "disk/data"]).success();
    eprintln!(
        "filled {FILLINGS} times: {} records stored, {refused} refused",
        stored.len()
    );
    drop(disk);
}

#[test]
fn a_full_disk_is_freed_by_settling_what_fills_it() {
    let (folder, disk, host) = on_a_small_disk(&format!(
        r#"
[deployments.beside]
component = "poll.wasm"
topic = "others"
{JOBS}"#
    ));
    let stored = fill(&folder, "orders");
    assert!(
        disk.free() < 8 << 20,
        "{} bytes are free on a disk of 64 MiB",
        disk.free()
    );
    folder.file("jobs/one", "done");
    for topic in ["orders", "others"] {
        until("room again", || {
            (large(&folder, topic, "one").code == Some(0)).then_some(())
        });
    }
    until("everything settled", || {
        let settled = |group: &str, last: u64| {
            let group = folder.run(&["group", "describe", group, "--format", "json"]).json();
            group["share_partitions"][0]["start_offset"] == last
        };
        (settled("slow", stored + 1) && settled("beside", 1)).then_some(())
    });
    until("an empty disk", || (disk.free() > 24 << 20).then_some(()));
    host.stop();
    let report = folder.run(&["verify"]).success();
    eprintln!("{report}");
    drop(disk);
}
