//! A data directory between owners: while a host starts or ends, and while somebody else has it for a moment. A pipe in
//! the place of a file holds a host at a chosen step: reading it waits for a writer who never comes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use share_engine::config::EngineConfig;
use share_engine::engine::{Engine, block_on};
use sharemill::admin::{Admin as _, AdminClient, AdminSocket, EmbeddedAdmin, ErrorCode};
use sharemill::cli::RunPlan;
use sharemill::config::Source;
use sharemill::host::HostError;
use sharemill::shutdown::Stages;

use crate::support::Folder;

/// For what has to happen some time, however slow the machine.
const AMPLE: Duration = Duration::from_mins(1);

const MANIFEST: &str = "\
[host]
cache-dir = \"cache\"
[deployments.naps]
component = \"sleeper.wasm\"
topic = \"naps\"
grants = { emit = [\"woken\"] }
";

struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(folder: &Folder) -> Self {
        let mut child = folder.command(&["run"]).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    #[track_caller]
    fn hears(&mut self, part: &str) {
        let mut all = String::new();
        while !all.contains(part) {
            let read = self.stderr.read_line(&mut all).unwrap();
            assert_ne!(read, 0, "{part:?} was not said:\n{all}");
        }
    }

    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn end(mut self) -> (Option<i32>, String) {
        let status = until("the end of the host", || self.child.try_wait().unwrap());
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in a test that went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < AMPLE, "{what}: not within {AMPLE:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn with_sleeper() -> Folder {
    let folder = Folder::new();
    folder.file("sharemill.toml", MANIFEST);
    let guests = std::env::var_os("SHAREMILL_GUESTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/guests")),
        PathBuf::from,
    );
    fs::copy(guests.join("sleeper.wasm"), folder.path().join("sleeper.wasm")).unwrap();
    folder
}

#[test]
fn commands_are_answered_while_components_are_loaded_and_a_signal_then_ends_the_host_well() {
    let folder = with_sleeper();
    let first = folder.run(&["run", "--until-idle"]);
    assert!(first.starts_with("exit 0"), "{first}");
    // The next host waits here for a reader of its compile cache.
    let cached = fs::read_dir(folder.path().join("cache")).unwrap();
    let vouched = cached.map(|entry| entry.unwrap().path());
    let vouched = vouched.filter(|path| path.extension().is_some_and(|end| end == "sha256"));
    for path in vouched.collect::<Vec<_>>() {
        fs::remove_file(&path).unwrap();
        pipe(&path);
    }
    let host = Running::start(&folder);
    until("the admin socket", || {
        folder.path().join("data/admin.sock").exists().then_some(())
    });
    let listed = folder.run(&["topic", "list"]);
    assert!(listed.starts_with("exit 0") && listed.contains("naps"), "{listed}");
    let produced = folder.run(&["produce", "naps", "1"]);
    assert!(produced.starts_with("exit 0"), "{produced}");
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with(" INFO ended\n"), "{said}");
    let verified = folder.run(&["verify"]);
    assert!(verified.starts_with("exit 0"), "{verified}");
}

#[test]
fn signals_are_heard_during_recovery_and_the_third_ends_the_process() {
    let folder = with_sleeper();
    fs::create_dir(folder.path().join("data")).unwrap();
    pipe(&folder.path().join("data/format"));
    let mut host = Running::start(&folder);
    until("the lock", || folder.path().join("data/LOCK").exists().then_some(()));
    for stage in ["stage=Draining", "stage=Releasing"] {
        host.terminate();
        host.hears(stage);
    }
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ends at once"), "{said}");
}

/// The reason is in nobody's way: the exit code tells that there was one.
#[test]
fn a_host_that_fails_ends_although_nobody_reads_standard_error() {
    let folder = with_sleeper();
    folder.file("sleeper.wasm", "no component");
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4_096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let mut child = folder.command(&["run"]).stderr(writer).spawn().unwrap();
    let status = until("the end of the host", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    drop(reader);
}

#[test]
fn a_suspended_host_is_named_and_keeps_nobody_waiting() {
    let folder = with_sleeper();
    let mut host = Running::start(&folder);
    host.hears("running");
    host.signal(rustix::process::Signal::STOP);
    let (listed, second) = std::thread::scope(|scope| {
        let listing = scope.spawn(|| folder.run(&["topic", "list"]));
        (folder.run(&["run"]), listing.join().unwrap())
    });
    host.signal(rustix::process::Signal::CONT);
    let pid = host.child.id();
    let expected = format!(
        "error: the host (process {pid}) has the data directory and has not answered for 5 s\n\
         hint: it is suspended or stuck; ps -o stat= -p {pid} says T for a suspended one, and kill -CONT {pid} lets it go on\n"
    );
    for said in [&listed, &second] {
        assert!(said.starts_with("exit 1\n") && said.ends_with(&expected), "{said}");
    }
    let listed = folder.run(&["topic", "list"]);
    assert!(listed.starts_with("exit 0") && listed.contains("naps"), "{listed}");
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(0), "{said}");
}

/// Everything that is ready gets its turn, sockets too; then 100 ms pass.
async fn pass_a_little() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_outlasts_a_busy_host_but_not_one_that_falls_silent() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let listener = tokio::net::UnixListener::bind(data.join("admin.sock")).unwrap();
    // Says who it is three times, and answers nothing else: busy for more than ten seconds, then silent.
    let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let host = tokio::spawn(async move {
        let (mut kept, mut answers) = (Vec::new(), 3);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut line = String::new();
            let mut stream = tokio::io::BufReader::new(stream);
            if tokio::io::AsyncBufReadExt::read_line(&mut stream, &mut line)
                .await
                .unwrap()
                > 0
            {
                let path = line.split(' ').nth(1).unwrap().to_owned();
                if path == "/v1" && answers > 0 {
                    answers -= 1;
                    let about = serde_json::json!({"protocol": 1, "version": "0", "pid": 1});
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{about}",
                        about.to_string().len()
                    );
                    tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
                        .await
                        .unwrap();
                }
                asked.send(path).unwrap();
            }
            kept.push(stream);
        }
    });
    // While a thread is at work the paused clock does not go on by itself, ahead of what is on its way through a socket.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocking = tokio::task::spawn_blocking(move || held.recv());
    let client = AdminClient::connect(&data).await.unwrap().unwrap();
    let topics = client.topics();
    tokio::pin!(topics);
    let error = loop {
        tokio::select! {
            biased;
            ended = &mut topics => break ended.unwrap_err(),
            () = pass_a_little() => {}
        }
    };
    drop(release);
    assert!(blocking.await.unwrap().is_err());
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("has not answered for 5 s"), "{error}");
    host.abort();
    let mut paths = Vec::new();
    while let Ok(path) = heard.try_recv() {
        paths.push(path);
    }
    assert_eq!(paths, ["/v1", "/v1/topics", "/v1", "/v1", "/v1", "/v1"]);
}

#[tokio::test]
async fn what_a_host_held_that_was_given_up_is_suspected_of_nothing() {
    let folder = with_sleeper();
    let loaded = sharemill::config::load(&folder.path().join("sharemill.toml")).unwrap();
    let Some(Source::Embedded(source)) = loaded.manifest.sources.values().next().cloned() else {
        panic!("{:?}", loaded.manifest.sources);
    };
    let data = source.data_dir.clone();
    let plan = RunPlan {
        manifest: loaded.manifest,
        source,
        given: [].into(),
        until_idle: false,
    };
    let stages = Arc::new(Stages::default());
    let driven = stages.clone();
    let host = tokio::spawn(async move { sharemill::host::run(plan, &driven).await });
    let client = loop {
        // A client that finds nobody asks again.
        match AdminClient::connect(&data).await {
            Ok(Some(client)) => break client,
            _ => tokio::task::yield_now().await,
        }
    };
    let held = async || {
        let described = client.group("naps").await.map(|group| group.share_partitions);
        described.is_ok_and(|partitions| partitions.iter().any(|partition| partition.acquired == Some(1)))
    };
    let produced = tokio::task::spawn_blocking({
        let mut command = folder.command(&["produce", "naps", "60000"]);
        move || command.status().unwrap()
    });
    assert!(produced.await.unwrap().success());
    while !held().await {
        tokio::task::yield_now().await;
    }
    stages.drain();
    stages.give_up();
    let ended = tokio::time::timeout(AMPLE, host).await.unwrap().unwrap();
    assert!(matches!(ended, Err(HostError::GivenUp)), "{ended:?}");
    let records = folder.run(&["records", "naps", "--format", "json"]);
    let json = records.split_once("--- stdout\n").unwrap().1;
    let records: serde_json::Value = serde_json::from_str(json).unwrap();
    let record = &records["records"][0];
    assert_eq!(
        (&record["state"], &record["strikes"], &record["delivery_count"]),
        (&"available".into(), &0.into(), &1.into()),
        "{records}"
    );
}

#[test]
fn a_command_waits_for_a_directory_that_is_let_go() {
    let folder = with_sleeper();
    let (engine, _) = Engine::open(folder.path().join("data"), EngineConfig::default()).unwrap();
    let mut child = folder.command(&["topic", "list"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut note = String::new();
    stderr.read_line(&mut note).unwrap();
    assert!(
        note.contains("waiting for up to 10 s") && note.contains("in use by"),
        "{note}"
    );
    block_on(engine.close()).unwrap();
    drop(engine);
    let status = until("the end of the command", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_place_of_a_socket_in_a_copied_directory_leads_nowhere() {
    let folder = Folder::new();
    let (original, copy) = (folder.path().join("original"), folder.path().join("copy"));
    let (engine, _) = Engine::open(&original, EngineConfig::default()).unwrap();
    let socket = AdminSocket::bind(&original).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("admin.path"), socket.path().as_os_str().as_encoded_bytes()).unwrap();
    let admin = Arc::new(EmbeddedAdmin::of_host(engine.clone(), &original));
    let serving = tokio::spawn(socket.serve(admin, std::future::pending()));
    assert!(AdminClient::connect(&original).await.unwrap().is_some());
    assert!(AdminClient::connect(&copy).await.unwrap().is_none());
    serving.abort();
    engine.close().await.unwrap();
}

/// Nobody rejected it, and no attempt was seen to fail.
#[test]
fn a_record_that_hosts_died_with_is_told() {
    let folder = with_sleeper();
    let produced = folder.run(&["produce", "naps", "60000"]);
    assert!(produced.starts_with("exit 0"), "{produced}");
    for _ in 0..2 {
        let mut host = Running::start(&folder);
        host.hears("running");
        let name = format!(" {}-naps ", host.child.id());
        until("the record is held", || {
            let held = folder.run(&["records", "naps", "--state", "acquired"]);
            held.contains(&name).then_some(())
        });
        host.child.kill().unwrap();
        host.child.wait().unwrap();
    }
    let mut host = Running::start(&folder);
    host.hears("became dead letters: sharemill dead list --cause host-crash count=1");
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(0), "{said}");
    let listed = folder.run(&["dead", "list", "--cause", "host-crash"]);
    assert!(listed.contains("naps.dead/0/0"), "{listed}");
}

#[test]
fn a_running_deployment_has_one_name_and_keeps_its_topic() {
    let folder = with_sleeper();
    let mut host = Running::start(&folder);
    host.hears("running");
    let produced = folder.run(&["produce", "naps", "60000"]);
    assert!(produced.starts_with("exit 0"), "{produced}");
    let name = format!("{}-naps", host.child.id());
    until("the record is held", || {
        let held = folder.run(&["records", "naps", "--state", "acquired"]);
        held.contains(&format!(" {name} ")).then_some(())
    });
    let described = folder.run(&["group", "describe", "naps"]);
    assert!(described.contains(&format!("\n{name} ")), "{described}");
    insta::assert_snapshot!(folder.run(&["topic", "delete", "naps", "--force"]), @"
    exit 1
    --- stderr
    error: deployment naps works on topic naps
    hint: stop the host first, and take the deployment out of its manifest or let it make the topic again
    ");
    insta::assert_snapshot!(folder.run(&["group", "delete", "naps", "--force"]), @"
    exit 1
    --- stderr
    error: deployment naps works for group naps
    hint: stop the host first; as long as its manifest has the deployment, it makes the group again
    ");
    host.terminate();
    // Two at once may be heard as one.
    host.hears("stage=Draining");
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(0), "{said}");
    let deleted = folder.run(&["topic", "delete", "naps", "--force"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
}

/// They went with `--force`, and the next record ended in an unknown topic.
#[test]
fn topics_that_a_running_deployment_writes_to_stay() {
    let folder = with_sleeper();
    let mut host = Running::start(&folder);
    host.hears("running");
    insta::assert_snapshot!(folder.run(&["topic", "delete", "woken", "--force"]), @"
    exit 1
    --- stderr
    error: deployment naps emits to topic woken
    hint: stop the host first, and take the topic out of grants.emit of the deployment
    ");
    insta::assert_snapshot!(folder.run(&["topic", "delete", "naps.dead"]), @"
    exit 1
    --- stderr
    error: deployment naps leaves its dead letters in topic naps.dead
    hint: stop the host first, and delete the group of the deployment or give it another dead-letter
    ");
    host.terminate();
    let (code, said) = host.end();
    assert_eq!(code, Some(0), "{said}");
    // What would be refused with --force is not offered with it.
    insta::assert_snapshot!(folder.run(&["topic", "delete", "naps.dead"]), @r#"
    exit 1
    --- stderr
    error: topic "naps.dead" takes the dead letters of group "naps"
    hint: delete the group first, or give it another dead-letter topic
    "#);
    let deleted = folder.run(&["topic", "delete", "woken", "--force"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
}

#[test]
fn a_group_with_a_backlog_goes_only_by_force_and_says_what_is_lost() {
    let folder = with_sleeper();
    let produce = |values: &str| {
        let file = folder.file("values.txt", values);
        let produced = folder.run(&["produce", "naps", "--file", file.to_str().unwrap()]);
        assert!(produced.starts_with("exit 0"), "{produced}");
    };
    produce("1\n2\n");
    let ran = folder.run(&["run", "--until-idle"]);
    assert!(ran.starts_with("exit 0"), "{ran}");
    produce("3\n4\n5\n");
    insta::assert_snapshot!(folder.run(&["group", "delete", "naps"]), @r#"
    exit 1
    --- stderr
    error: group "naps" has 3 unsettled record(s): 3 not delivered yet
    hint: --force deletes it; its records stay in their topics for other groups
    "#);
    insta::assert_snapshot!(folder.run(&["group", "delete", "naps", "--force"]), @"
    exit 0
    --- stdout
    deleted group naps with 1 share partition, 3 records unsettled
    ");
    let left = folder.run(&["topic", "read", "naps"]);
    let offsets = left.lines().filter_map(|line| line.split_whitespace().nth(1));
    let offsets: Vec<&str> = offsets.filter(|word| word.parse::<u64>().is_ok()).skip(1).collect();
    assert_eq!(offsets, ["2", "3", "4"], "{left}");
}

/// It went on, and said that records were stored.
#[test]
fn a_host_whose_data_directory_is_taken_away_ends() {
    let folder = with_sleeper();
    let data = folder.path().join("data");
    let mut host = Running::start(&folder);
    host.hears("running");
    let socket = data.join("admin.sock");
    fs::remove_dir_all(&data).unwrap();
    // Another host's.
    fs::create_dir(&data).unwrap();
    fs::write(&socket, "").unwrap();
    let (code, said) = host.end();
    assert_eq!(code, Some(1), "{said}");
    let data = data.display();
    let expected = format!("error: data directory {data} was removed, moved or mounted over while it was in use");
    assert!(
        said.contains(&expected) && said.contains("\nhint: bring it back, "),
        "{said}"
    );
    assert!(!said.contains("INFO ended"), "{said}");
    assert!(socket.exists(), "it is not this host's");
}
