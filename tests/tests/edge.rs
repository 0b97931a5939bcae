//! The edge profile on the real command: it runs in one gigabyte of address space, keeps its ring small, and works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::fmt::Write as _;
use std::fs;

use sharemill_tests::{Folder, Host, topics, until};

const MANIFEST: &str = r#"
[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
grants = { emit = ["order-lines"] }
"#;

fn order(number: usize) -> String {
    format!(
        r#"{{"id":"o-{number}","customer":"ada","lines":[{{"sku":"bolt","quantity":4,"price_cents":25}},{{"sku":"nut","quantity":4,"price_cents":10}}]}}"#
    )
}

/// Bytes of the files of the ring.
fn ring(folder: &Folder) -> u64 {
    let files = fs::read_dir(folder.data().join("journal")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// What `/proc/PID/status` has under this name.
fn status(host: &Host, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

/// Bytes of a file that is larger than the ring.
const FILE_BYTES: usize = 30 << 20;

/// A seventh of its lines and more were refused, in patches.
#[test]
fn a_file_larger_than_the_ring_is_taken_whole_and_in_its_order() {
    let folder = Folder::with_host("profile = \"edge\"", "[topics.files]\npartitions = 2\n");
    let host = Host::start_within(&folder, 1 << 30);
    let mut input = String::new();
    let mut count = 0_usize;
    while input.len() < FILE_BYTES {
        // Large and small ones: a small one may find room where a large one before it found none.
        let filling = "x".repeat(if count.is_multiple_of(5) { 4_000 } else { 100 });
        let key = count % 11;
        writeln!(input, r#"{{"key":"k{key}","value":"{count} {filling}"}}"#).unwrap();
        count += 1;
    }
    let said = folder
        .run_with_input(&["produce", "files", "--ndjson", "-"], &input)
        .success();
    assert!(
        said.starts_with(&format!("{count} records stored in files, 0 refused\n")),
        "{said}"
    );
    host.stop();
    assert!(ring(&folder) <= 16 << 20, "{} bytes", ring(&folder));
    let number = |one: &topics::Stored| one.value.split(' ').next().unwrap().parse::<usize>().unwrap();
    let read: Vec<topics::Stored> = topics::read(&folder.data(), &["files"]).remove(0);
    assert_eq!(read.len(), count, "nothing is there twice");
    let mut last = [None; 11];
    for number in read.iter().map(number) {
        // None is there twice, and those of a key are in their order.
        assert!(
            last[number % 11] < Some(number),
            "{number} comes after {:?}",
            last[number % 11]
        );
        last[number % 11] = Some(number);
    }
}

const ORDERS: usize = 40_000;

#[test]
fn the_edge_profile_works_in_one_gigabyte_of_address_space_with_a_small_ring() {
    let folder = Folder::with_host("profile = \"edge\"", MANIFEST).guest("enrich");
    let host = Host::start_within(&folder, 1 << 30);
    assert!(status(&host, "VmSize") < 1 << 30);
    // More than the ring holds, so that it wraps and drains.
    let orders: Vec<String> = (0..ORDERS).map(order).collect();
    folder
        .run_with_input(&["produce", "orders"], &orders.join("\n"))
        .success();
    until("the end of the orders", || {
        let group = folder.run(&["group", "describe", "enrich", "--format", "json"]).json();
        let share = &group["share_partitions"][0];
        let left = share["log_end"].as_u64().unwrap() - share["start_offset"].as_u64().unwrap();
        (left == 0).then_some(())
    });
    let peak = status(&host, "VmHWM");
    host.stop();
    assert!(ring(&folder) <= 16 << 20, "{} bytes", ring(&folder));
    // The goal is 64 MB for the program as it is delivered; this one carries what tests need, and is not optimised.
    assert!(peak < 160 << 20, "{peak} bytes");
    let lines = topics::read(&folder.data(), &["order-lines"]).remove(0);
    assert_eq!(lines.len(), 2 * ORDERS);
}

#[test]
fn the_settings_of_the_edge_profile_are_those_of_its_name_unless_given() {
    let shown = |host: &str, manifest: &str| {
        let folder = Folder::with_host(host, &format!("{MANIFEST}{manifest}")).guest("enrich");
        let text = folder.run(&["config", "show"]).success();
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap_or_else(|| panic!("no {key} in:\n{text}")).to_owned()
        };
        ["journal-size", "memory-window", "reserve"].map(value)
    };
    assert_eq!(shown("", ""), [r#""512MiB""#, r#""128MiB""#, r#""16MiB""#]);
    assert_eq!(
        shown("profile = \"edge\"", ""),
        [r#""16MiB""#, r#""4MiB""#, r#""4MiB""#]
    );
    let given = "[sources.main]\njournal-size = \"32MiB\"\nmemory-window = \"2MiB\"\n";
    assert_eq!(
        shown("profile = \"edge\"", given),
        [r#""32MiB""#, r#""2MiB""#, r#""4MiB""#]
    );
}
