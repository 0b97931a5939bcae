//! The commands that look at a data directory, against a host that runs on it; and what they say when none does.

use crate::fake::FakeHost;
use crate::support::Folder;

fn hosted() -> (Folder, FakeHost) {
    let folder = Folder::with_manifest("[deployments.d]\ncomponent = \"missing.wasm\"\ntopic = \"orders\"\n");
    let host = FakeHost::start(&folder.path().join("data"));
    (folder, host)
}

#[test]
fn records_of_a_topic() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["topic", "read", "orders", "--limit", "2"]), @"
    exit 0
    --- stdout
    PARTITION  OFFSET  WHEN                  KEY  VALUE
            0       0  2023-11-14T22:13:20Z  k    value 0
            0       1  2023-11-14T22:13:20Z  k    value 1
    --- stderr
    there are more: raise --limit, or go on with --partition and --from
    ");
    insta::assert_snapshot!(folder.run(&["topic", "read", "orders", "--partition", "1", "--from", "2", "--format", "json"]), @r#"
    exit 0
    --- stdout
    {
      "records": [
        {
          "partition": 1,
          "offset": 2,
          "record": {
            "key": "k",
            "timestamp": 1700000000000
          }
        }
      ],
      "more": false
    }
    "#);
    insta::assert_snapshot!(folder.run(&["topic", "read", "nowhere"]), @"
    exit 1
    --- stderr
    error: there is no topic nowhere
    hint: sharemill topic list names them
    ");
}

#[test]
fn topics() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["topic", "list"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITIONS  RECORDS     SIZE     LIMIT  RETENTION  GROUPS
    orders           1        5  1.4 KiB  10.0 GiB  queue           1
    ");
    insta::assert_snapshot!(folder.run(&["topic", "list", "--format", "json"]), @r#"
    exit 0
    --- stdout
    {
      "topics": [
        {
          "name": "orders",
          "partitions": 1,
          "records": 5,
          "bytes": 1500,
          "max_bytes": 10737418240,
          "on_full": "refuse",
          "retention": "queue",
          "groups": 1
        }
      ]
    }
    "#);
    insta::assert_snapshot!(folder.run(&["topic", "describe", "orders"]), @"
    exit 0
    --- stdout
    topic      orders
    records    5
    size       1.4 KiB of 10.0 GiB, then refuse
    retention  queue
    segments   64.0 MiB each

    PARTITION  LOG START  LOG END     SIZE  SEGMENTS
            0          2        7  1.4 KiB         1

    GROUP   UNSETTLED
    enrich          3
    ");
    insta::assert_snapshot!(folder.run(&["topic", "describe", "nowhere"]), @"
    exit 1
    --- stderr
    error: there is no topic nowhere
    hint: sharemill topic list names them
    ");
    insta::assert_snapshot!(folder.run(&["topic", "create", "new", "--partitions", "3", "--retention", "7d", "--max-bytes", "1GiB"]), @"
    exit 0
    --- stdout
    created topic new with 3 partitions
    ");
    insta::assert_snapshot!(folder.run(&["topic", "create", "orders"]), @"
    exit 1
    --- stderr
    error: there is a topic orders already
    ");
    insta::assert_snapshot!(folder.run(&["topic", "create", "new", "--retention", "soon"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'soon' for '--retention <RETENTION>': expected queue, forever or a duration such as 7d: "soon" is not a number with a unit, expected a duration such as "30s", "5m", "1h30m" or "250ms"

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(folder.run(&["topic", "delete", "orders"]), @"
    exit 1
    --- stderr
    error: topic orders has 5 records and the group enrich
    hint: delete it anyway with --force
    ");
    insta::assert_snapshot!(folder.run(&["topic", "delete", "orders", "--force"]), @"
    exit 0
    --- stdout
    deleted topic orders with 5 records and 1.4 KiB
    ");
}

/// Against the engine itself: the same words, ranges and defaults as in the manifest.
#[test]
fn a_created_topic_is_what_a_manifest_would_make_of_it() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data-dir", "data"]].concat());
    run(&["topic", "create", "plain"]);
    run(&["topic", "create", "small", "--max-bytes", "1MiB"]);
    run(&["topic", "create", "wide", "--partitions", "1000"]);
    insta::assert_snapshot!(run(&["topic", "list"]), @"
    exit 0
    --- stdout
    TOPIC  PARTITIONS  RECORDS  SIZE     LIMIT  RETENTION  GROUPS
    plain           1        0   0 B  10.0 GiB  7d              0
    small           1        0   0 B   1.0 MiB  7d              0
    wide         1000        0   0 B  10.0 GiB  7d              0
    ");
    insta::assert_snapshot!(run(&["topic", "describe", "small"]), @"
    exit 0
    --- stdout
    topic      small
    records    0
    size       0 B of 1.0 MiB, then refuse
    retention  7d
    segments   256.0 KiB each

    PARTITION  LOG START  LOG END  SIZE  SEGMENTS
            0          0        0   0 B         0
    ");
    insta::assert_snapshot!(run(&["topic", "create", "wider", "--partitions", "1001"]), @"
    exit 2
    --- stderr
    error: invalid value '1001' for '--partitions <NUMBER>': 1001 is not in 1..=1000

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["topic", "create", "tiny", "--max-bytes", "4KiB"]), @"
    exit 1
    --- stderr
    error: tiny.max-bytes is 4KiB, below the limit of 1MiB
    hint: choose 1MiB to 1024TiB (default 10GiB)
    ");
    insta::assert_snapshot!(run(&["topic", "create", "coarse", "--max-bytes", "10MiB", "--segment-bytes", "8MiB"]), @"
    exit 1
    --- stderr
    error: coarse.segment-bytes is 8MiB, above half of max-bytes (5MiB)
    hint: space is freed in whole segments: raise max-bytes or lower segment-bytes
    ");
    insta::assert_snapshot!(run(&["topic", "create", "a b"]), @r#"
    exit 1
    --- stderr
    error: "a b" has the character ' '; a topic name is made of a-z, A-Z, 0-9, ".", "_" and "-"
    hint: choose another name
    "#);
}

#[test]
fn groups() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["group", "list"]), @"
    exit 0
    --- stdout
    GROUP   TOPICS  MEMBERS  AVAILABLE  ACQUIRED  PARKED
    enrich  orders        1          1         1       1
    ");
    insta::assert_snapshot!(folder.run(&["group", "describe", "enrich"]), @"
    exit 0
    --- stdout
    group        enrich
    attempts     5
    lock         30s
    start        earliest
    dead letter  orders.dead

    TOPIC   PARTITION  EPOCH  START  END  LOG END  AVAILABLE  ACQUIRED  PARKED  PINNED BY
    orders          0      1      2    6        7          1         1       1          -

    MEMBER  DEPLOYMENT  ACQUIRED
    m-1     enrich             1
    ");
    insta::assert_snapshot!(folder.run(&["group", "describe", "nobody"]), @"
    exit 1
    --- stderr
    error: there is no group nobody
    ");
    insta::assert_snapshot!(folder.run(&["group", "reset", "enrich", "--to", "earliest"]), @"
    exit 1
    --- stderr
    error: deployment enrich works on group enrich
    hint: add --force to pause it for the reset
    ");
    insta::assert_snapshot!(folder.run(&["group", "reset", "enrich", "--to", "offset:4", "--force"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITION  FROM  TO  EPOCH  TO DELIVER
    orders          0     2   4      2           3
    ");
    insta::assert_snapshot!(folder.run(&["group", "reset", "enrich", "--to", "offset:1", "--force"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITION  FROM  TO  EPOCH  TO DELIVER
    orders          0     2   2      2           5
    --- stderr
    note: offset 1 is not in orders/0 any more: the group begins at 2, the first that is
    note: a topic with retention queue does not keep what its groups have settled; that is not delivered again
    ");
    insta::assert_snapshot!(folder.run(&["group", "reset", "enrich", "--to", "by-duration:1hh"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'by-duration:1hh' for '--to <POSITION>': the age "1hh" has the unknown unit "hh", expected one of ms, s, m, h, d, w; write it as in by-duration:1h30m

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(folder.run(&["group", "reset", "enrich", "--to", "newest"]), @"
    exit 2
    --- stderr
    error: invalid value 'newest' for '--to <POSITION>': expected earliest, latest, by-duration:AGE or offset:NUMBER

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(folder.run(&["group", "delete", "enrich"]), @"
    exit 1
    --- stderr
    error: group enrich has 3 unsettled records
    hint: --force deletes it all the same
    ");
    insta::assert_snapshot!(folder.run(&["group", "delete", "enrich", "--force"]), @"
    exit 0
    --- stdout
    deleted group enrich with 1 share partition, 3 records unsettled
    ");
}

#[test]
fn records() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["records", "enrich"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITION  OFFSET  STATE         DELIVERIES  MEMBER  LEASE LEFT  DUE IN  STRIKES  CHECKPOINT
    orders          0       2  acquired               1  m-1            12s       -        0           -
    orders          0       3  acknowledged           1  -                -       -        0           -
    orders          0       4  parked                 2  -                -   1m30s        1     2.0 KiB
    orders          0       5  archived               5  -                -       -        0           -
    orders          0       6  available              0  -                -       -        0           -
    ");
    insta::assert_snapshot!(folder.run(&["records", "enrich", "--state", "parked", "--state", "acquired", "--limit", "1"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITION  OFFSET  STATE     DELIVERIES  MEMBER  LEASE LEFT  DUE IN  STRIKES  CHECKPOINT
    orders          0       2  acquired           1  m-1            12s       -        0           -
    --- stderr
    there are more than 1: raise --limit, or begin later with --from
    ");
    insta::assert_snapshot!(folder.run(&["records", "enrich", "--state", "archived", "--format", "json"]), @r#"
    exit 0
    --- stdout
    {
      "records": [
        {
          "topic": "orders",
          "partition": 0,
          "offset": 5,
          "state": "archived",
          "delivery_count": 5,
          "member": null,
          "lease_left_ms": null,
          "due_in_ms": null,
          "strikes": 0,
          "checkpoint_bytes": null
        }
      ],
      "more": false
    }
    "#);
    insta::assert_snapshot!(folder.run(&["records", "nobody"]), @"
    exit 1
    --- stderr
    error: there is no group nobody
    ");
}

#[test]
fn dead_letters() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["dead", "list"]), @"
    exit 0
    --- stdout
    ID               GROUP   FROM        WHEN                  DELIVERIES  CAUSE   REASON
    orders.dead/0/0  enrich  orders/0/1  2023-11-14T22:13:20Z           2  reject  no price at line 3 of the order that came in with the las...
    ");
    insta::assert_snapshot!(folder.run(&["dead", "list", "--group", "other"]), @"
    exit 0
    --- stdout
    ID  GROUP  FROM  WHEN  DELIVERIES  CAUSE  REASON
    ");
    insta::assert_snapshot!(folder.run(&["dead", "list", "--cause", "attempts"]), @"
    exit 2
    --- stderr
    error: invalid value 'attempts' for '--cause <CAUSE>'
      [possible values: reject, release, trap, out-of-memory, deadline, max-lease, limit, exit, host-crash, delivery-limit, retention, unreadable]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "--group", "enrich"]), @"
    exit 2
    --- stderr
    error: which dead letters are to be redriven is not said
    hint: add --all for every one that the filters leave
    ");
    insta::assert_snapshot!(folder.run(&["dead", "show", "orders.dead/0/0"]), @r#"
    exit 0
    --- stdout
    id          orders.dead/0/0
    group       enrich
    from        orders/0/1
    when        2023-11-14T22:13:20Z
    cause       reject
    reason      no price at line 3 of the order that came in with the last delivery of the day
    deliveries  2
    module      9f86d081
    key         (2 bytes, not text)
    header      trace=abc
    value       {"item":\u{1b}[31m1}

    earlier attempts
      release: later

    log
      warn no price
    "#);
    insta::assert_snapshot!(folder.run(&["dead", "show", "orders.dead/0/0", "--format", "json"]), @r#"
    exit 0
    --- stdout
    {
      "id": "orders.dead/0/0",
      "group": "enrich",
      "source_topic": "orders",
      "source_partition": 0,
      "source_offset": 1,
      "cause": "reject",
      "reason": "no price at line 3 of the order that came in with the last delivery of the day",
      "delivery_count": 2,
      "timestamp": 1700000000000,
      "record": {
        "key_base64": "/wA=",
        "value": "{\"item\":\u001b[31m1}",
        "headers": [
          {
            "name": "trace",
            "value": "abc"
          }
        ],
        "partition": 0,
        "timestamp": 1699999999000
      },
      "module": "9f86d081",
      "trap": null,
      "attempts": [
        "release: later"
      ],
      "log": [
        "warn no price"
      ],
      "checkpoint_bytes": null
    }
    "#);
    insta::assert_snapshot!(folder.run(&["dead", "show", "17"]), @"
    exit 2
    --- stderr
    error: invalid value '17' for '<ID>': expected TOPIC/PARTITION/OFFSET, for example orders.dead/0/17

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "--all", "--group", "enrich"]), @"
    exit 0
    --- stdout
    DEAD LETTER      NOW
    orders.dead/0/0  orders/0/7
    ");
    insta::assert_snapshot!(folder.run(&["dead", "redrive", "orders.dead/0/0", "orders.dead/0/9"]), @"
    exit 1
    --- stdout
    DEAD LETTER      NOW
    orders.dead/0/0  orders/0/7
    --- stderr
    error: orders.dead/0/9 was not redriven: there is no dead letter orders.dead/0/9
    ");
    insta::assert_snapshot!(folder.run(&["dead", "redrive"]), @"
    exit 2
    --- stderr
    error: which dead letters are to be redriven is not said
    hint: name them as sharemill dead list does, TOPIC/PARTITION/OFFSET, or give --all
    ");
}

#[test]
fn produce_from_everywhere() {
    let (folder, _host) = hosted();
    folder.file("values.txt", "one\ntwo\r\n\nlast");
    folder.file(
        "records.ndjson",
        "{\"key\":\"k\",\"value\":{\"a\":1},\"partition\":2}\n\n{\"vlaue\":1}\n{}\n",
    );
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "b"]), @"
    exit 0
    --- stdout
    2 records stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        2             7            8
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "--file", "values.txt", "--key", "k", "--header", "h=1"]), @"
    exit 0
    --- stdout
    4 records stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        4             7           10
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "--ndjson", "records.ndjson", "--partition", "1"]), @r#"
    exit 1
    --- stdout
    2 records stored in orders, 1 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            1        1             8            8
            2        1             7            7
    --- stderr
    error: line 3 was refused: not a record, column 8: unknown field `vlaue`, expected one of `key`, `key_base64`, `value`, `value_base64`, `headers`, `partition`, `timestamp`
    hint: a line is an object such as {"key": "k", "value": "text or any JSON", "headers": {"name": "value"}}; sharemill produce --help lists its fields, all of them optional
    note: every other line is stored: give only those refused again
    "#);
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders"], Some("x\ny\n")), @"
    exit 0
    --- stdout
    2 records stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        2             7            8
    ");
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders", "--ndjson", "-", "--format", "json"], Some("{\"value\":\"x\"}\n{\"value\":\"full\"}\n")), @r#"
    exit 1
    --- stdout
    {"line":1,"partition":0,"offset":7}
    {"line":2,"error":{"code":"full","message":"topic orders is full: 10 GiB of 10 GiB, held back by group enrich","hint":"let the group catch up, or raise max-bytes"}}
    --- stderr
    1 record stored in orders, 1 refused
    note: everything before line 2 is stored, and nothing from there on: go on with --from-line 2
    "#);
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders"], Some("")), @"
    exit 0
    --- stdout
    0 records stored in orders, 0 refused
    ");
}

#[test]
fn produce_that_fails() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["produce", "nowhere", "a"]), @"
    exit 1
    --- stderr
    error: there is no topic nowhere
    hint: the topics of a manifest are made when nothing is wrong with it: sharemill config check
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "full", "b"]), @"
    exit 1
    --- stdout
    2 records stored in orders, 1 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        2             7            8
    --- stderr
    error: value 2 was refused: topic orders is full: 10 GiB of 10 GiB, held back by group enrich
    hint: let the group catch up, or raise max-bytes
    note: every other value is stored: give only those refused again
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "broken"]), @"
    exit 1
    --- stdout
    1 record stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        1             7            7
    --- stderr
    warning: 1 record had no result yet and may or may not be stored
    note: everything before value 2 is stored; of the rest nothing is known, what is sent again may then be there twice: give value 2 and those after it again
    error: the disk failed
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "--file", "missing.txt"]), @"
    exit 1
    --- stderr
    error: cannot read missing.txt: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "--file", "data"]), @"
    exit 1
    --- stderr
    error: cannot read data: it is a folder
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "--file", "b"]), @"
    exit 2
    --- stderr
    error: the argument '[VALUE]...' cannot be used with '--file <FILE>'

    Usage: sharemill produce <TOPIC> <VALUE>...

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "--header", "novalue"]), @"
    exit 2
    --- stderr
    error: invalid value 'novalue' for '--header <NAME=VALUE>': expected NAME=VALUE

    For more information, try '--help'.
    ");
    let many = "full\n".repeat(12);
    let shown = folder.run_with_input(&["produce", "orders"], Some(&many));
    assert!(
        shown.contains("error: line 10 was refused") && !shown.contains("error: line 11 was refused"),
        "{shown}"
    );
    assert!(shown.contains("and 2 more were refused"), "{shown}");
}

/// Against the engine itself.
#[test]
fn producing_before_the_first_run() {
    let folder = Folder::with_manifest("[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"orders\"\n");
    insta::assert_snapshot!(folder.run(&["produce", "order", "a"]), @r#"
    exit 1
    --- stderr
    error: unknown topic "order"
    hint: did you mean orders?
    "#);
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "--data-dir", "typo"]), @"
    exit 1
    --- stderr
    error: there is no data directory at [DIR]/typo
    hint: sharemill run makes it; name another with --data-dir DIR or --manifest FILE
    ");
    assert!(!folder.path().join("data").exists() && !folder.path().join("typo").exists());
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a"]), @"
    exit 0
    --- stdout
    1 record stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        1             0            0
    --- stderr
    created topic orders with 1 partition(s)
    ");
    insta::assert_snapshot!(folder.run(&["produce", "order", "a"]), @r#"
    exit 1
    --- stderr
    error: unknown topic "order"
    hint: did you mean orders?
    "#);
    insta::assert_snapshot!(folder.run(&["produce", "elsewhere", "a"]), @r#"
    exit 1
    --- stderr
    error: unknown topic "elsewhere"
    hint: sharemill topic list names the topics there are; sharemill topic create elsewhere makes this one
    "#);
    std::fs::remove_file(folder.path().join("handler.wasm")).unwrap();
    insta::assert_snapshot!(folder.run(&["produce", "elsewhere", "a"]), @r#"
    exit 1
    --- stderr
    error: unknown topic "elsewhere"
    hint: the topics of a manifest are made when nothing is wrong with it: sharemill config check
    "#);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a"]), @"
    exit 1
    --- stderr
    error: there is no data directory at [DIR]/data
    hint: sharemill run makes it, when nothing is wrong with the manifest: sharemill config check
    ");
}

#[test]
fn produce_does_not_wait_for_input_that_nobody_wants() {
    let (folder, _host) = hosted();
    let mut child = folder
        .command(&["produce", "nowhere"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    // Ends although its input is still open.
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no topic nowhere"));
}

#[test]
fn two_owners_are_refused() {
    let (folder, _host) = hosted();
    folder.file("missing.wasm", "");
    insta::assert_snapshot!(folder.run(&["run"]), @"
    exit 1
    --- stderr
    error: the data directory [DIR]/data is in use by process [PID]
    hint: stop it first (kill [PID]), or give this host another data-dir
    ");
    insta::assert_snapshot!(folder.run(&["verify"]), @"
    exit 1
    --- stderr
    error: [DIR]/data is in use by process [PID]
    hint: stop the host first: verify needs the directory to itself
    ");
}

#[test]
fn the_data_directory_is_found_or_its_absence_told() {
    let (folder, _host) = hosted();
    insta::assert_snapshot!(folder.run(&["group", "list", "--data-dir", "data"]), @"
    exit 0
    --- stdout
    GROUP   TOPICS  MEMBERS  AVAILABLE  ACQUIRED  PARKED
    enrich  orders        1          1         1       1
    ");
    insta::assert_snapshot!(folder.run(&["group", "list", "--data-dir", "elsewhere"]), @"
    exit 1
    --- stderr
    error: there is no data directory at [DIR]/elsewhere
    hint: sharemill run makes it; name another with --data-dir DIR or --manifest FILE
    ");
    insta::assert_snapshot!(folder.run(&["verify", "--data-dir", "elsewhere"]), @"
    exit 1
    --- stderr
    error: there is no data directory at [DIR]/elsewhere
    hint: sharemill run makes it; name another with --data-dir DIR or --manifest FILE
    ");
    insta::assert_snapshot!(Folder::new().run(&["group", "list"]), @"
    exit 1
    --- stderr
    error: there is no manifest at sharemill.toml
    hint: name one with --manifest FILE, or the data directory with --data-dir DIR
    ");
    let broken = Folder::with_manifest("[sources.main]\njournal-size = 5\n[topics.t]\npartitions = 0\n");
    insta::assert_snapshot!(broken.run(&["group", "list"]), @"
    exit 1
    --- stderr
    error: sources.main.journal-size is 5B, below the limit of 16MiB (line 2)
    hint: choose 16MiB to 64GiB (default 512MiB)
    ");
}
