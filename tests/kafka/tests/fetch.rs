//! What happens on machines that lack something, and when two processes need the same jars at once. Each case is a process of
//! its own, this same program, with another `PATH`, in which small shell scripts stand for Java and Maven.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use kafka_cluster::Version;

/// What a child does, and nothing without it.
const TASK: &str = "KAFKA_CLUSTER_TASK";

/// The child.
#[test]
fn child() {
    match std::env::var(TASK).as_deref() {
        Ok("runs-here") => assert!(!kafka_cluster::runs_here(Version::default(), "sample")),
        Ok("run") => match kafka_cluster::run(Version::default(), "some.Class", &["with", "words"]) {
            Ok(printed) => eprintln!("ran: {}", printed.stdout),
            Err(error) => eprintln!("error: {error}"),
        },
        _ => {}
    }
}

/// Programs and a `target/` of a child's own.
struct Machine(tempfile::TempDir);

impl Machine {
    fn with(programs: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (name, script) in programs {
            let path = machine.0.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    fn target(&self) -> std::path::PathBuf {
        self.0.path().join("target")
    }

    fn start(&self, task: &str, ci: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env_clear()
            .env("PATH", self.0.path())
            .env("CARGO_TARGET_DIR", self.target())
            .env("CI", ci)
            .env(TASK, task)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self, task: &str, ci: &str) -> (bool, String) {
        end(self.start(task, ci))
    }
}

fn end(child: Child) -> (bool, String) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

const JAVA: (&str, &str) = (
    "java",
    "[ \"$1\" = -version ] && echo 'openjdk version \"17.0.15\"' >&2 || echo \"$@\"",
);

/// Brings empty jars, with a file for each run, and is in no hurry.
fn maven(folder: &Path, jars: &[&str]) -> String {
    let making: Vec<String> = jars
        .iter()
        .map(|jar| format!("printf 'PK\\003\\004' > \"$out/{jar}\"\n"))
        .collect();
    let making = making.concat();
    format!(
        "PATH=/usr/bin:/bin\n[ \"$1\" = --version ] && exit\nmktemp {}/run.XXXXXX >&2\n\
         for last; do :; done\nout=${{last#-DoutputDirectory=}}\nmkdir \"$out\" || exit 9\nsleep 0.3\n{making}",
        folder.display()
    )
}

const JARS: [&str; 7] = [
    "kafka_2.13-4.2.1.jar",
    "kafka-tools-4.2.1.jar",
    "kafka-clients-4.2.1.jar",
    "kafka-server-4.2.1.jar",
    "log4j-api-2.25.3.jar",
    "log4j-core-2.25.3.jar",
    "log4j-slf4j-impl-2.25.3.jar",
];

#[test]
fn what_is_missing_is_named_and_the_test_left_out() {
    let old = ("java", "echo 'openjdk version \"11.0.2\" 2019' >&2");
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[],
            "java is missing: install a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)",
        ),
        (&[old], "java is version 11.0.2: install a Java runtime, 17 or newer"),
        (&[JAVA], "mvn is missing: install Apache Maven (Debian: maven)"),
    ];
    for (programs, words) in cases {
        let machine = Machine::with(programs);
        let (success, said) = machine.run("runs-here", "");
        assert!(
            success && said.contains(&format!("test sample is left out: {words}")),
            "{said}"
        );
        let (success, said) = machine.run("runs-here", "true");
        assert!(!success && said.contains(words), "{said}");
        let (_, said) = machine.run("run", "");
        assert!(said.contains(&format!("error: {words}")), "{said}");
    }
}

#[test]
fn several_at_once_fetch_once() {
    let runs = tempfile::tempdir().unwrap();
    let machine = Machine::with(&[JAVA, ("mvn", &maven(runs.path(), &JARS))]);
    let children: Vec<Child> = (0..4).map(|_| machine.start("run", "")).collect();
    for child in children {
        let (_, said) = end(child);
        assert!(said.contains("some.Class with words"), "{said}");
    }
    assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 1);

    // Jars that are there need no Maven; one that was cut off is fetched again.
    fs::remove_file(machine.0.path().join("mvn")).unwrap();
    let (_, said) = machine.run("run", "true");
    assert!(said.contains("some.Class with words"), "{said}");
    fs::write(machine.target().join("kafka/4.2.1/libs").join(JARS[0]), "PK").unwrap();
    let (_, said) = machine.run("run", "");
    assert!(said.contains("error: mvn is missing"), "{said}");
}

#[test]
fn a_fetch_that_brings_too_little_leaves_nothing() {
    let runs = tempfile::tempdir().unwrap();
    let machine = Machine::with(&[JAVA, ("mvn", &maven(runs.path(), &JARS[1..]))]);
    let (_, said) = machine.run("run", "");
    assert!(
        said.contains("error: mvn cannot fetch Kafka 4.2.1 (kafka_2.13-4.2.1.jar is not among the 6 files)"),
        "{said}"
    );
    assert!(!machine.target().join("kafka/4.2.1/libs").exists());
}
