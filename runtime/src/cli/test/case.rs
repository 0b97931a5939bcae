//! The records of a file: a line each, with what is expected of them. Every line that is no such record is named, with what is allowed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use super::expect::{ENDS, Expect};
use super::fields::{Fields, Wanted};
use super::json::Unique;
use crate::admin::Record;
use crate::cli::shown::shortened;
use crate::output::{self, Failure};

/// One record, and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// `FILE:LINE`.
    pub(super) place: String,
    /// As the file calls it, or the beginning of its value.
    pub(super) name: String,
    /// What the handler gets.
    pub(super) record: Record,
    /// Where it is said to come from; `None`: the deployment's topic.
    pub(super) topic: Option<String>,
    pub(super) delivery_count: u32,
    pub(super) checkpoint: Option<Bytes>,
    pub(super) expect: Expect,
}

/// What is left of what all files together may have.
pub(super) struct Room {
    records: usize,
    bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            records: RECORDS_MAX,
            bytes: BYTES_MAX,
        }
    }
}

/// Reads a file; `shown` is its name in messages. Malformed lines are told, each, and counted. Nothing is read beyond what there is room
/// for.
pub(super) fn read(path: &Path, shown: &str, room: &mut Room) -> Result<(Vec<Case>, u64), Failure> {
    let bytes = bytes(path, shown, room)?;
    let mut cases = Vec::new();
    let mut malformed = 0;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Some(records) = room.records.checked_sub(1) else {
            let message = format!("there are more than {RECORDS_MAX} records, counted up to {shown}:{number}");
            return Err(Failure::usage(message).hint(IN_PARTS));
        };
        room.records = records;
        let place = format!("{shown}:{number}");
        match of_line(line, place.clone()) {
            Ok(case) => cases.push(case),
            Err(what) => {
                malformed += 1;
                if malformed <= TOLD_MAX {
                    output::failure(&Failure::usage(format!("{place}: {what}")));
                }
            }
        }
    }
    if malformed > TOLD_MAX {
        output::message(&format!(
            "and {} more in {shown}",
            output::counted(malformed - TOLD_MAX, "line")
        ));
    }
    Ok((cases, malformed))
}

/// A file without the mark that some programs put before UTF-8.
fn bytes(path: &Path, shown: &str, room: &mut Room) -> Result<Vec<u8>, Failure> {
    let cannot = |error| Failure::usage(format!("cannot read {shown}: {error}"));
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX.min(room.bytes);
    let file = File::open(path).map_err(cannot)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let size = bytes.len() as u64;
    if size > FILE_BYTES_MAX {
        let message = format!("{shown} is larger than the limit of {}", output::bytes(FILE_BYTES_MAX));
        return Err(Failure::usage(message).hint("share its records out to several files"));
    }
    let Some(left) = room.bytes.checked_sub(size) else {
        let message = format!(
            "the record files up to {shown} are larger than the limit of {} for all",
            output::bytes(BYTES_MAX)
        );
        return Err(Failure::usage(message).hint(IN_PARTS));
    };
    room.bytes = left;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Failure::usage(format!("{shown} is UTF-16")).hint("save it as UTF-8"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

fn of_line(line: &[u8], place: String) -> Result<Case, String> {
    if line.contains(&0) {
        return Err("has a NUL byte, as UTF-16 has it: save the file as UTF-8".to_owned());
    }
    let Unique(value) = serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        let end = format!(" at line {} column {}", error.line(), error.column());
        let what = text.strip_suffix(&end).unwrap_or(&text);
        let kind = if error.is_data() { "" } else { "not JSON, " };
        format!("{kind}column {}: {what}", error.column())
    })?;
    let mut fields = Fields::new("the record", value, FIELDS)?;
    let name = fields.text("name")?;
    let topic = fields.text("topic")?;
    let delivery_count = fields.number("delivery_count", 1, DELIVERIES_MAX)?.unwrap_or(1);
    let checkpoint = fields
        .bytes("checkpoint", "checkpoint_base64")?
        .and_then(Wanted::into_bytes);
    let expect = fields.take("expect").ok_or_else(|| {
        format!(
            "the record has no \"expect\"; write \"expect\": \"accept\", or another of {}",
            ENDS.join(", ")
        )
    })?;
    let expect = Expect::of(expect)?;
    let record: Record = serde_json::from_value(fields.rest()).map_err(|error| error.to_string())?;
    let value = crate::cli::shown::text(record.value.as_deref());
    Ok(Case {
        place,
        name: name.unwrap_or_else(|| shortened(&value, NAME_CHARACTERS)),
        record,
        topic,
        delivery_count,
        checkpoint,
        expect,
    })
}

/// What a line is.
pub(super) const SHAPE: &str = "a line is an object such as {\"value\": {\"any\": \"JSON\"}, \"key\": \"k\", \"expect\": \"accept\"}; sharemill test --help has all fields";

const FIELDS: &[&str] = &[
    "name",
    "key",
    "key_base64",
    "value",
    "value_base64",
    "headers",
    "partition",
    "timestamp",
    "topic",
    "delivery_count",
    "checkpoint",
    "checkpoint_base64",
    "expect",
];

const IN_PARTS: &str = "test them in parts: --records FILE";
const FILE_BYTES_MAX: u64 = 64 << 20;
/// More than anybody reads through.
const RECORDS_MAX: usize = 10_000;
/// Of all files.
const BYTES_MAX: u64 = 256 << 20;
/// Lines told of one file.
const TOLD_MAX: u64 = 20;
/// What the engine and Kafka count to.
const DELIVERIES_MAX: u32 = 32_767;
const NAME_CHARACTERS: usize = 48;
