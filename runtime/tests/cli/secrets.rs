//! Secrets of a deployment: read at a start, handed to the handler, and in nothing that the host writes, whatever the handler does with
//! them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

use crate::host::until;
use crate::support::Folder;
use crate::web::{Then, Web, answer};

const CANARY: &str = "canary-7f3a91";
const LINES: [&str; 2] = ["first-line-of-a-canary", "second-line-of-it"];

const MANIFEST: &str = "[host]
cache-dir = \"cache\"
metrics = \"127.0.0.1:0\"
log = \"trace\"
[deployments.d]
component = \"reach.wasm\"
topic = \"t\"
attempts = 1
secrets = { KEY = { env = \"CANARY\" }, PEM = { file = \"key.pem\" } }
grants = { http = [{ url = \"http://SERVER\", methods = [\"POST\"] }] }
";

fn folder() -> Folder {
    with_server("127.0.0.1:9")
}

fn with_server(server: &str) -> Folder {
    let folder = Folder::with_guest("reach", &MANIFEST.replace("SERVER", server));
    let key = folder.file("key.pem", &format!("{}\n{}\n", LINES[0], LINES[1]));
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = folder.command(arguments);
    command.env("CANARY", CANARY).env("RUST_BACKTRACE", "1");
    command
}

struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        // Ended already in a test that went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Both streams of a command.
fn said(folder: &Folder, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().unwrap();
    let streams = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[track_caller]
fn silent(what: &str, text: &str) {
    for secret in [CANARY, LINES[0], LINES[1]] {
        // Nor as much of it as a cut may leave.
        let part = secret.get(..8).unwrap();
        assert!(!text.contains(part), "{what} has a secret, or a part of it: {text}");
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Gives back what it got, in an answer, in half of one, and in what is none; or ends the connection.
fn mirror() -> Web {
    Web::start(|asked, out| {
        let place = asked.path.split('/').nth(1).unwrap_or_default();
        let key = format!("x-key: {}", asked.header("x-key").unwrap_or_default());
        let body = format!("{} {key} {}", asked.path, String::from_utf8_lossy(&asked.body));
        // The client may have gone.
        drop(match place {
            "whole" => return answer(out, "200 OK", &[&key], &body),
            "half" => write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n{key}\r\n\r\n{body}"),
            "garbled" => write!(out, "{body}\r\n\r\n"),
            _ => Ok(()),
        });
        Then::Close
    })
}

const PLACES: [&str; 4] = ["whole", "half", "garbled", "ended"];

/// Everywhere where the host repeats what a handler says, does, or dies of.
#[test]
fn a_secret_is_found_nowhere() {
    let web = mirror();
    let server = format!("127.0.0.1:{}", web.port());
    let folder = with_server(&server);
    let commands = [
        "say",
        "say-cut",
        "say-and-trap",
        "say-and-exit",
        "say-and-release",
        "send",
        "keep",
    ];
    let mut values: Vec<String> = commands
        .iter()
        .flat_map(|command| ["KEY", "PEM"].map(|name| format!("{command} {name}")))
        .collect();
    for place in PLACES {
        values.extend(["KEY", "PEM"].map(|name| format!("send {name} {server}/{place}")));
    }
    let letters = values.iter().filter(|value| !value.starts_with("keep")).count();
    let arguments: Vec<&str> = ["produce", "t"]
        .into_iter()
        .chain(values.iter().map(String::as_str))
        .collect();
    silent("produce", &said(&folder, &arguments));

    let log = folder.path().join("log");
    let mut host = Host(
        command(&folder, &["run"])
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    let address = until("the metrics", || {
        let said = fs::read_to_string(&log).unwrap();
        let (_, rest) = said.split_once("metrics are served address=")?;
        Some(rest.split_once('\n')?.0.to_owned())
    });
    let listed = until("the dead letters", || {
        let listed = said(&folder, &["dead", "list", "--format", "json"]);
        (listed.matches("d.dead/0/").count() >= letters).then_some(listed)
    });
    silent("dead list", &listed);
    let mut metrics = String::new();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    stream.read_to_string(&mut metrics).unwrap();
    assert!(metrics.contains("said") && metrics.contains("***"), "{metrics}");
    silent("metrics", &metrics);
    for offset in 0..letters {
        let shown = said(&folder, &["dead", "show", &format!("d.dead/0/{offset}")]);
        let is_said = shown.contains("printed ***") && shown.contains("complained of ***");
        let is_sent = [
            "HttpRequestDenied",
            "x-key: ***",
            "HttpProtocolError",
            "ConnectionTerminated",
        ];
        assert!(is_said || is_sent.iter().any(|sent| shown.contains(sent)), "{shown}");
        silent("dead show", &shown);
        silent(
            "dead show",
            &said(
                &folder,
                &["dead", "show", &format!("d.dead/0/{offset}"), "--format", "json"],
            ),
        );
    }
    for arguments in [
        &["dead", "list"][..],
        &["topic", "read", "d.dead"],
        &["topic", "read", "d.dead", "--format", "json"],
        &["group", "describe", "d"],
        &["group", "records", "d"],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["config", "check"],
        &["module", "inspect", "-", "--deployment", "d"],
    ] {
        silent(&arguments.join(" "), &said(&folder, arguments));
    }
    let pid = rustix::process::Pid::from_child(&host.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(host.0.wait().unwrap().success());
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("printed ***") && log.contains("because of ***, ***"),
        "{log}"
    );
    silent("the log", &log);
    // They did go over the wire.
    let asked = web.asked();
    for place in PLACES {
        let mut there = asked
            .iter()
            .filter(|asked| asked.path.starts_with(&format!("/{place}/")));
        let is_sent = |asked: &crate::web::Asked| asked.header("authorization") == Some(CANARY);
        assert!(there.any(is_sent), "{place}: {asked:?}");
    }

    for value in &values {
        for format in ["table", "json"] {
            let told = said(
                &folder,
                &["invoke", "-", "--deployment", "d", "--value", value, "--format", format],
            );
            assert!(!value.starts_with("say") || told.contains("logged ***"), "{told}");
            silent(value, &told);
        }
    }
    // The handler did get them: a renewal has the length of one.
    let kept = said(&folder, &["invoke", "-", "--deployment", "d", "--value", "keep KEY"]);
    assert!(kept.contains(&format!("{} bytes", CANARY.len())), "{kept}");
    let written: Vec<_> = ["data", "cache"]
        .iter()
        .flat_map(|part| files(&folder.path().join(part)))
        .collect();
    assert!(written.len() > 3, "{written:?}");
    for path in written {
        silent(
            &path.display().to_string(),
            &String::from_utf8_lossy(&fs::read(&path).unwrap()),
        );
    }
}

#[test]
fn what_is_missing_is_named_at_the_start() {
    let folder = folder();
    insta::assert_snapshot!(folder.run(&["run", "--until-idle"]), @"
    exit 1
    --- stderr
    error: deployments.d.secrets.KEY is to be taken from the variable CANARY, which is not set, or is not text
    hint: set CANARY before this command
    ");
    let told = |value: &str, command: &[&str]| {
        let output = folder.command(command).env("CANARY", value).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).replace(&folder.path().display().to_string(), "[DIR]")
    };
    insta::assert_snapshot!(told("short", &["run"]), @"
    error: deployments.d.secrets.KEY has 5 bytes, below the 8 of a secret: shorter ones cannot be told from other text in a log
    hint: use a longer one, or `grants.config` if it is no secret
    ");
    let checked = told("short", &["config", "check"]);
    let same = "error: deployments.d.secrets.KEY has 5 bytes, below the 8 of a secret";
    assert!(checked.contains(same), "what run refuses, the check does: {checked}");
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    for command in [&["run", "--until-idle"][..], &["invoke", "-", "--deployment", "d"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(CANARY, command), @"
            error: deployments.d.secrets.PEM cannot be read from [DIR]/key.pem: No such file or directory (os error 2)
            hint: see that the file is there, and that the user of this process may read it
            ");
        }
    }
    assert!(!folder.path().join("data").exists(), "nothing is begun");
}

#[test]
fn a_secret_does_not_stand_in_the_manifest() {
    let folder = folder();
    let literal = MANIFEST.replace("{ env = \"CANARY\" }", "\"canary-7f3a91\"");
    folder.file("sharemill.toml", &literal);
    let shown = folder.run(&["config", "check"]);
    silent("config check", &shown);
    insta::assert_snapshot!(shown, @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.secrets.KEY is text, expected { file = "PATH" } or { env = "NAME" } (line 9)
    hint: write { file = "PATH" } or { env = "NAME" }
    note: topic t has its records handled by d and is not listed: it is created with 1 partition and retention "queue"
    hint: add [topics.t] to choose otherwise
    "#);
    let twice = MANIFEST.replace("grants = {", "grants = { config = { KEY = \"plain\" },");
    folder.file("sharemill.toml", &twice);
    insta::assert_snapshot!(folder.run(&["config", "check"]), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.secrets.KEY has a value in deployments.d.grants.config, too (line 9)
    hint: give it in one of the two places
    note: deployments.d.secrets.KEY takes the variable CANARY, which is not set here (line 9)
    hint: set CANARY before sharemill run
    note: topic t has its records handled by d and is not listed: it is created with 1 partition and retention "queue"
    hint: add [topics.t] to choose otherwise
    "#);
}
