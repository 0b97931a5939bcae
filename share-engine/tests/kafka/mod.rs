//! Kafka's own classes, fetched by Maven once for all tests of this workspace into `target/kafka/<version>`.
#![allow(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "4.2.1";

/// Runs one of Kafka's command-line classes, or a program in one source file, and returns what it printed, on standard
/// output and then on standard error; fails the test if it fails.
pub(crate) fn run(class: &str, arguments: &[&str]) -> String {
    let class_path = libraries().join("*");
    let output = Command::new("java")
        .arg("-cp")
        .arg(class_path)
        .args(["-Xshare:auto", "-XX:TieredStopAtLevel=1", class])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot run java, which this test needs (JDK 17 or newer): {error}"));
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success(),
        "{class} {arguments:?} failed with {}:\n{printed}",
        output.status
    );
    printed
}

/// The directory that holds the jars. The first caller fetches them, others wait for its lock.
fn libraries() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp has a parent");
    let home = target.join("kafka").join(VERSION);
    let libraries = home.join("libs");
    fs::create_dir_all(&home).expect("target/ is writable");
    let lock = fs::File::create(home.join("lock")).expect("target/ is writable");
    lock.lock().expect("the file system has locks");
    if !libraries.is_dir() {
        let partial = home.join("libs.partial");
        fs::write(home.join("pom.xml"), pom()).expect("target/ is writable");
        let output = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(home.join("pom.xml"))
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", partial.display()))
            .output()
            .unwrap_or_else(|error| panic!("cannot run mvn, which this test needs to fetch Kafka {VERSION}: {error}"));
        assert!(
            output.status.success(),
            "mvn cannot fetch Kafka {VERSION}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        );
        fs::rename(&partial, &libraries).expect("target/ is writable");
    }
    libraries
}

/// The broker brings the class that reads segments; its own pom names no logging back end.
fn pom() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    let dependencies = [
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.kafka", "kafka-tools", VERSION),
        dependency("org.apache.logging.log4j", "log4j-api", "2.25.3"),
        dependency("org.apache.logging.log4j", "log4j-core", "2.25.3"),
        dependency("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3"),
    ];
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}</dependencies></project>",
        dependencies.concat()
    )
}
