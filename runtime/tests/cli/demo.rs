//! What the demo refuses. That it plays is shown where the archive is tested.

use std::fs;

use crate::fake::FakeHost;
use crate::support::Folder;

#[test]
fn a_folder_that_is_none_is_refused() {
    insta::assert_snapshot!(Folder::new().run(&["demo", "pictures"]), @"
    exit 2
    --- stderr
    error: pictures is no folder
    hint: name a folder with images and texts, or none: then what the machine has is taken
    ");
}

#[test]
fn a_component_that_is_missing_is_named() {
    let folder = Folder::new();
    folder.file("examples/enrich.wasm", "");
    insta::assert_snapshot!(folder.run(&["demo", "--examples", "examples"]), @"
    exit 1
    --- stderr
    error: the demo needs examples/thumbnail.wasm, which is not there
    hint: the archive and the package have the example components in share/sharemill/examples; --examples DIR names another folder; in the repository `cargo xtask demo` builds them and runs this
    ");
}

/// It empties its folder: one of somebody else's is left as it is.
#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = Folder::new();
    for name in ["enrich", "poll", "thumbnail", "webhook"] {
        folder.file(&format!("examples/{name}.wasm"), "");
    }
    let own = folder.file("work/images/own.png", "mine");
    insta::assert_snapshot!(folder.run(&["demo", "--examples", "examples", "--dir", "work"]), @"
    exit 1
    --- stderr
    error: work is neither empty nor the folder of an earlier demo: nothing in it was touched
    hint: --dir names the folder that the demo works in; it is made if it is not there
    ");
    assert_eq!(fs::read_to_string(own).unwrap(), "mine");
}

/// It removes the data of an earlier demo, and took the journal away under a host that worked on it.
#[test]
fn a_folder_in_which_a_host_works_is_left_alone() {
    let folder = Folder::new();
    for name in ["enrich", "poll", "thumbnail", "webhook"] {
        folder.file(&format!("examples/{name}.wasm"), "");
    }
    let ours = "# Written by `sharemill demo`, which empties this folder when it runs again.";
    folder.file("work/sharemill.toml", ours);
    let own = folder.file("work/data/journal/1", "mine");
    let _host = FakeHost::start(&folder.path().join("work/data"));
    insta::assert_snapshot!(folder.run(&["demo", "--examples", "examples", "--dir", "work"]), @"
    exit 1
    --- stderr
    error: a host works on work/data
    hint: end it, or name another folder for the demo with --dir
    ");
    assert_eq!(fs::read_to_string(own).unwrap(), "mine");
}
