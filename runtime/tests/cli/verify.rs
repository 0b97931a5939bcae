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
