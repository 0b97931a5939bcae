//! The admin interface over a real socket: the client gives the answers that the engine gave, word for word.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use sharemill::admin::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::fake::{FakeAdmin, FakeHost};

async fn client(data_dir: &Path) -> AdminClient {
    AdminClient::connect(data_dir).await.unwrap().expect("a host listens")
}

#[tokio::test]
async fn answers_cross_the_socket_unchanged() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    let (near, far) = (FakeAdmin, client(dir.path()).await);
    macro_rules! same {
        ($($call:tt)*) => { assert_eq!(far.$($call)*.await, near.$($call)*.await) };
    }
    same!(about());
    same!(topics());
    same!(topic("orders"));
    same!(topic("a b/../\u{e9}%"));
    same!(create_topic(CreateTopic {
        name: "new".to_owned(),
        partitions: 3,
        ..CreateTopic::default()
    }));
    same!(create_topic(CreateTopic {
        name: "orders".to_owned(),
        partitions: 1,
        ..CreateTopic::default()
    }));
    same!(delete_topic("orders", DeleteTopic { force: true }));
    same!(delete_topic("orders", DeleteTopic { force: false }));
    same!(groups());
    same!(group("enrich"));
    same!(group("nobody"));
    for (to, force) in [("earliest", false), ("by-duration:1h30m", true), ("offset:4", true)] {
        let reset = || ResetGroup {
            to: to.parse().unwrap(),
            topic: None,
            partition: Some(3),
            force,
        };
        same!(reset_group("enrich", reset()));
    }
    same!(delete_group("enrich", DeleteGroup { force: true }));
    same!(delete_group("enrich", DeleteGroup { force: false }));
    same!(delete_group("nobody", DeleteGroup { force: true }));
    let query = || RecordsQuery {
        topic: Some("orders".to_owned()),
        partition: Some(0),
        states: vec![RecordState::Parked, RecordState::Acquired],
        from: Some(2),
        limit: 1,
    };
    same!(records("enrich", query()));
    same!(records(
        "enrich",
        RecordsQuery {
            limit: 100,
            ..RecordsQuery::default()
        }
    ));
    same!(records(
        "nobody",
        RecordsQuery {
            limit: 100,
            ..RecordsQuery::default()
        }
    ));
    for cause in [None, Some("reject"), Some("out-of-memory")] {
        let query = || DeadQuery {
            filter: DeadFilter {
                cause: cause.map(|cause| cause.parse().unwrap()),
                ..DeadFilter::default()
            },
            limit: 5,
        };
        same!(dead_letters(query()));
    }
    same!(dead_letter("orders.dead/0/0".parse().unwrap()));
    same!(dead_letter("orders.dead/0/1".parse().unwrap()));
    same!(original("orders.dead/0/0".parse().unwrap()));
    same!(original("orders.dead/0/1".parse().unwrap()));
    let ids = || RedriveRequest::Ids(vec!["orders.dead/0/0".parse().unwrap(), "x/1/2".parse().unwrap()]);
    same!(redrive(ids()));
    same!(redrive(RedriveRequest::All(DeadFilter::default())));
}

async fn produced(admin: &dyn Admin, topic: &str, values: Vec<String>) -> (Result<(), AdminError>, Vec<ProduceResult>) {
    let (records, record_receiver) = mpsc::channel(PRODUCE_BUFFER);
    let (result_sender, mut results) = mpsc::channel(PRODUCE_BUFFER);
    let send = async {
        for value in values {
            if records
                .send(Record {
                    value: Some(value.into()),
                    ..Record::default()
                })
                .await
                .is_err()
            {
                break;
            }
        }
        drop(records);
    };
    let collect = async {
        let mut all = Vec::new();
        while let Some(result) = results.recv().await {
            all.push(result);
        }
        all
    };
    let (end, (), all) = tokio::join!(
        admin.produce(topic, Duration::ZERO, record_receiver, result_sender),
        send,
        collect
    );
    (end, all)
}

#[tokio::test]
async fn a_long_produce_stream_has_one_result_a_record_in_order() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    let client = client(dir.path()).await;
    let values = |count: usize| {
        (0..count).map(|n| {
            if n % 1_000 == 7 {
                "full".to_owned()
            } else {
                format!("v{n}")
            }
        })
    };
    let (end, results) = produced(&client, "orders", values(20_000).collect()).await;
    assert_eq!(end, Ok(()));
    assert_eq!(results.len(), 20_000);
    assert!(results.iter().zip(0..).all(|(result, index)| result.index == index));
    let refused = results
        .iter()
        .filter(|result| matches!(result.outcome, ProduceOutcome::Refused { .. }))
        .count();
    assert_eq!(refused, 20);
    assert_eq!(
        (end, results),
        produced(&FakeAdmin, "orders", values(20_000).collect()).await
    );
}

#[tokio::test]
async fn large_records_pass_and_an_empty_stream_ends() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    let client = client(dir.path()).await;
    // Every byte is escaped as six: the longest line that a record can make.
    let (end, results) = produced(&client, "orders", vec!["\u{1}".repeat(1 << 20); 3]).await;
    assert_eq!((end, results.len()), (Ok(()), 3));
    let (end, results) = produced(&client, "orders", vec![]).await;
    assert_eq!((end, results.len()), (Ok(()), 0));
}

#[tokio::test]
async fn a_produce_stream_that_fails_gives_what_was_stored_and_the_reason() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    let client = client(dir.path()).await;
    let (end, results) = produced(&client, "nowhere", vec!["a".to_owned()]).await;
    assert_eq!(
        (end.unwrap_err().message.as_str(), results.len()),
        ("there is no topic nowhere", 0)
    );
    let values = ["a", "b", "broken", "c"].map(str::to_owned).to_vec();
    let (end, results) = produced(&client, "orders", values).await;
    assert_eq!(
        (end.unwrap_err().message.as_str(), results.len()),
        ("the disk failed", 2)
    );
}

#[tokio::test]
async fn the_socket_is_closed_to_others_and_goes_with_the_host() {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("admin.sock");
    {
        let _host = FakeHost::start(dir.path());
        assert_eq!(socket_path(dir.path()), socket);
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!socket.exists());
    assert!(AdminClient::connect(dir.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_socket_left_by_a_dead_process_is_nobody_and_is_replaced() {
    let dir = TempDir::new().unwrap();
    drop(UnixListener::bind(dir.path().join("admin.sock")).unwrap());
    assert!(dir.path().join("admin.sock").exists());
    assert!(AdminClient::connect(dir.path()).await.unwrap().is_none());
    let _host = FakeHost::start(dir.path());
    client(dir.path()).await.topics().await.unwrap();
}

#[tokio::test]
async fn a_long_path_has_its_socket_elsewhere() {
    let dir = TempDir::new().unwrap();
    let data_dir = dir.path().join("d".repeat(120));
    // Where no socket can be, nobody listens.
    assert!(AdminClient::connect(&data_dir).await.unwrap().is_none());
    let elsewhere;
    {
        let _host = FakeHost::start(&data_dir);
        elsewhere = socket_path(&data_dir);
        assert!(!elsewhere.starts_with(dir.path()), "{}", elsewhere.display());
        assert!(elsewhere.as_os_str().len() <= 100);
        let folder = elsewhere.parent().unwrap().metadata().unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        client(&data_dir).await.topics().await.unwrap();
    }
    assert!(!elsewhere.exists());
    assert!(!data_dir.join("admin.path").exists());
    assert!(AdminClient::connect(&data_dir).await.unwrap().is_none());
}

/// Answers every request with this text and closes.
async fn answer_with(listener: UnixListener, response: String) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        // The first connection only asks whether anybody listens.
        if stream.read(&mut request).await.unwrap() > 0 {
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    }
}

fn http(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn connected_to(response: String) -> AdminError {
    let dir = TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join("admin.sock")).unwrap();
    tokio::select! {
        connected = AdminClient::connect(dir.path()) => connected.unwrap_err(),
        () = answer_with(listener, response) => unreachable!(),
    }
}

#[tokio::test]
async fn another_protocol_is_named() {
    let error = connected_to(http(r#"{"protocol":7,"version":"9.1.0","pid":4,"more":true}"#)).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(error.code, ErrorCode::Protocol);
    assert_eq!(
        error.message,
        format!(
            "the host (process 4, version 9.1.0) speaks admin protocol 7, this command (version {version}) speaks 1"
        )
    );
    assert_eq!(
        error.hint.unwrap(),
        "use the sharemill command of version 9.1.0, or restart the host with this one"
    );
}

#[tokio::test]
async fn a_stranger_behind_the_socket_is_told() {
    let error = connected_to(http("hello")).await;
    insta::assert_snapshot!(error, @"the host's answer is not understood: expected value at line 1 column 1");
    let error = connected_to("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    insta::assert_snapshot!(error, @"the host answered 500 Internal Server Error without a reason");
    let error = connected_to("SSH-2.0-OpenSSH\r\n".to_owned()).await;
    insta::assert_snapshot!(error, @"the connection to the host broke: invalid HTTP version parsed");
}

/// Sends one request as text and returns status line and body.
async fn raw(data_dir: &Path, head: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(data_dir.join("admin.sock")).await.unwrap();
    let length = body.len();
    let request = format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", head.lines().next().unwrap())
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_in_json() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    insta::assert_snapshot!(raw(dir.path(), "GET /", "").await, @r#"HTTP/1.1 404 Not Found {"code":"not-found","message":"there is no such path in protocol version 1"}"#);
    insta::assert_snapshot!(raw(dir.path(), "PUT /v1/topics", "").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"the path does not take this method"}"#);
    insta::assert_snapshot!(raw(dir.path(), "POST /v1/topics", "{").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"the request is not understood: EOF while parsing an object at line 1 column 1"}"#);
    insta::assert_snapshot!(raw(dir.path(), "POST /v1/topics", r#"{"name":"a","partitions":1,"colour":1}"#).await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"the request is not understood: unknown field `colour`, expected one of `name`, `partitions`, `retention`, `on_full`, `max_bytes`, `segment_bytes` at line 1 column 35"}"#);
    insta::assert_snapshot!(raw(dir.path(), "GET /v1/groups/enrich/records?limit=0", "").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"limit is 0, outside of 1 to 10000"}"#);
    insta::assert_snapshot!(raw(dir.path(), "GET /v1/groups/enrich/records?state=lost", "").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"\"lost\" is no state of a record"}"#);
    insta::assert_snapshot!(raw(dir.path(), "GET /v1/groups/enrich/records?colour=1", "").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"Failed to deserialize query string: colour: unknown field `colour`, expected one of `topic`, `partition`, `state`, `from`, `limit`"}"#);
    insta::assert_snapshot!(raw(dir.path(), "GET /v1/dead-letters/orders.dead/0/x", "").await, @r#"HTTP/1.1 400 Bad Request {"code":"invalid","message":"Cannot parse value at index 2 with value `x` to a `u64`"}"#);
    insta::assert_snapshot!(raw(dir.path(), "POST /v1/dead-letters/redrive", &" ".repeat((1 << 20) + 1)).await, @r#"HTTP/1.1 413 Payload Too Large {"code":"too-large","message":"the request is larger than the limit of 1048576 bytes"}"#);
    insta::assert_snapshot!(raw(dir.path(), "GET /v1/topics/nowhere", "").await, @r#"HTTP/1.1 404 Not Found {"code":"not-found","message":"there is no topic nowhere","hint":"sharemill topic list names them"}"#);
}

#[tokio::test]
async fn a_stranger_can_produce_with_plain_http() {
    let dir = TempDir::new().unwrap();
    let _host = FakeHost::start(dir.path());
    let lines = "{\"value\":\"a\"}\n\n{\"value\":\"full\"}\n{\"value\":{\"n\":1},\"partition\":3}";
    let plain = raw(dir.path(), "POST /v1/topics/orders/records", lines).await;
    assert!(plain.starts_with("HTTP/1.1 200 OK"), "{plain}");
    insta::assert_snapshot!(unchunked(&plain), @r#"
    {"index":0,"partition":0,"offset":7}
    {"index":1,"error":{"code":"full","message":"topic orders is full: 10 GiB of 10 GiB, held back by group enrich","hint":"let the group catch up, or raise max-bytes"}}
    {"index":2,"partition":3,"offset":8}
    {"end":null}
    "#);
    let plain = raw(
        dir.path(),
        "POST /v1/topics/orders/records",
        "{\"value\":\"a\"}\n{\"colour\":1}\n{}\n",
    )
    .await;
    insta::assert_snapshot!(unchunked(&plain), @r#"
    {"index":0,"partition":0,"offset":7}
    {"end":{"code":"invalid","message":"line 2 is no record: unknown field `colour`, expected one of `key`, `key_base64`, `value`, `value_base64`, `headers`, `partition`, `timestamp` at line 1 column 9"}}
    "#);
}

/// Lines of JSON without what chunked transfer puts between them.
fn unchunked(response: &str) -> String {
    response
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect::<Vec<_>>()
        .join("\n")
}
