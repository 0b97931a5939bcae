//! The edge profile on the real command: it runs in one gigabyte of address space, keeps its ring small, and works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

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

/// All of them, as fast as they are taken: where the ring is full, on from there, as the command says.
fn produce(folder: &Folder, orders: &[String]) {
    let input = orders.join("\n");
    let mut from = 1_usize;
    until("all orders to be taken", || {
        let output = folder.run_with_input(&["produce", "orders", "--from-line", &from.to_string()], &input);
        if output.code == Some(0) {
            return Some(());
        }
        assert!(output.stderr.contains("the journal is full"), "{}", output.stderr);
        let next = output.stderr.rsplit("--from-line ").next().unwrap();
        from = next.split_whitespace().next().unwrap().parse().unwrap();
        None
    });
}

const ORDERS: usize = 40_000;

#[test]
fn the_edge_profile_works_in_one_gigabyte_of_address_space_with_a_small_ring() {
    let folder = Folder::with_host("profile = \"edge\"", MANIFEST).guest("enrich");
    let host = Host::start_within(&folder, 1 << 30);
    assert!(status(&host, "VmSize") < 1 << 30);
    // More than the ring holds, so that it wraps and drains.
    produce(&folder, &(0..ORDERS).map(order).collect::<Vec<_>>());
    until("the end of the orders", || {
        let group = folder.run(&["group", "describe", "enrich", "--format", "json"]).json();
        let share = &group["share-partitions"][0];
        let left = share["log-end"].as_u64().unwrap() - share["start-offset"].as_u64().unwrap();
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
