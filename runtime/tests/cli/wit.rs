//! `wit`: the folder that it writes is one that tools for bindings take as it is.

use std::fs;

use wit_parser::Resolve;

use crate::support::{Folder, names};

#[test]
fn the_contract_is_written_once() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.run(&["wit", "contract/wit"]), @"
    exit 0
    --- stdout
    wrote contract/wit/worker.wit
    wrote contract/wit/deps/wasi-config/config.wit
    ");
    insta::assert_snapshot!(folder.run(&["wit", "contract/wit"]), @"
    exit 0
    --- stdout
    contract/wit has the contract of this version
    ");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder.path().join("contract/wit")).unwrap();
    for world in [
        "handler",
        "batch-handler",
        "configurable-handler",
        "configurable-batch-handler",
    ] {
        resolve.select_world(&[package], Some(world)).unwrap();
    }
    // A world of one's own beside it may read settings.
    folder.file(
        "contract/wit/mine.wit",
        "world mine { include handler; import wasi:config/store@0.2.0-rc.1; }",
    );
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder.path().join("contract/wit")).unwrap();
    resolve.select_world(&[package], Some("mine")).unwrap();
}

#[test]
fn what_differs_is_kept() {
    let folder = Folder::new();
    folder.file("wit/worker.wit", "package mine:own;");
    insta::assert_snapshot!(folder.run(&["wit", "wit"]), @"
    exit 1
    --- stderr
    error: nothing was written: wit/worker.wit differs from the contract of this version
    hint: --force writes over what differs; or name another folder
    ");
    assert_eq!(
        fs::read_to_string(folder.path().join("wit/worker.wit")).unwrap(),
        "package mine:own;"
    );
    assert!(!folder.path().join("wit/deps").exists());
    insta::assert_snapshot!(folder.run(&["wit", "wit", "--force"]), @"
    exit 0
    --- stdout
    wrote wit/worker.wit
    wrote wit/deps/wasi-config/config.wit
    ");
    let contract = fs::read_to_string(folder.path().join("wit/worker.wit")).unwrap();
    assert_eq!(contract, include_str!("../../../wit/worker.wit"));
    folder.file("file", "");
    insta::assert_snapshot!(folder.run(&["wit", "file"]), @"
    exit 1
    --- stderr
    error: file is no folder
    hint: name a folder; it is made if it is not there
    ");
}

/// Nothing is written beside what cannot be looked at, whatever may be written over.
#[test]
fn what_cannot_be_read_is_kept() {
    for place in ["wit/deps/wasi-config/config.wit/file", "wit/deps/wasi-config"] {
        let folder = Folder::new();
        folder.file(place, "mine");
        for arguments in [&["wit", "wit"][..], &["wit", "wit", "--force"]] {
            let told = folder.run(arguments);
            let begin = "exit 1\n--- stderr\nerror: nothing was written: cannot read wit/deps/wasi-config/config.wit: ";
            let end = ")\nhint: move away what is there, or name another folder\n";
            assert!(told.starts_with(begin) && told.ends_with(end), "{told}");
        }
        assert_eq!(names(&folder.path().join("wit")), ["deps"]);
        assert_eq!(fs::read_to_string(folder.path().join(place)).unwrap(), "mine");
    }
}

/// A file that cannot be written whole is left as it is.
#[test]
fn half_a_file_is_none() {
    let folder = Folder::new();
    folder.file("wit/worker.wit", "package mine:own;");
    let told = folder.run_after("trap '' XFSZ; ulimit -f 2", &["wit", "wit", "--force"]);
    assert!(told.contains("cannot write wit/worker.wit: File too large"), "{told}");
    assert_eq!(names(&folder.path().join("wit")), ["worker.wit"]);
    let kept = fs::read_to_string(folder.path().join("wit/worker.wit")).unwrap();
    assert_eq!(kept, "package mine:own;");
}
