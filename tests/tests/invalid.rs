//! What a person can get wrong, end to end: exit code 1, what is wrong with its value and limit, and the way out.

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
use std::os::unix::fs::FileExt as _;

use sharemill_tests::{Folder, Host, guests, topics};

const ENRICH: &str = r#"
[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
grants = { emit = ["order-lines"] }
"#;

fn run(folder: &Folder) -> sharemill_tests::Output {
    folder.run(&["run", "--until-idle"])
}

/// After a run that went well and ended well.
fn used() -> Folder {
    let folder = Folder::new(ENRICH).guest("enrich");
    run(&folder).success();
    folder.produce("orders", &["no order"]);
    folder
}

#[test]
fn an_unknown_key() {
    let folder = Folder::new(&ENRICH.replace("topic", "topick")).guest("enrich");
    run(&folder).failure(
        1,
        &[
            "error: unknown key deployments.enrich.topick",
            "hint: did you mean \"topic\"?",
        ],
    );
}

#[test]
fn a_value_out_of_range() {
    let folder = Folder::new(&format!("{ENRICH}concurrency = 20000\n")).guest("enrich");
    let parts = [
        "error: deployments.enrich.concurrency is 20000, above the limit of 10000",
        "hint: choose 1 to 10000",
    ];
    run(&folder).failure(1, &parts);
    folder
        .run(&["run", "--nonsense"])
        .failure(2, &["error: unexpected argument '--nonsense' found"]);
}

#[test]
fn text_that_is_no_manifest() {
    let folder = Folder::new("nonsense");
    let manifest = fs::read_to_string(folder.path().join("sharemill.toml")).unwrap();
    let line = 1 + manifest.lines().position(|line| line == "nonsense").unwrap();
    let message = format!("error: sharemill.toml is not valid TOML: key with no value, expected `=` (line {line})");
    run(&folder).failure(1, &[&message]);
    assert!(!folder.data().exists());
}

#[test]
fn a_missing_module() {
    let parts = ["deployments.enrich.component does not exist", "enrich.wasm", "hint: "];
    let folder = Folder::new(ENRICH);
    run(&folder).failure(1, &parts);
    assert!(!folder.data().exists());
}

#[test]
fn a_core_module_instead_of_a_component() {
    let folder = Folder::new(ENRICH);
    folder.file("enrich.wasm", guests::core_module());
    let parts = [
        "deployment enrich: ",
        "enrich.wasm is a core wasm module, not a component",
        "hint: build for wasm32-wasip2",
    ];
    run(&folder).failure(1, &parts);
    assert!(!folder.data().join("logs").exists());
}

/// A component that has an interface, and not one of ours.
const OTHER_WORLD: &str = r#"
(component
  (core module $code (func (export "run")))
  (core instance $code (instantiate $code))
  (func $run (canon lift (core func $code "run")))
  (instance $api (export "run" (func $run)))
  (export "example:other/api@1.0.0" (instance $api)))
"#;

#[test]
fn a_component_of_another_world() {
    let other = (wat::parse_str(OTHER_WORLD).unwrap(), "it has example:other/api@1.0.0,");
    for (bytes, exports) in [other, (guests::without_exports(), "it has no exports,")] {
        let folder = Folder::new(ENRICH);
        folder.file("enrich.wasm", bytes);
        let parts = [
            "error: deployment enrich: ",
            "enrich.wasm exports no handler: ",
            exports,
            "wanted is sharemill:worker/record-handler@0.1.0 or ",
            "hint: build it against a world of wit/worker.wit",
        ];
        run(&folder).failure(1, &parts);
        // Nothing of the manifest was made before the component was looked at.
        assert!(topics::read(&folder.data(), &["orders"])[0].is_empty());
    }
}

#[test]
fn a_corrupt_journal_byte() {
    let folder = used();
    let journal = folder.data().join("journal/0000.ring");
    let bytes = fs::read(&journal).unwrap();
    let needle = b"no order";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&journal).unwrap();
    file.write_all_at(b"N", at as u64).unwrap();
    drop(file);
    // The group that holds the byte is named: from its header on to its end.
    let report = folder.run(&["verify", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["damage"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["damage"][0]["file"], "journal/0000.ring");
    let offset = report["damage"][0]["position"].as_u64().unwrap();
    assert!(
        (at as u64 - 512..=at as u64).contains(&offset) && offset.is_multiple_of(512),
        "{at}: {report}"
    );
    let place = format!("at offset {offset} ");
    let parts = [
        "error: damaged: ",
        "journal/0000.ring",
        &place,
        "hint: run sharemill verify",
    ];
    run(&folder).failure(1, &parts);
    let parts = [
        "error: damaged: ",
        "journal/0000.ring",
        &place,
        "hint: sharemill verify",
    ];
    folder.run(&["topic", "list"]).failure(1, &parts);
    let said = format!("journal/0000.ring  {offset:>8}  ");
    let verified = folder.run(&["verify"]);
    verified.failure(1, &["error: ", "1 place is damaged", "hint: "]);
    assert!(verified.stdout.contains(&said), "{verified:?}");
    let mut damaged = bytes;
    damaged[at] = b'N';
    assert!(
        fs::read(&journal).unwrap() == damaged,
        "a damaged journal is left as it is"
    );
}

#[test]
fn a_data_directory_in_use() {
    let folder = used();
    let host = Host::start(&folder, &[]);
    let pid = host.pid().to_string();
    run(&folder).failure(
        1,
        &[
            "the data directory ",
            "data is in use by process ",
            &pid,
            "hint: stop it first",
        ],
    );
    folder.run(&["topic", "list"]).success();
    host.stop();
}

/// Changes a byte, makes the checksum at `crc` over `covered` good again, and expects to be refused without a trace.
fn is_newer(folder: &Folder, file: &str, version: (usize, u8), crc: usize, covered: std::ops::Range<usize>) {
    let path = folder.data().join(file);
    let good = fs::read(&path).unwrap();
    let mut bytes = good.clone();
    bytes[version.0] = version.1;
    let sum = crc32c::crc32c(&bytes[covered]).to_le_bytes();
    bytes[crc..crc + 4].copy_from_slice(&sum);
    fs::write(&path, &bytes).unwrap();
    let reads = format!("has format {}, this program reads up to 1", version.1);
    let message = format!("error: {file} in the data directory {reads}");
    let hint = "hint: use the newer version of sharemill that wrote it";
    for arguments in [&["run", "--until-idle"][..], &["topic", "list"]] {
        folder.run(arguments).failure(1, &[message.as_str(), hint]);
    }
    // It reads on, and lists what it cannot read.
    let verified = folder.run(&["verify"]);
    verified.failure(1, &["1 place was written by a newer version", hint]);
    assert!(
        verified.stdout.contains(file) && verified.stdout.contains(&reads),
        "{verified:?}"
    );
    assert!(fs::read(&path).unwrap() == bytes, "what is newer is left as it is");
    fs::write(&path, &good).unwrap();
}

#[test]
fn a_newer_format() {
    let source = "[sources.main]\nmemory-window = \"1MiB\"\njournal-size = \"16MiB\"\n";
    let folder = Folder::new(&format!("{source}[topics.kept]\n{ENRICH}")).guest("enrich");
    let value = "x".repeat(1_000);
    let snapshot = (0..20).find_map(|_| {
        folder.produce("kept", &vec![value.as_str(); 2_000]);
        let listed = fs::read_dir(folder.data().join("snapshots")).into_iter().flatten();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.contains(".snap") && !name.contains(".tmp"))
            .max()
    });
    let snapshot = format!("snapshots/{}", snapshot.expect("something was drained"));
    is_newer(&folder, "format", (8, 9), 28, 0..28);
    is_newer(&folder, "journal/0000.ring", (12, 7), 8, 12..512);
    is_newer(&folder, &snapshot, (8, 3), 40, 0..40);
    run(&folder).success();
}

#[test]
fn a_record_that_is_too_large_and_an_unknown_topic() {
    let folder = used();
    let check = || {
        let large = "x".repeat(1_100_000);
        let input = format!("before\n{large}\nafter\n");
        let output = folder.run_with_input(&["produce", "orders"], &input);
        let parts = [
            "error: line 2 was refused: a record takes 1100",
            "the limit is 1048588",
            "hint: keep what is large in a file",
        ];
        output.failure(1, &parts);
        output.failure(1, &["note: every other line is stored"]);
        assert!(
            output.stdout.contains("2 records stored in orders, 1 refused"),
            "{output:?}"
        );
        let output = folder.run(&["produce", "nowhere", "x"]);
        output.failure(1, &["error: ", "topic \"nowhere\"", "hint: sharemill topic list"]);
    };
    check();
    // The same over the socket of a running host.
    let host = Host::start(&folder, &[]);
    check();
    host.stop();
}

#[test]
fn fewer_open_files_than_the_journal_may_need() {
    let folder = Folder::new("[topics.orders]\n");
    let under = |limit: &str, arguments: &[&str]| {
        let mut command = folder.command_under(&["prlimit", limit], arguments);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let produce = ["produce", "orders", "a"];
    let (code, said) = under("--nofile=100:127", &produce);
    let message = "the journal may come to 64 files, and this process may have 127 open, 64 of them for other things";
    let hint =
        "hint: raise the hard limit on open files of this process (ulimit -Hn, LimitNOFILE=), or lower journal-size";
    assert!(said.contains(message) && said.contains(hint), "{said}");
    assert_eq!(code, Some(1), "{said}");
    // Before a start, and with the same words.
    let check = ["config", "check"];
    let (code, said) = under("--nofile=100:127", &check);
    assert!(said.contains(message) && said.contains(hint), "{said}");
    assert_eq!(code, Some(1), "{said}");
    // What it starts with counts for nothing: it raises that as far as it may.
    for arguments in [&check[..], &produce] {
        let (code, said) = under("--nofile=100:128", arguments);
        assert_eq!(code, Some(0), "{said}");
    }
}

/// A lower `journal-size` did nothing, and nobody said so.
#[test]
fn a_journal_that_is_larger_than_its_size_by_now() {
    let folder = Folder::new("[topics.orders]\n");
    let value = "x".repeat(10 << 10);
    // More than two files of 8 MiB, and less than is drained.
    folder.produce("orders", &vec![value.as_str(); 2_000]);
    let smaller = "[sources.main]\njournal-size = \"16MiB\"\n[topics.orders]\n";
    folder.file("smaller.toml", smaller);
    let message = "does not shrink to journal-size (16MiB)";
    let hint = "raise journal-size to what it takes; or let everything be handled";
    let check = folder.run(&["config", "check", "--manifest", "smaller.toml"]);
    assert!(
        check.stderr.contains(message) && check.stderr.contains(hint),
        "{check:?}"
    );
    assert_eq!(check.code, Some(0), "{check:?}");
    let run = folder.run(&["run", "--until-idle", "--manifest", "smaller.toml"]);
    let warned = run.stderr.lines().filter(|line| line.contains(message));
    let warned: Vec<&str> = warned.collect();
    assert!(
        warned.len() == 1 && warned[0].contains(" WARN ") && warned[0].contains(hint),
        "{run:?}"
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    let as_before = folder.run(&["config", "check"]);
    assert!(!as_before.stderr.contains("shrink"), "{as_before:?}");
}

#[test]
fn an_emit_to_a_topic_that_is_not_granted() {
    let manifest = r#"
[topics.secrets]
[deployments.enrich]
component = "hostile.wasm"
topic = "orders"
attempts = 1
grants = { emit = ["order-lines"] }
"#;
    let folder = Folder::new(manifest).guest("hostile");
    run(&folder).success();
    folder.produce("orders", &["emit secrets", "emit order-lines"]);
    run(&folder).success();
    let read = topics::read(&folder.data(), &["enrich.dead", "secrets", "order-lines"]);
    assert_eq!(read[0].len(), 1);
    let reason = read[0][0].header("__dlq.errors.message");
    assert_eq!(
        reason,
        "producing to topic secrets is not granted to this deployment: add it to `emit` in its grants"
    );
    assert_eq!((read[1].len(), read[2].len()), (0, 1));
}
