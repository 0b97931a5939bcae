//! `wit`: the folder that it writes is one that tools for bindings take as it is.

use std::fs;

use wit_parser::Resolve;

use crate::support::Folder;

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
