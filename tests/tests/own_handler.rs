//! One's own handler, as a user has it: a project made by `sharemill new`, tested and built for real, its records, its first run, and a
//! dead letter that a changed build takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sharemill_tests::{Folder, guests};

/// A project in a place that stays, so that it is compiled anew only where it changes.
struct Project {
    folder: Folder,
    place: PathBuf,
}

impl Project {
    fn new(name: &str) -> Self {
        let folder = Folder::new("");
        let above = guests::root().join("target/new");
        let place = above.join(name);
        fs::create_dir_all(&above).unwrap();
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        let made = folder
            .command(&["new", name, "--lang", "rust"])
            .current_dir(&above)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Self { folder, place }
    }

    /// Runs cargo; what it said, if it failed.
    fn cargo(&self, arguments: &[&str]) {
        let output = guests::cargo(&self.place).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {arguments:?}: {said}");
        // Nothing that a new user would have to understand.
        assert!(!said.contains("warning"), "cargo {arguments:?}: {said}");
    }

    /// Builds the component, to where the manifest has it.
    fn build(&self, name: &str, more: &[&str]) {
        let mut arguments = vec!["build", "--release", "--target", "wasm32-wasip2"];
        arguments.extend(more);
        self.cargo(&arguments);
        let wasm = Path::new("wasm32-wasip2/release").join(name).with_extension("wasm");
        let wanted = self.place.join("target").join(&wasm);
        fs::create_dir_all(wanted.parent().unwrap()).unwrap();
        fs::copy(guests::builds().join(&wasm), wanted).unwrap();
    }

    fn file(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.place.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed, "{name}");
        fs::write(path, changed).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> sharemill_tests::Output {
        let output = self
            .folder
            .command(arguments)
            .current_dir(&self.place)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        sharemill_tests::Output {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

#[test]
fn a_new_project_is_built_tested_and_run() {
    let project = Project::new("thermometer");
    project.run(&["test"]).failure(1, &["thermometer.wasm", "component"]);
    // Its own tests, for this machine.
    project.cargo(&["test", "--quiet"]);
    project.build("thermometer", &["--quiet"]);
    project.run(&["config", "check"]).success();

    let tested = project.run(&["test"]).success();
    assert!(
        tested.contains("ok       records/readings.ndjson:2  a hot room raises an alert"),
        "{tested}"
    );
    assert!(tested.ends_with("5 records, all as expected\n"), "{tested}");

    the_deployment_holds(&project);
    it_is_what_the_manifest_grants(&project);
    a_dead_letter_is_mended(&project);
}

/// Its settings and grants, as in a run.
fn the_deployment_holds(project: &Project) {
    project.file("sharemill.toml", |text| text.replace("limit = 30", "limit = 50"));
    let tested = project.run(&["test", "hot room"]);
    tested.failure(1, &[]);
    assert!(tested.stdout.contains("emits[0]"), "{tested:?}");
    project.file("sharemill.toml", |text| {
        text.replace("limit = 50", "limit = 30")
            .replace("emit = [\"alerts\"]", "emit = []")
    });
    let tested = project.run(&["test", "hot room"]);
    tested.failure(1, &[]);
    assert!(
        tested.stdout.contains("producing to topic alerts is not granted"),
        "{tested:?}"
    );
    project.file("sharemill.toml", |text| {
        text.replace("emit = []", "emit = [\"alerts\"]")
    });
}

fn it_is_what_the_manifest_grants(project: &Project) {
    let inspected = project
        .run(&["module", "inspect", "-", "--deployment", "thermometer"])
        .success();
    for part in [
        "world     handler",
        "contract  sharemill:worker@0.1.0",
        "made by   processed-by wit-bindgen-rust",
    ] {
        assert!(inspected.contains(part), "{part:?} is not in {inspected}");
    }
    for (import, grant) in [
        ("sharemill:worker/producer@0.1.0", "granted"),
        ("wasi:config/store@0.2.0-rc.1", "granted"),
    ] {
        let line = inspected.lines().find(|line| line.starts_with(import)).unwrap();
        assert!(line.ends_with(&format!(" {grant}")), "{line}");
    }
}

/// Replayed before and after the handler has learnt the unit.
fn a_dead_letter_is_mended(project: &Project) {
    project
        .run(&[
            "produce",
            "readings",
            r#"{"sensor": "roof", "unit": "C", "value": 41.5}"#,
            r#"{"sensor": "shed", "unit": "F", "value": 102.2}"#,
        ])
        .success();
    project.run(&["run", "--until-idle"]).success();
    let alerts = project.run(&["topic", "read", "alerts"]).success();
    assert!(alerts.contains("roof has 41.5 C"), "{alerts}");

    let letter = ["test", "--from-dead-letter", "thermometer.dead/0/0"];
    project.run(&letter).failure(
        1,
        &["redriven now it would be a dead letter again: reject: shed reports in F"],
    );
    project.file("src/lib.rs", |text| {
        text.replace(
            "\"C\" => reading.value,",
            "\"C\" => reading.value,\n        \"F\" => (reading.value - 32.0) / 1.8,",
        )
    });
    project.build("thermometer", &["--quiet"]);
    let replayed = project.run(&letter).success();
    assert!(replayed.contains("was       reject: shed reports in F"), "{replayed}");
    assert!(replayed.contains("alerts key shed value shed has 39.0 C"), "{replayed}");
    let tested = project.run(&["test"]);
    tested.failure(1, &[]);
    assert!(
        tested.stdout.ends_with("5 records, 4 as expected, 1 differs\n"),
        "{tested:?}"
    );
}

/// As the user's own formatter would have it, whose settings are not this repository's.
#[test]
fn the_template_is_formatted() {
    let project = Project::new("formatted");
    let settings = project.folder.file("rustfmt.toml", "");
    let checked = Command::new("rustfmt")
        .args(["--check", "--edition", "2024", "--config-path"])
        .args([&settings, &project.place.join("src/lib.rs")])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

/// What the template locks is what it needs: under its own name nothing of it is changed.
#[test]
fn the_template_s_lock_is_whole() {
    let project = Project::new("my-handler");
    project.cargo(&["metadata", "--locked", "--format-version", "1", "--quiet"]);
}
