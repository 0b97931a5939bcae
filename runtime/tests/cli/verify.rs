//! `verify` on a directory that was used: whole, and with one bit turned in each kind of file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Folder;

/// With a journal, logs and a snapshot.
fn used() -> Folder {
    let folder = Folder::new();
    let source = "[sources.main]\nmemory-window = \"1MiB\"\njournal-size = \"16MiB\"\n";
    folder.file("sharemill.toml", &format!("{source}[topics.t]\n"));
    let values = format!("{}\n", "x".repeat(1_000)).repeat(2_000);
    folder.file("values.txt", &values);
    for _ in 0..20 {
        let produced = folder.run(&["produce", "t", "--file", "values.txt"]);
        assert!(produced.starts_with("exit 0"), "{produced}");
        if !files(&folder, "snapshots", "snap").is_empty() && !files(&folder, "logs/t-0", "log").is_empty() {
            return folder;
        }
    }
    panic!("nothing was drained");
}

/// Names of the files in a folder of the data directory that end like this, relative to the data directory.
fn files(folder: &Folder, within: &str, ending: &str) -> Vec<PathBuf> {
    let data = folder.path().join("data");
    let listed = fs::read_dir(data.join(within)).into_iter().flatten();
    let paths = listed.map(|entry| Path::new(within).join(entry.unwrap().file_name()));
    let mut names: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    names.sort();
    names
}

#[test]
fn one_turned_bit_is_named_with_file_and_place() {
    let folder = used();
    let verified = folder.run(&["verify"]);
    assert!(
        verified.starts_with("exit 0") && verified.contains("; 0 places damaged"),
        "{verified}"
    );
    let snapshot = files(&folder, "snapshots", "snap").pop().unwrap();
    let log = files(&folder, "logs/t-0", "log").remove(0);
    let journal = PathBuf::from("journal/0000.ring");
    for name in [snapshot, log, journal] {
        let path = folder.path().join("data").join(&name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        // Of the ring only what is alive counts; its header is.
        let at = if name.starts_with("journal") {
            12
        } else {
            good.len() / 2
        };
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let shown = folder.run(&["verify"]);
        let place = shown.lines().find(|line| line.starts_with(name.to_str().unwrap()));
        let place = place.unwrap_or_else(|| panic!("{} is not named:\n{shown}", name.display()));
        let position: usize = place.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(position <= at, "{shown}");
        assert!(shown.starts_with("exit 1"), "{shown}");
        assert!(shown.contains("\nerror: [DIR]/data: "), "{shown}");
        assert!(fs::read(&path).unwrap() == bad, "verify changes nothing");
        fs::write(&path, &good).unwrap();
    }
    let verified = folder.run(&["verify"]);
    assert!(verified.starts_with("exit 0"), "{verified}");
}

/// It ended with the first one.
#[test]
fn every_damaged_file_is_named_and_what_could_not_be_checked_too() {
    let folder = used();
    let snapshot = files(&folder, "snapshots", "snap").pop().unwrap();
    let log = files(&folder, "logs/t-0", "log").remove(0);
    let ring = PathBuf::from("journal/0001.ring");
    for (name, at) in [(&snapshot, 20), (&log, 100), (&ring, 20)] {
        let path = folder.path().join("data").join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
    }
    let shown = folder.run(&["verify"]);
    for name in [&snapshot, &log, &ring] {
        let named = shown.lines().any(|line| line.starts_with(name.to_str().unwrap()));
        assert!(named, "{} is not named:\n{shown}", name.display());
    }
    assert!(shown.contains("; 3 places damaged\n"), "{shown}");
    assert!(shown.contains("\nNOT CHECKED "), "{shown}");
    assert!(
        shown.contains("error: [DIR]/data: 3 places are damaged, ") && shown.contains(" could not be checked"),
        "{shown}"
    );
}

/// An empty folder was called damaged, and got a file.
#[test]
fn what_is_no_data_directory_is_not_called_damaged() {
    let folder = Folder::new();
    folder.file("photos/1.jpg", "");
    fs::create_dir(folder.path().join("empty")).unwrap();
    for name in ["photos", "empty"] {
        for command in [&["verify"][..], &["topic", "list"]] {
            let shown = folder.run(&[command, &["--data-dir", name]].concat());
            let expected = format!(
                "exit 1\n--- stderr\nerror: [DIR]/{name} is not a data directory of sharemill\nhint: sharemill run makes it; name another with --data-dir DIR or --manifest FILE\n"
            );
            assert_eq!(shown, expected);
        }
    }
    insta::assert_snapshot!(folder.run(&["verify", "--data-dir", "missing"]), @"
    exit 1
    --- stderr
    error: there is no data directory at [DIR]/missing
    hint: sharemill run makes it; name another with --data-dir DIR or --manifest FILE
    ");
    assert_eq!(fs::read_dir(folder.path().join("empty")).unwrap().count(), 0);
}

/// It read as though the records of the journal were lost.
#[test]
fn records_are_counted_in_the_logs_and_in_the_journal() {
    let folder = Folder::new();
    folder.file("sharemill.toml", "[topics.t]\n");
    for value in ["a", "b", "c"] {
        let produced = folder.run(&["produce", "t", value]);
        assert!(produced.starts_with("exit 0"), "{produced}");
    }
    let shown = folder.run(&["verify"]);
    assert!(
        shown.contains(
            " read: 3 records, 0 in 0 segments of the logs and 3 in 4 entries of the journal; 0 places damaged\n"
        ),
        "{shown}"
    );
}
