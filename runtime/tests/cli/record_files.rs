//! Files that `test` reads: which ones, of which deployment, how much of them, in which form.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::records::{ORDERS, enrich};
use crate::support::{Folder, REJECT, component};

const ALL: &str = "4 records, all as expected\n";

/// Editors and tools keep their own files beside those of people, and a pipe would wait for a writer for ever.
#[test]
fn what_is_hidden_is_no_record_file() {
    let folder = enrich(ORDERS);
    let records = folder.path().join("records");
    symlink("user@host.1", records.join(".#orders.ndjson")).unwrap();
    fs::write(records.join("._orders.ndjson"), b"\x00\x05\x16\x07").unwrap();
    folder.file("records/.git/orders.ndjson", "x");
    let pipe = Command::new("mkfifo")
        .arg(records.join("pipe.ndjson"))
        .status()
        .unwrap();
    assert!(pipe.success());
    let told = folder.run(&["test"]);
    assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{told}");
    // Not so what is to be a record file.
    symlink("nowhere", records.join("lost.ndjson")).unwrap();
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 2
    --- stderr
    error: cannot read [DIR]/records/lost.ndjson: No such file or directory (os error 2)
    hint: name the file or folder of records with --records; it is records beside the manifest otherwise
    ");
}

#[test]
fn more_than_anybody_reads_is_not_read() {
    let folder = enrich(&"{\"expect\": \"accept\"}\n".repeat(10_001));
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 2
    --- stderr
    error: there are more than 10000 records, counted up to records/orders.ndjson:10001
    hint: test them in parts: --records FILE
    ");
    // Nothing but holes: it takes neither room nor time.
    let folder = enrich(ORDERS);
    for name in ["a", "b", "c", "d", "e"] {
        let file = fs::File::create(folder.path().join("records").join(name).with_extension("ndjson")).unwrap();
        file.set_len(60 << 20).unwrap();
    }
    let told = folder.run(&["test"]);
    let end = "error: the record files up to records/e.ndjson are larger than the limit of 256.0 MiB for all\n\
               hint: test them in parts: --records FILE\n";
    assert!(told.starts_with("exit 2\n") && told.ends_with(end), "{told}");
}

#[test]
fn what_other_systems_write_is_read_or_named() {
    let folder = enrich(&format!("\u{feff}{}", ORDERS.trim_start().replace('\n', "\r\n")));
    let told = folder.run(&["test"]);
    assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{told}");
    let wide: Vec<u8> = ORDERS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let orders = folder.path().join("records/orders.ndjson");
    fs::write(&orders, [b"\xff\xfe", wide.as_slice()].concat()).unwrap();
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 2
    --- stderr
    error: records/orders.ndjson is UTF-16
    hint: save it as UTF-8
    ");
    fs::write(&orders, &wide[..wide.len() / 8]).unwrap();
    let told = folder.run(&["test"]);
    let line = "error: records/orders.ndjson:2: has a NUL byte, as UTF-16 has it: save the file as UTF-8\n";
    assert!(told.starts_with("exit 2\n") && told.contains(line), "{told}");
}

/// 11 in one language is 11.0 in another.
#[test]
fn numbers_are_compared_by_value() {
    let folder = enrich(&ORDERS.replace("\"total_cents\": 750", "\"total_cents\": 750.0"));
    let told = folder.run(&["test"]);
    assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{told}");
}

#[test]
fn a_folder_names_its_deployment() {
    let folder = enrich(ORDERS);
    fs::write(folder.path().join("handler.wasm"), component(REJECT)).unwrap();
    let second = "[deployments.refuse]\ncomponent = \"handler.wasm\"\ntopic = \"orders\"\n";
    let manifest = fs::read_to_string(folder.path().join("sharemill.toml")).unwrap();
    folder.file("sharemill.toml", &format!("{manifest}{second}"));
    folder.file("records/enrich/orders.ndjson", ORDERS);
    for place in ["records/enrich", "records/enrich/orders.ndjson", "records/enrich/."] {
        let told = folder.run(&["test", "--records", place]);
        assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{place}: {told}");
    }
    // A pipe has no such folder.
    let piped = ["test", "--records", "/dev/stdin"];
    let told = folder.run_with_input(&piped, Some(ORDERS));
    let line = "error: /dev/stdin does not say which deployment its records are for; there are enrich, refuse\n";
    assert!(told.starts_with("exit 2\n") && told.contains(line), "{told}");
    let named = [&piped[..], &["--deployment", "enrich"]].concat();
    let told = folder.run_with_input(&named, Some(ORDERS));
    assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{told}");
}

#[test]
fn a_dash_is_the_deployment_s_own_component() {
    let folder = enrich(ORDERS);
    let told = folder.run(&["test", "--component", "-"]);
    assert!(told.starts_with("exit 0\n") && told.ends_with(ALL), "{told}");
}

/// A deployment may log 1,000 lines a second, and these calls are faster: none is without its log for those before it.
#[test]
fn what_one_record_logs_does_not_depend_on_another() {
    let folder = Folder::with_guest(
        "hostile",
        "[host]\ncache-dir = \"cache\"\n[deployments.d]\ncomponent = \"hostile.wasm\"\ntopic = \"t\"\n",
    );
    let record = "{\"value\": \"log-flood 600\", \"expect\": \"reject\"}\n";
    folder.file("records/a.ndjson", &record.repeat(4));
    let told = folder.run(&["test"]);
    assert!(told.ends_with("4 records, 0 as expected, 4 differ\n"), "{told}");
    assert_eq!(told.matches("line 599 of a flood").count(), 4, "{told}");
    assert!(!told.contains("dropped"), "{told}");
}
