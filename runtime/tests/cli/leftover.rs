//! What `config check` says about a data directory whose manifest has moved on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use share_engine::config::{EngineConfig, GroupConfig, TopicConfig};
use share_engine::engine::{Engine, block_on, survey_directory};
use share_engine::record::NewRecord;

use crate::fake::FakeHost;
use crate::support::Folder;

const MANIFEST: &str = "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n[topics.t]\n";

#[test]
fn config_check_names_what_the_manifest_has_left_over() {
    let folder = Folder::with_manifest(MANIFEST);
    let (engine, _) = Engine::open(folder.path().join("data"), EngineConfig::default()).unwrap();
    block_on(async {
        for topic in ["t", "before", "other", "d.dead"] {
            engine.create_topic(topic, TopicConfig::default()).await.unwrap();
        }
        for (group, topic) in [("d", "t"), ("d", "other"), ("gone", "before")] {
            let config = GroupConfig {
                dead_letter: Some(format!("{group}.dead")),
                ..GroupConfig::default()
            };
            // `d` comes twice.
            drop(engine.create_group(group, config).await);
            engine.subscribe(group, topic).await.unwrap();
        }
        for topic in ["before", "other"] {
            let record = NewRecord::default();
            assert!(
                engine
                    .produce(topic, None, vec![record])
                    .await
                    .iter()
                    .all(Result::is_ok)
            );
        }
        engine.close().await.unwrap();
    });
    drop(engine);
    insta::assert_snapshot!(folder.run(&["config", "check"]), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 2 warnings
    --- stderr
    warning: share group d is still on topic other, which no deployment handles in it
    hint: a topic keeps what its groups have not settled; delete the topic, or give the deployment another group
    warning: share group gone is in the data directory, with 1 unsettled record, and no deployment is in it
    hint: its topics keep what it has not settled; if it is not needed: sharemill group delete gone
    note: topic before is in the data directory, with 1 record and 68 B, and not in the manifest
    hint: if it is not needed: sharemill topic delete before
    note: topic gone.dead is in the data directory, with 0 records and 0 B, and not in the manifest
    hint: if it is not needed: sharemill topic delete gone.dead
    note: topic other is in the data directory, with 1 record and 68 B, and not in the manifest
    hint: if it is not needed: sharemill topic delete other
    ");
    let json = folder.run(&["config", "check", "--format", "json"]);
    assert!(json.contains("\"key\": \"sources.main.data-dir\""), "{json}");
    // Whoever asked has closed what it opened.
    let verified = folder.run(&["verify"]);
    assert!(verified.starts_with("exit 0"), "{verified}");
}

/// The journal of a host that was killed is read as it is: the next host recovers it, and nobody else.
#[test]
fn config_check_leaves_a_data_directory_as_it_is() {
    let folder = Folder::with_manifest(MANIFEST);
    let (engine, _) = Engine::open(folder.path().join("alive"), EngineConfig::default()).unwrap();
    block_on(async {
        engine.create_topic("gone", TopicConfig::default()).await.unwrap();
        engine.create_group("old", GroupConfig::default()).await.unwrap();
        engine.subscribe("old", "gone").await.unwrap();
        let produced = engine.produce("gone", None, vec![NewRecord::default(); 3]).await;
        assert!(produced.iter().all(Result::is_ok));
    });
    copy(&folder.path().join("alive"), &folder.path().join("data"));
    let before = contents(&folder.path().join("data"));
    let shown = folder.run(&["config", "check"]);
    for part in [
        "share group old is in the data directory, with 3 unsettled records",
        "topic gone is in the data directory, with 3 records",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(contents(&folder.path().join("data")), before);
    // What is told is what an open finds.
    let survey = survey_directory(folder.path().join("data")).unwrap();
    let (opened, _) = Engine::open(folder.path().join("data"), EngineConfig::default()).unwrap();
    let described = block_on(async {
        let topic = opened.describe_topic("gone").await.unwrap();
        (vec![topic], vec![opened.describe_group("old").await.unwrap()])
    });
    assert_eq!(
        format!("{:?}", (survey.topics, survey.groups)),
        format!("{described:?}")
    );
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Every file but the lock, with the time of its last change.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with("LOCK") {
            let changed = path.metadata().unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), changed));
        }
    }
    found
}

#[test]
fn config_check_asks_the_host_that_runs() {
    let folder = Folder::with_manifest(MANIFEST);
    let _host = FakeHost::start(&folder.path().join("data"));
    insta::assert_snapshot!(folder.run(&["config", "check"]), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 1 warning
    --- stderr
    warning: share group enrich is in the data directory, with 3 unsettled records, and no deployment is in it
    hint: its topics keep what it has not settled; if it is not needed: sharemill group delete enrich
    note: topic orders is in the data directory, with 5 records and 1.4 KiB, and not in the manifest
    hint: if it is not needed: sharemill topic delete orders
    ");
}

#[test]
fn config_check_begins_no_data_directory() {
    let folder = Folder::with_manifest(MANIFEST);
    let sound = folder.run(&["config", "check"]);
    assert!(!folder.path().join("data").exists());
    fs::create_dir(folder.path().join("data")).unwrap();
    assert_eq!(folder.run(&["config", "check"]), sound);
    assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 0);
}

#[test]
fn config_check_tells_a_data_directory_that_cannot_be_read() {
    let folder = Folder::with_manifest(MANIFEST);
    folder.file("data/format", "something else");
    insta::assert_snapshot!(folder.run(&["config", "check"]), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 1 warning
    --- stderr
    warning: what the manifest has left over is not known: damaged: format at byte 14: the file ends here, 32 bytes expected
    hint: sharemill verify shows all of it
    ");
}
