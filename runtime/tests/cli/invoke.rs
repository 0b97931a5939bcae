//! `invoke` with a component made on the spot.

use std::fs;

use crate::support::{ACCEPT, Folder, REJECT, component};

pub(crate) fn folder(body: &str) -> Folder {
    let folder = Folder::with_manifest(
        "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\ngrants = { emit = [\"lines\"] }\n\
         [topics.t]\n[topics.lines]\n[host]\ncache-dir = \"cache\"\n",
    );
    fs::write(folder.path().join("handler.wasm"), component(body)).unwrap();
    folder
}

/// Without what differs from run to run: times, digests, whether the cache was used.
pub(crate) fn steady(shown: &str) -> String {
    without(shown, &["time ", "module ", "digest ", "size ", "compiled "])
}

/// Without the lines that begin so.
pub(crate) fn without(shown: &str, beginnings: &[&str]) -> String {
    let kept = |line: &&str| !beginnings.iter().any(|word| line.starts_with(word));
    shown.lines().filter(kept).map(|line| format!("{line}\n")).collect()
}

#[test]
fn outcomes() {
    let accepts = folder(ACCEPT);
    insta::assert_snapshot!(steady(&accepts.run(&["invoke", "handler.wasm", "--value", "x"])), @"
    exit 0
    --- stdout
    outcome   accept
    memory    64.0 KiB
    calls     0 to the host, 0 of them renewals
    ");
    insta::assert_snapshot!(steady(&accepts.run(&["invoke", "-", "--deployment", "d"])), @"
    exit 0
    --- stdout
    outcome   accept
    memory    64.0 KiB
    calls     0 to the host, 0 of them renewals
    ");
    insta::assert_snapshot!(steady(&folder(REJECT).run(&["invoke", "-", "--deployment", "d"])), @"
    exit 0
    --- stdout
    outcome   reject: no price
    memory    64.0 KiB
    calls     0 to the host, 0 of them renewals
    ");
}

#[test]
fn a_trap_fails_the_command() {
    insta::assert_snapshot!(steady(&folder("unreachable").run(&["invoke", "-", "--deployment", "d"])), @"
    exit 1
    --- stdout
    outcome   trap unreachable: wasm trap: wasm `unreachable` instruction executed < 0x234
    memory    64.0 KiB
    calls     0 to the host, 0 of them renewals
    --- stderr
    error: trap unreachable: wasm trap: wasm `unreachable` instruction executed < 0x234
    ");
}

#[test]
fn the_answer_as_json() {
    let shown = folder(REJECT).run(&["invoke", "-", "--deployment", "d", "--format", "json"]);
    let json = shown.strip_prefix("exit 0\n--- stdout\n").unwrap();
    let answer: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        answer["end"],
        serde_json::json!({ "outcome": "reject", "reason": "no price" })
    );
    assert_eq!(answer["emitted"], serde_json::json!([]));
    assert!(answer["seconds"]["call"].is_number());
}

#[test]
fn records_from_files() {
    let folder = folder(ACCEPT);
    folder.file(
        "record.json",
        "{\"key\":\"k\",\"value\":{\"a\":1},\"headers\":{\"h\":\"v\"}}",
    );
    folder.file("bad.json", "{\"vlaue\":1}");
    assert!(
        folder
            .run(&["invoke", "handler.wasm", "--record", "record.json"])
            .contains("outcome   accept")
    );
    insta::assert_snapshot!(folder.run(&["invoke", "handler.wasm", "--record", "bad.json"]), @"
    exit 1
    --- stderr
    error: bad.json is not a record: unknown field `vlaue`, expected one of `key`, `key_base64`, `value`, `value_base64`, `headers`, `partition`, `timestamp` at line 1 column 8
    ");
    insta::assert_snapshot!(folder.run(&["invoke", "handler.wasm", "--record", "missing.json"]), @"
    exit 1
    --- stderr
    error: cannot read missing.json: No such file or directory (os error 2)
    ");
}

#[test]
fn components_that_are_none() {
    let folder = folder(ACCEPT);
    folder.file("text.wasm", "hello");
    fs::write(folder.path().join("core.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
    insta::assert_snapshot!(folder.run(&["invoke", "missing.wasm"]), @"
    exit 1
    --- stderr
    error: cannot read component missing.wasm: No such file or directory (os error 2)
    hint: build it, or correct the path; this user must be able to read it
    ");
    insta::assert_snapshot!(folder.run(&["invoke", "text.wasm"]), @"
    exit 1
    --- stderr
    error: text.wasm is not a wasm component: it does not start with the wasm magic number
    hint: give the .wasm file that the build made, such as target/wasm32-wasip2/release/NAME.wasm
    ");
    insta::assert_snapshot!(folder.run(&["module", "inspect", "core.wasm"]), @"
    exit 1
    --- stderr
    error: core.wasm is a core wasm module, not a component
    hint: build for wasm32-wasip2, or wrap it: `wasm-tools component embed` and `wasm-tools component new`
    ");
    let only = folder.run(&["invoke", "-"]);
    assert!(only.starts_with("exit 0\n--- stdout\noutcome   accept\n"), "{only}");
    let manifest = fs::read_to_string(folder.path().join("sharemill.toml")).unwrap();
    let another = "[deployments.another]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n";
    folder.file("two.toml", &format!("{manifest}{another}"));
    insta::assert_snapshot!(folder.run(&["invoke", "-", "--manifest", "two.toml"]), @"
    exit 2
    --- stderr
    error: the component - stands for that of --deployment, which is not given, and the manifest has not just one
    hint: name it with --deployment NAME, or give the component's file
    ");
    insta::assert_snapshot!(folder.run(&["invoke", "-", "--deployment", "e"]), @"
    exit 1
    --- stderr
    error: the manifest has no deployment e
    hint: sharemill config show prints them
    ");
}
