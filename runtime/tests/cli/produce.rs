//! What `produce` says of input that was not all stored: up to where, what is wrong with the rest, and how to go on.

use crate::fake::FakeHost;
use crate::support::Folder;

fn hosted() -> (Folder, FakeHost) {
    let folder = Folder::with_manifest("[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"orders\"\n");
    let host = FakeHost::start(&folder.path().join("data"));
    (folder, host)
}

/// Up to where everything is stored, and how to go on.
#[test]
fn produce_that_is_cut_off_says_where_to_go_on() {
    let (folder, _host) = hosted();
    let lines = |text: &str, more: &[&str]| {
        let arguments = [&["produce", "orders"], more].concat();
        let shown = folder.run_with_input(&arguments, Some(text));
        let noted = shown.lines().find(|line| line.starts_with("note: "));
        noted.map(str::to_owned).unwrap_or_default()
    };
    insta::assert_snapshot!(lines("a\nb\nfull\nfull\n", &[]), @"note: everything before line 3 is stored, and nothing from there on: go on with --from-line 3");
    insta::assert_snapshot!(lines("a\nfull\nb\n", &[]), @"note: every other line is stored: give only those refused again");
    insta::assert_snapshot!(lines("a\nbroken\n", &[]), @"note: everything before line 2 is stored; of the rest nothing is known, what is sent again may then be there twice: go on with --from-line 2");
    insta::assert_snapshot!(lines("a\ngoodbye\n", &[]), @"note: everything before line 3 is stored, and nothing from there on: go on with --from-line 3");
    insta::assert_snapshot!(lines("a\nfull\ngoodbye\n", &[]), @"note: every line before 4 is stored but those refused, which are to be given again: go on with --from-line 4");
    insta::assert_snapshot!(lines("a\nno room\nb\n", &[]), @"note: everything before line 2 is stored, and nothing from there on: go on with --from-line 2");
    insta::assert_snapshot!(lines("a\nfull\nb\nno room\nc\n", &[]), @"note: every line before 4 is stored but those refused, which are to be given again: go on with --from-line 4");
    insta::assert_snapshot!(lines("a\nfenced\nfenced\n", &[]), @"note: everything before line 2 is stored; of the rest nothing is known, what is sent again may then be there twice: go on with --from-line 2");
    // While the client is still sending.
    let much = format!("a\nno room\n{}", format!("{}\n", "x".repeat(1_000)).repeat(10_000));
    insta::assert_snapshot!(lines(&much, &[]), @"note: everything before line 2 is stored, and nothing from there on: go on with --from-line 2");
    insta::assert_snapshot!(lines("full\na\n", &["--format", "json"]), @"note: every other line is stored: give only those refused again");
    insta::assert_snapshot!(lines("full\n", &[]), @"");
    let long = "x".repeat(9 << 20);
    insta::assert_snapshot!(lines(&format!("a\nb\n{long}\nc\n"), &[]), @"note: everything before line 3 is stored, and nothing from there on: go on with --from-line 3, or leave it out with --from-line 4");
    insta::assert_snapshot!(lines(&format!("a\nfull\nb\n{long}\nc\n"), &[]), @"note: every line before 4 is stored but those refused: go on with --from-line 4, or leave it out with --from-line 5; those refused are to be given again");
    insta::assert_snapshot!(folder.run(&["produce", "orders", "a", "full"]), @"
    exit 1
    --- stdout
    1 record stored in orders, 1 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        1             7            7
    --- stderr
    error: value 2 was refused: topic orders is full: 10 GiB of 10 GiB, held back by group enrich
    hint: let the group catch up, or raise max-bytes
    note: everything before value 2 is stored, and nothing from there on: give value 2 and those after it again
    ");
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders", "--timeout", "2m"], Some("a\nno room\nb\n")), @"
    exit 1
    --- stdout
    1 record stored in orders, 0 refused

    PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET
            0        1             7            7
    --- stderr
    note: everything before line 2 is stored, and nothing from there on: go on with --from-line 2
    error: topic orders is full: 10 GiB of 10 GiB, held back by group enrich; nothing was taken for 120s
    hint: let the group catch up, or raise max-bytes
    ");
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders", "--from-line", "3", "--format", "json"], Some("full\n\na\nb")), @r#"
    exit 0
    --- stdout
    {"line":3,"partition":0,"offset":7}
    {"line":4,"partition":0,"offset":8}
    --- stderr
    2 records stored in orders, 0 refused
    "#);
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders", "--from-line", "3"], Some("a\n")), @"
    exit 1
    --- stderr
    error: --from-line is 3, and the input has 1 line
    ");
}

#[test]
fn lines_that_are_no_records_say_where_and_what_is_expected() {
    let (folder, _host) = hosted();
    let input = "{\"vlaue\":1}\n[1]\nhello\n{\"headers\":1}\n{\"value\":1,\"value_base64\":\"\"}\n{\"value\":\n";
    insta::assert_snapshot!(folder.run_with_input(&["produce", "orders", "--ndjson", "-"], Some(input)), @r#"
    exit 1
    --- stdout
    0 records stored in orders, 6 refused
    --- stderr
    error: line 1 was refused: not a record, column 8: unknown field `vlaue`, expected one of `key`, `key_base64`, `value`, `value_base64`, `headers`, `partition`, `timestamp`
    hint: a line is an object such as {"key": "k", "value": "text or any JSON", "headers": {"name": "value"}}; sharemill produce --help lists its fields, all of them optional
    error: line 2 was refused: not a record: invalid type: sequence, expected an object
    error: line 3 was refused: not a record, column 1: expected value
    error: line 4 was refused: not a record, column 13: headers are an object of names and values, or a list of objects with name and value
    error: line 5 was refused: not a record: value and value_base64 are both given
    error: line 6 was refused: not a record, column 9: EOF while parsing a value
    "#);
}
