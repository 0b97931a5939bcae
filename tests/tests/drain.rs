//! How a host ends: the first signal lets handlers finish, the second does not, and neither loses anything. And what
//! grants of folders let through.

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
use std::time::{Duration, Instant};

use sharemill_tests::{Folder, Host, guests, topics, until};

const SLEEPER: &str = r#"
[deployments.naps]
component = "sleeper.wasm"
topic = "naps"
concurrency = 4
"#;

fn share(folder: &Folder, group: &str) -> serde_json::Value {
    let group = folder.run(&["group", "describe", group, "--format", "json"]).json();
    group["share_partitions"][0].clone()
}

fn acquired(folder: &Folder, group: &str, count: u64) {
    until("the records in handlers", || {
        (share(folder, group)["acquired"].as_u64()? >= count).then_some(())
    });
}

#[test]
fn the_first_signal_lets_handlers_finish() {
    let folder = Folder::new(SLEEPER).guest("sleeper");
    let host = Host::start(&folder, &[]);
    folder.produce("naps", &["1000"; 12]);
    acquired(&folder, "naps", 4);
    let said = host.stop();
    assert!(!said.contains("given up"), "{said}");
    let left = share(&folder, "naps");
    let finished = left["start_offset"].as_u64().unwrap();
    assert!((4..12).contains(&finished), "{left}");
    assert_eq!(left["acquired"], 0, "{left}");
    let end = Host::spawn(&folder, &["--until-idle"], &[]).end();
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert_eq!(share(&folder, "naps")["start_offset"], 12);
    assert!(topics::read(&folder.data(), &["naps.dead"])[0].is_empty());
}

#[test]
fn the_second_signal_releases_at_once() {
    let folder = Folder::new(SLEEPER).guest("sleeper");
    let host = Host::start(&folder, &[]);
    folder.produce("naps", &["50000"; 4]);
    acquired(&folder, "naps", 4);
    host.terminate();
    host.wait_for("stage=Draining");
    let began = Instant::now();
    host.terminate();
    let end = host.end();
    let took = began.elapsed();
    eprintln!("released after {took:?}");
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let left = share(&folder, "naps");
    assert_eq!(
        (&left["start_offset"], &left["acquired"]),
        (&0.into(), &0.into()),
        "{left}"
    );
    assert!(topics::read(&folder.data(), &["naps.dead"])[0].is_empty());
}

#[test]
fn until_idle_waits_for_what_is_parked() {
    let manifest = r#"
[deployments.jobs]
component = "poll.wasm"
topic = "jobs"
attempts = 2
grants = { files = [{ host = "jobs", guest = "/jobs", access = "read" }] }
"#;
    let folder = Folder::new(manifest).guest("poll");
    folder.file("jobs/late", "running");
    folder.run(&["run", "--until-idle"]).success();
    // The one is renewed until it is done; the other is released, comes again after a delay and is then dead.
    folder.produce("jobs", &["late", "nowhere"]);
    let host = Host::start(&folder, &["--until-idle"]);
    until("the dead letter", || {
        let dead = folder.run(&["dead", "list", "--format", "json"]);
        (dead.code == Some(0) && dead.stdout.contains("jobs.dead/0/0")).then_some(())
    });
    until("the parked record", || {
        (share(&folder, "jobs")["parked"] == 1).then_some(())
    });
    // What it waits for is said before long.
    host.wait_for("not idle yet: records are left");
    folder.file("jobs/late", "done");
    let end = host.end();
    let left = end
        .stderr
        .lines()
        .find(|line| line.contains("records are left"))
        .unwrap();
    assert!(left.contains("parked=1 next_due=Some("), "{left}");
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert_eq!(share(&folder, "jobs")["start_offset"], 2);
    let dead = topics::read(&folder.data(), &["jobs.dead"]).remove(0);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("__dlq.errors.delivery.count"), "2");
}

/// A PNG of one pixel.
const IMAGE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0d\
    IDATx\xdacd\xf8\xcfP\x0f\x00\x03\x86\x01\x80Z4}k\x00\x00\x00\x00IEND\xaeB`\x82";

fn thumbnails(access: &str) -> Folder {
    let manifest = format!(
        r#"
[deployments.thumbnail]
component = "thumbnail.wasm"
topic = "images"
attempts = 1
grants = {{ files = [{{ host = "images", guest = "/images" }}, {{ host = "out", guest = "/thumbnails", access = "{access}" }}] }}
"#
    );
    let folder = Folder::new(&manifest).guest("thumbnail");
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(images.join("small.png"), IMAGE).unwrap();
    fs::copy(guests::root().join("Cargo.toml"), folder.path().join("secret")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), images.join("link")).unwrap();
    folder.run(&["run", "--until-idle"]).success();
    folder.produce("images", &["small.png", "../secret", "link"]);
    folder.run(&["run", "--until-idle"]).success();
    folder
}

fn reasons(folder: &Folder) -> Vec<(String, String)> {
    let dead = topics::read(&folder.data(), &["thumbnail.dead"]).remove(0);
    let reason = |letter: &topics::Stored| (letter.value.clone(), letter.header("__dlq.errors.message").to_owned());
    let mut all: Vec<_> = dead.iter().map(reason).collect();
    all.sort();
    all
}

#[test]
fn a_granted_folder_is_written_only_if_the_grant_says_so() {
    let folder = thumbnails("read");
    let dead = reasons(&folder);
    eprintln!("{dead:?}");
    assert_eq!(dead.len(), 3, "{dead:?}");
    assert!(
        dead[2].0 == "small.png" && dead[2].1.contains("/thumbnails/small.png.jpg"),
        "{dead:?}"
    );
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);

    let folder = thumbnails("read-write");
    let dead = reasons(&folder);
    let names: Vec<&str> = dead.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["../secret", "link"], "{dead:?}");
    let written: Vec<_> = fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(written, ["small.png.jpg"]);
}
