//! The Java runtime and Maven: whether they are there, and Kafka's command-line classes run by them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::error::Error;
use crate::version::Version;
use crate::{archive, jars};

/// What a command-line class printed before it ended well.
#[derive(Clone, Debug)]
pub struct Printed {
    /// On standard output.
    pub stdout: String,
    /// On standard error.
    pub stderr: String,
}

/// Runs one of Kafka's command-line classes, or a program in one source file, to its end. It costs 1 to 2 s of a processor.
///
/// # Errors
/// If it does not end with 0, or cannot be started, or fetched.
pub fn run(version: Version, class: &str, arguments: &[&str]) -> Result<Printed, Error> {
    let mut command = command(version.of_tools(), &["-Xmx256m"], true)?;
    command.arg(class).args(arguments).stdin(Stdio::null());
    finish(&mut command, &format!("{class} {}", arguments.join(" ")))
}

/// The same as its users run it, with the optimising compiler and the collector that Java chooses: for measurements.
///
/// # Errors
/// As [`run`].
pub fn run_optimised(version: Version, class: &str, arguments: &[&str]) -> Result<Printed, Error> {
    let mut command = command(version.of_tools(), &["-Xmx512m"], false)?;
    command.arg(class).args(arguments).stdin(Stdio::null());
    finish(&mut command, &format!("{class} {}", arguments.join(" ")))
}

/// Runs a command whose end has to be good.
pub(crate) fn finish(command: &mut Command, tool: &str) -> Result<Printed, Error> {
    let output = command.output().map_err(|source| Error::Start {
        program: tool.to_owned(),
        source,
    })?;
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() {
        return Ok(Printed { stdout, stderr });
    }
    Err(Error::Tool {
        tool: tool.to_owned(),
        status: status.to_string(),
        said: format!("{stdout}{stderr}"),
    })
}

/// `java` with the jars of a version and these options; what follows is the class. Short-lived programs, and brokers that
/// nobody measures, are at their end before the optimising compiler would pay.
pub(crate) fn command(version: Version, options: &[&str], quick: bool) -> Result<Command, Error> {
    let java = find()?;
    let mut class_path = OsString::from(jars::libraries(version)?);
    class_path.push("/*");
    let mut command = Command::new(&java.program);
    // Neither the user's class path nor options that print a line of their own.
    command.env("CLASSPATH", class_path).env_remove("JAVA_TOOL_OPTIONS");
    // What Java has to say of its archive is not the program's.
    command.args(["-Xshare:auto", "-Xlog:disable"]);
    if let Some(archive) = archive::of(version, java) {
        command.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
    }
    if quick {
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    }
    command.args(options);
    Ok(command)
}

/// A Java runtime that is new enough.
#[derive(Debug)]
pub(crate) struct Java {
    /// Of `JAVA_HOME`, or of the path.
    program: PathBuf,
    /// What it says of itself.
    pub(crate) said: String,
}

/// The Java that is used. It is asked once in a process.
///
/// # Errors
/// If there is none, or an old one.
pub(crate) fn find() -> Result<&'static Java, Error> {
    static FOUND: OnceLock<Java> = OnceLock::new();
    if let Some(java) = FOUND.get() {
        return Ok(java);
    }
    let program = in_home("java");
    let Ok(output) = Command::new(&program).arg("-version").output() else {
        return Err(Error::Missing {
            program: "java",
            install: JAVA,
        });
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = said.split('"').nth(1).unwrap_or("unknown").to_owned();
    let major = found.split(['.', '-', '+']).next();
    let major = major.and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= JAVA_MIN) {
        return Ok(FOUND.get_or_init(|| Java { program, said }));
    }
    Err(Error::OldJava { found, install: JAVA })
}

/// A program of the JDK.
pub(crate) fn in_home(program: &str) -> PathBuf {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    home.map_or_else(
        || PathBuf::from(program),
        |home| Path::new(&home).join("bin").join(program),
    )
}

/// `mvn`, if it starts.
pub(crate) fn maven() -> Result<Command, Error> {
    let started = Command::new("mvn").arg("--version").stdin(Stdio::null()).output();
    if started.is_ok_and(|output| output.status.success()) {
        let mut command = Command::new("mvn");
        command.stdin(Stdio::null());
        return Ok(command);
    }
    Err(Error::Missing {
        program: "mvn",
        install: "Apache Maven (Debian: maven), which fetches Kafka",
    })
}

const JAVA_MIN: u32 = 17;
const JAVA: &str = "a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)";
