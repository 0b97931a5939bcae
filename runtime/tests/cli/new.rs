//! `new`: what it refuses, and that it asks at a terminal alone. What it makes is built and run by the end-to-end tests.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::support::{Folder, names};

const NEW: [&str; 4] = ["new", "thermometer", "--lang", "rust"];

#[test]
fn a_project_is_made() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.run(&NEW), @"
    exit 0
    --- stdout
    made thermometer, a handler in Rust; its README.md says more

      cd thermometer
      rustup target add wasm32-wasip2    # once
      cargo build --release --target wasm32-wasip2
      sharemill test
      sharemill run
    ");
    assert_eq!(folder.names(), ["thermometer"]);
    let project = folder.path().join("thermometer");
    let files = [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "records",
        "sdk",
        "sharemill.schema.json",
        "sharemill.toml",
        "src",
    ];
    assert_eq!(names(&project), files);
    let manifest = fs::read_to_string(project.join("sharemill.toml")).unwrap();
    assert!(manifest.starts_with("#:schema ./sharemill.schema.json\n"), "{manifest}");
    let schema = folder.run(&["config", "schema"]);
    let written = fs::read_to_string(project.join("sharemill.schema.json")).unwrap();
    assert_eq!(format!("exit 0\n--- stdout\n{written}"), schema);
    let validator = serde_json::from_str(&written).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", validator).unwrap();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let manifest = serde_json::to_value(manifest).unwrap();
    schemas.validate(&manifest, index).unwrap();
    // All that is wrong with it before the first build.
    let shown = folder.run(&["config", "check", "--manifest", "thermometer/sharemill.toml"]);
    insta::assert_snapshot!(shown, @r#"
    exit 1
    --- stdout
    [DIR]/thermometer/sharemill.toml: 1 deployment, 3 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.thermometer.component does not exist: [DIR]/thermometer/target/wasm32-wasip2/release/thermometer.wasm (line 7)
    hint: build it: cargo build --release --target wasm32-wasip2
    note: topic alerts is emitted to by thermometer and is not listed: it is created with 1 partition and retention "7d"
    hint: add [topics.alerts] to choose otherwise
    note: topic readings has its records handled by thermometer and is not listed: it is created with 1 partition and retention "queue"
    hint: add [topics.readings] to choose otherwise
    "#);
}

#[test]
fn what_is_there_is_kept() {
    let folder = Folder::new();
    folder.file("full/file", "mine");
    folder.file("file", "mine");
    fs::create_dir(folder.path().join("empty")).unwrap();
    symlink("empty", folder.path().join("link")).unwrap();
    symlink("nowhere", folder.path().join("broken")).unwrap();
    for (name, what) in [
        ("full", "is not empty"),
        ("file", "is no folder"),
        // Whether it leads to an empty folder or nowhere.
        ("link", "is a link"),
        ("broken", "is a link"),
    ] {
        let told = format!(
            "exit 1\n--- stderr\nerror: {name} is there already and {what}\n\
             hint: choose another name, or another folder to run this in\n"
        );
        assert_eq!(folder.run(&["new", name, "--lang", "rust"]), told);
    }
    assert!(names(&folder.path().join("empty")).is_empty());
    assert!(folder.run(&["new", "empty", "--lang", "rust"]).starts_with("exit 0"));
    assert_eq!(folder.names(), ["broken", "empty", "file", "full", "link"]);
    assert_eq!(names(&folder.path().join("full")), ["file"]);
    assert_eq!(fs::read_to_string(folder.path().join("full/file")).unwrap(), "mine");
}

#[test]
fn nothing_is_left_of_what_cannot_be_made() {
    let folder = Folder::new();
    // Files end at 4 KiB at most: the first ones are written, and a later one is not.
    let told = folder.run_after("trap '' XFSZ; ulimit -f 4", &NEW);
    insta::assert_snapshot!(told, @"
    exit 1
    --- stderr
    error: cannot make thermometer: File too large (os error 27)
    hint: run this in a folder in which this user may write, on a disk with room
    ");
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

/// What another process of the same number left, or is about to finish.
#[test]
fn what_somebody_else_began_is_kept() {
    let folder = Folder::new();
    let told = folder.run_after(
        "mkdir .thermometer.partial-$$; touch .thermometer.partial-$$/file",
        &NEW,
    );
    let names = folder.names();
    let [partial] = names.as_slice() else {
        panic!("{names:?}")
    };
    let wanted = format!(
        "exit 1\n--- stderr\nerror: {partial} is there already\nhint: remove it, unless another sharemill new is at work here\n"
    );
    assert_eq!(told, wanted);
    assert!(folder.path().join(partial).join("file").exists());
}

#[test]
fn names_that_are_none() {
    let folder = Folder::new();
    for (name, expected) in [
        ("Thermo", "the name \"Thermo\" has the character 'T'"),
        ("a/b", "the name \"a/b\" has the character '/'"),
        ("2nd", "the name \"2nd\" does not begin with a letter"),
        ("fn", "the name \"fn\" is a word of the language"),
        (
            "serde",
            "the name \"serde\" is the name of a crate that the project uses",
        ),
    ] {
        let shown = folder.run(&["new", name, "--lang", "rust"]);
        assert!(shown.starts_with("exit 2\n--- stderr\nerror: "), "{shown}");
        assert!(
            shown.contains(expected) && shown.contains("hint: a name is made of a-z"),
            "{shown}"
        );
    }
    assert!(folder.names().is_empty());
}

#[test]
fn nothing_is_asked_without_a_terminal() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.run(&["new"]), @"
    exit 2
    --- stderr
    error: the name of the project and its language are missing, and there is no terminal to ask at
    hint: sharemill new NAME --lang rust
    ");
    insta::assert_snapshot!(folder.run_with_input(&["new", "--lang", "rust"], Some("thermometer\n")), @"
    exit 2
    --- stderr
    error: the name of the project is missing, and there is no terminal to ask at
    hint: sharemill new NAME --lang rust
    ");
    insta::assert_snapshot!(folder.run(&["new", "thermometer"]), @"
    exit 2
    --- stderr
    error: the language of the project is missing, and there is no terminal to ask at
    hint: sharemill new NAME --lang rust
    ");
    insta::assert_snapshot!(folder.run(&["new", "thermometer", "--lang", "cobol"]), @"
    exit 2
    --- stderr
    error: invalid value 'cobol' for '--lang <LANG>'
      [possible values: rust]

    For more information, try '--help'.
    ");
    assert!(folder.names().is_empty());
}

#[test]
fn what_is_missing_is_asked_at_a_terminal() {
    let folder = Folder::new();
    let own = folder.command(&["new"]);
    let line = format!("{} new", own.get_program().to_str().unwrap());
    // Gives the program a terminal of its own.
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--echo",
            "never",
            "--command",
            &line,
            "/dev/null",
        ])
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The first name will not do.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"\nThermo\nthermometer\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    for part in [
        "Language (rust) [rust]: ",
        "Name of the project: ",
        "has the character 'T'",
        "made thermometer",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    assert_eq!(folder.names(), ["thermometer"]);
}
