//! Kafka's jars in `target/kafka/<version>/libs`, fetched by Maven once for all that needs them. Whoever comes first fetches,
//! the others wait for its lock. The folder gets its name when it is complete, and a list beside it tells the size of every
//! file: what is cut off or gone later is fetched again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::error::{Error, of_file};
use crate::java;
use crate::version::Version;

/// The folder with the jars of a version.
pub(crate) fn libraries(version: Version) -> Result<PathBuf, Error> {
    let home = home(version);
    fs::create_dir_all(&home).map_err(of_file(&home))?;
    let lock_path = home.join("lock");
    let lock = fs::File::create(&lock_path).map_err(of_file(&lock_path))?;
    lock.lock().map_err(of_file(&lock_path))?;
    let libraries = home.join("libs");
    if !is_complete(&home, version) {
        fetch(&home, version)?;
    }
    Ok(libraries)
}

/// Whether nothing has to be fetched.
pub(crate) fn are_there(version: Version) -> bool {
    is_complete(&home(version), version)
}

/// Everything of a version.
pub(crate) fn home(version: Version) -> PathBuf {
    target().join("kafka").join(version.name())
}

fn fetch(home: &Path, version: Version) -> Result<(), Error> {
    let (libraries, partial) = (home.join("libs"), home.join("libs.partial"));
    for left in [&libraries, &partial] {
        if left.exists() {
            fs::remove_dir_all(left).map_err(of_file(left))?;
        }
    }
    let pom_path = home.join("pom.xml");
    fs::write(&pom_path, pom(version)).map_err(of_file(&pom_path))?;
    let mut command = java::maven()?;
    // A file whose checksum is not the published one is refused.
    command.args(["--quiet", "--batch-mode", "--strict-checksums", "--file"]);
    command.arg(&pom_path).arg("dependency:copy-dependencies");
    command.arg(format!("-DoutputDirectory={}", partial.display()));
    let output = command.output().map_err(|source| Error::Start {
        program: "mvn".to_owned(),
        source,
    })?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let failed = |what: String| Error::Fetch { version, what, said };
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let sizes = match sizes(&partial) {
        Ok(sizes) => sizes,
        Err(what) => return Err(failed(what)),
    };
    if let Some(absent) = wanted(version).find(|name| !sizes.contains_key(name)) {
        return Err(failed(format!("{absent} is not among the {} files", sizes.len())));
    }
    let lines: Vec<String> = sizes.iter().map(|(name, size)| format!("{size} {name}\n")).collect();
    let list = home.join("list");
    fs::write(&list, lines.concat()).map_err(of_file(&list))?;
    archive::forget(home)?;
    fs::rename(&partial, &libraries).map_err(of_file(&libraries))
}

/// Whether all that was fetched is still there, none of it shorter or longer.
fn is_complete(home: &Path, version: Version) -> bool {
    let Ok(list) = fs::read_to_string(home.join("list")) else {
        return false;
    };
    let listed: Option<BTreeMap<String, u64>> = list
        .lines()
        .map(|line| {
            let (size, name) = line.split_once(' ')?;
            Some((name.to_owned(), size.parse().ok()?))
        })
        .collect();
    let Some(listed) = listed else {
        return false;
    };
    let same = |(name, size): (&String, &u64)| {
        let found = fs::metadata(home.join("libs").join(name));
        found.is_ok_and(|found| found.len() == *size)
    };
    wanted(version).all(|name| listed.contains_key(&name)) && listed.iter().all(same)
}

/// Of all files, which have to be jars.
fn sizes(folder: &Path) -> Result<BTreeMap<String, u64>, String> {
    let readable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut sizes = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(readable)? {
        let entry = entry.map_err(readable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut magic = [0; 4];
        let mut file = fs::File::open(entry.path()).map_err(readable)?;
        if file.read_exact(&mut magic).is_err() || magic != *b"PK\x03\x04" {
            return Err(format!("{name} is no jar"));
        }
        sizes.insert(name, entry.metadata().map_err(readable)?.len());
    }
    Ok(sizes)
}

/// Without these nothing starts.
fn wanted(version: Version) -> impl Iterator<Item = String> {
    let of_kafka = artifacts(version)
        .into_iter()
        .map(move |(_, artifact, own)| format!("{artifact}-{own}.jar"));
    of_kafka.chain([
        format!("kafka-clients-{version}.jar"),
        format!("kafka-server-{version}.jar"),
    ])
}

/// What is asked for by name. The broker's own pom names no logging back end; its slf4j is a 1.x.
fn artifacts(version: Version) -> Vec<(&'static str, &'static str, &'static str)> {
    let log4j = "org.apache.logging.log4j";
    let mut artifacts = vec![("org.apache.kafka", "kafka_2.13", version.name())];
    if !version.has_old_logging() {
        artifacts.extend(["log4j-api", "log4j-core", "log4j-slf4j-impl"].map(|name| (log4j, name, LOG4J)));
    }
    if version.of_tools() == version {
        artifacts.push(("org.apache.kafka", "kafka-tools", version.name()));
    }
    artifacts
}

const LOG4J: &str = "2.25.3";

fn pom(version: Version) -> String {
    let dependency = |(group, artifact, version): (&str, &str, &str)| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    let dependencies: String = artifacts(version).into_iter().map(dependency).collect();
    // Of 4.4.0 the interface for tools was not published.
    let pinned = dependency(("org.apache.kafka", "kafka-tools-api", version.of_tools().name()));
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencyManagement><dependencies>{pinned}</dependencies></dependencyManagement>\
         <dependencies>{dependencies}</dependencies></project>\n"
    )
}

/// Where cargo builds, as everybody else finds it.
fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2).unwrap_or(own);
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn jars_that_are_cut_off_or_gone_are_not_complete() {
        let home = tempfile::tempdir().unwrap();
        let libraries = home.path().join("libs");
        fs::create_dir(&libraries).unwrap();
        let version = Version::default();
        let mut list = Vec::new();
        for name in wanted(version) {
            fs::write(libraries.join(&name), b"PK\x03\x04 and more").unwrap();
            list.push(format!("13 {name}\n"));
        }
        assert!(!is_complete(home.path(), version), "there is no list");
        fs::write(home.path().join("list"), list.concat()).unwrap();
        assert!(is_complete(home.path(), version));
        assert_eq!(sizes(&libraries).unwrap().len(), wanted(version).count());

        let one = libraries.join(wanted(version).next().unwrap());
        fs::write(&one, b"PK\x03\x04").unwrap();
        assert!(!is_complete(home.path(), version), "one is short");
        fs::remove_file(&one).unwrap();
        assert!(!is_complete(home.path(), version), "one is gone");
        fs::write(&one, b"<html>").unwrap();
        assert!(sizes(&libraries).unwrap_err().ends_with("is no jar"));
        fs::write(home.path().join("list"), list[1..].concat()).unwrap();
        assert!(!is_complete(home.path(), version), "one is not listed");
    }
}
