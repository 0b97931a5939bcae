//! One's own handler, as a user has it: a project made by `sharemill new`, tested and built for real, its records, its first run, and a
//! dead letter that a changed build takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
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
            .env("API_KEY", API_KEY)
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

const API_KEY: &str = "a key of nobody";

/// The program and the manifest that the SDK's page has, as they stand there.
#[test]
fn the_page_shows_how_to_call_out() {
    let page = fs::read_to_string(guests::root().join("guest-sdk/rust/README.md")).unwrap();
    let (_, part) = page.split_once("\n## Calling out\n").unwrap();
    let block = |language: &str| {
        let (_, rest) = part.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```\n").unwrap().0.to_owned()
    };
    let project = Project::new("my-handler");
    project.cargo(&["add", "--quiet", "wstd@=0.6.8"]);
    project.file("src/lib.rs", |_| block("rust"));
    project.build("my_handler", &["--quiet"]);
    let server = server();
    project.file("sharemill.toml", |_| {
        block("toml").replace("https://api.example.com", &format!("http://{server}"))
    });
    let came = |value: &str| {
        // Too much for an argument.
        let record = project
            .folder
            .file("record.json", format!("{{\"value\": \"{value}\"}}"));
        let record = record.to_str().unwrap();
        let told = project.run(&["invoke", "-", "--deployment", "my-handler", "--record", record]);
        told.success()
    };
    for (value, outcome) in [
        ("200", "accept"),
        ("404", "reject: the server said 404 "),
        ("429", "release: the server said 429 "),
        ("503", "release: the server said 503 "),
        ("500", "release: the server said 500 "),
        ("nothing", "release: "),
        // Refused before it was read.
        (&"x".repeat(TOO_LARGE), "reject: the server said 413 "),
    ] {
        let told = came(value);
        let value = value.get(..value.len().min(10)).unwrap();
        assert!(told.contains(&format!("outcome   {outcome}")), "{value}: {told}");
        assert!(!told.contains(API_KEY), "{value}: {told}");
    }
    project.file("sharemill.toml", |text| text.replace("\"POST\"", "\"PUT\""));
    let told = came("200");
    assert!(
        told.contains("outcome   release: ") && told.contains("HttpRequestDenied"),
        "{told}"
    );
    assert!(told.contains("is not granted for http://"), "{told}");
}

/// Says the status that a request's body asks for, to whoever has the key; its address.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Whoever does not get what was expected fails.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut is_known) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => is_known += usize::from(value == format!("Bearer {API_KEY}")),
            "idempotency-key" => is_known += usize::from(value.starts_with("test:my-handler:invoke:")),
            _ => {}
        }
    }
    let status = if is_known < 2 {
        "401".to_owned()
    } else if length >= TOO_LARGE {
        "413".to_owned()
    } else {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        String::from_utf8_lossy(&body).into_owned()
    };
    if status.len() == 3 {
        write!(stream, "HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n")?;
    }
    stream.shutdown(Shutdown::Write)?;
    std::io::copy(&mut reader, &mut std::io::sink()).map(drop)
}

const TOO_LARGE: usize = 3_000_000;

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
