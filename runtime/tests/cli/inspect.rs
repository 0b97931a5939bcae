//! `module inspect`, and components that are built for another version of the contract.

use std::fs;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::invoke::{folder, steady};
use crate::support::{ACCEPT, Folder, component_of, handler_module};

/// A real component for the contract of another version, whose text is otherwise the same.
fn of_version(version: &str, imports: &str) -> Vec<u8> {
    let wit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/worker.wit")).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str(
            "worker.wit",
            &wit.replace("@0.1.0", &format!("@{version}"))
                .replace("= 0.1.0", &format!("= {version}")),
        )
        .unwrap();
    let world = resolve.select_world(&[package], Some("handler")).unwrap();
    let module = handler_module(imports, ACCEPT).replace("@0.1.0", &format!("@{version}"));
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

#[test]
fn what_a_component_is() {
    let folder = folder(ACCEPT);
    insta::assert_snapshot!(steady(&folder.run(&["module", "inspect", "handler.wasm"])), @"
    exit 0
    --- stdout
    component handler.wasm
    memory    64.0 KiB
    world     handler
    contract  sharemill:worker@[VERSION]
    handles   records
    made by   processed-by wit-component 0.263.0
    exports   sharemill:worker/record-handler@[VERSION]

    IMPORT                        GRANT
    sharemill:worker/types@[VERSION]  not needed
    ");
    let json = folder.run(&["module", "inspect", "-", "--deployment", "d", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(json.strip_prefix("exit 0\n--- stdout\n").unwrap()).unwrap();
    assert_eq!(answer["worlds"], serde_json::json!(["handler"]));
    assert_eq!(answer["contract"], serde_json::json!([answer["host_contract"]]));
    assert_eq!(answer["refused"], serde_json::Value::Null);
}

#[test]
fn every_import_is_said_to_be_granted_or_by_what() {
    let folder = folder(ACCEPT);
    let other = "package acme:db@1.0.0; interface query { run: func(); }";
    let world = "package test:mine; world mine {
        include sharemill:worker/handler@0.1.0;
        import acme:db/query@1.0.0;
    }";
    let imports = r#"(import "acme:db/query@1.0.0" "run" (func))
        (import "sharemill:worker/producer@0.1.0" "send" (func (param i32 i32 i32)))"#;
    let wasm = component_of("mine", &[other, world], &handler_module(imports, ACCEPT));
    fs::write(folder.path().join("handler.wasm"), wasm).unwrap();
    insta::assert_snapshot!(steady(&folder.run(&["module", "inspect", "handler.wasm"])), @r#"
    exit 1
    --- stdout
    component handler.wasm
    memory    64.0 KiB
    world     handler
    contract  sharemill:worker@[VERSION]
    handles   records
    made by   processed-by wit-component 0.263.0
    exports   sharemill:worker/record-handler@[VERSION]

    IMPORT                           GRANT
    acme:db/query@1.0.0              unknown to this host
    sharemill:worker/types@[VERSION]     not needed
    sharemill:worker/producer@[VERSION]  not granted: grants = { emit = ["TOPIC"] }

    1 import not granted: what lies behind is empty or refused; standard libraries import some that they do not use
    --- stderr
    error: handler.wasm imports acme:db/query@1.0.0, which this host does not have
    hint: build it without what needs this
    "#);
    // The manifest's deployment has the grant.
    let granted = steady(&folder.run(&["module", "inspect", "-", "--deployment", "d"]));
    assert!(
        granted.contains("sharemill:worker/producer@[VERSION]  granted\n"),
        "{granted}"
    );
    assert!(!granted.contains("not granted"), "{granted}");
}

fn holding(wasm: &[u8]) -> Folder {
    let folder = folder(ACCEPT);
    fs::write(folder.path().join("handler.wasm"), wasm).unwrap();
    folder
}

#[test]
fn another_version_of_the_contract_is_refused() {
    let folder = holding(&of_version("0.2.0", ""));
    folder.file("records/a.ndjson", "{\"expect\": \"accept\"}");
    insta::assert_snapshot!(steady(&folder.run(&["module", "inspect", "handler.wasm"])), @"
    exit 1
    --- stdout
    component handler.wasm
    memory    64.0 KiB
    world     handler
    contract  sharemill:worker@0.2.0
    handles   records
    made by   processed-by wit-component 0.263.0
    exports   sharemill:worker/record-handler@0.2.0

    IMPORT                        GRANT
    sharemill:worker/types@0.2.0  not needed
    --- stderr
    error: handler.wasm is built for sharemill:worker@0.2.0 (it has sharemill:worker/types@0.2.0), this host serves sharemill:worker@[VERSION]
    hint: build it again for this host: sharemill wit DIR writes its contract, sharemill new a Rust project with it; or run it with a sharemill that serves 0.2.0
    ");
    let refused = [
        folder.run(&["invoke", "-", "--deployment", "d"]),
        folder.run(&["run"]),
        folder.run(&["config", "check"]),
        folder.run(&["test"]),
    ];
    for shown in refused {
        assert!(shown.starts_with("exit 1"), "{shown}");
        assert!(shown.contains("is built for sharemill:worker@0.2.0"), "{shown}");
        assert!(
            shown.contains("this host serves sharemill:worker@0.1.0")
                || shown.contains("this host serves sharemill:worker@[VERSION]"),
            "{shown}"
        );
        assert!(shown.contains("sharemill wit DIR"), "{shown}");
    }
}

/// It may use what it adds: refused with both versions, too.
#[test]
fn a_later_patch_of_the_contract() {
    let folder = holding(&of_version("0.1.9", ""));
    insta::assert_snapshot!(steady(&folder.run(&["invoke", "-", "--deployment", "d"])), @"
    exit 1
    --- stderr
    error: [DIR]/handler.wasm is built for sharemill:worker@0.1.9 (it has sharemill:worker/types@0.1.9), this host serves sharemill:worker@[VERSION]
    hint: build it again for this host: sharemill wit DIR writes its contract, sharemill new a Rust project with it; or run it with a sharemill that serves 0.1.9
    ");
}

/// No length is known of it beforehand, and it has no end.
#[test]
fn a_device_is_read_no_further_than_a_component_may_be() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.run(&["module", "inspect", "/dev/zero"]), @"
    exit 1
    --- stderr
    error: component /dev/zero has 268435457 bytes, over the limit of 268435456
    hint: build it for release, and take debug sections off with `wasm-tools strip`
    ");
}
