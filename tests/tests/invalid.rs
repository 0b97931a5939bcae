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
    run(&Folder::new("nonsense")).failure(1, &["error: "]);
    folder.run(&["run", "--nonsense"]).failure(2, &["--nonsense"]);
}

#[test]
fn a_missing_module() {
    let parts = ["deployments.enrich.component does not exist", "enrich.wasm", "hint: "];
    run(&Folder::new(ENRICH)).failure(1, &parts);
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

#[test]
fn a_component_of_another_world() {
    let folder = Folder::new(ENRICH);
    folder.file("enrich.wasm", guests::without_exports());
    let parts = [
        "deployment enrich: ",
        "exports no handler",
        "sharemill:worker/record-handler@0.1.0",
        "hint: ",
    ];
    run(&folder).failure(1, &parts);
    // Nothing of the manifest was made before the component was looked at.
    assert!(topics::read(&folder.data(), &["orders"])[0].is_empty());
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
    let parts = ["error: damaged: ", "0000.ring", "offset ", "hint: run sharemill verify"];
    run(&folder).failure(1, &parts);
    folder.run(&["topic", "list"]).failure(1, &["damaged", "0000.ring"]);
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

#[test]
fn a_newer_format() {
    let folder = used();
    let path = folder.data().join("format");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..28]).to_le_bytes();
    bytes[28..].copy_from_slice(&crc);
    fs::write(&path, &bytes).unwrap();
    let parts = [
        "format in the data directory has format 9, this program reads up to 1",
        "hint: use the newer version of sharemill that wrote it",
    ];
    run(&folder).failure(1, &parts);
    folder.run(&["topic", "list"]).failure(1, &parts);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_record_that_is_too_large_and_an_unknown_topic() {
    let folder = used();
    let check = || {
        let large = "x".repeat(1_100_000);
        let input = format!("before\n{large}\nafter\n");
        let output = folder.run_with_input(&["produce", "orders"], &input);
        let parts = [
            "error: record 2 was refused: a record takes 1100",
            "the limit is 1048588",
            "hint: keep what is large in a file",
        ];
        output.failure(1, &parts);
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
    assert_eq!(reason, "producing to topic secrets is not granted to this deployment");
    assert_eq!((read[1].len(), read[2].len()), (0, 1));
}
