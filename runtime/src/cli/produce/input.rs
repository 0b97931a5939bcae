//! Where produced records come from. Files and pipes are read on a blocking thread that waits while the buffer is full.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::stdin_is_terminal;
use crate::admin::{AdminError, ErrorCode, Header, PRODUCE_BUFFER, Record};
use crate::cli::args::ProduceArgs;
use crate::output::{self, Failure};

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// What the arguments ask to read.
#[derive(Debug)]
pub(super) enum Source {
    /// Values from the command line.
    Values(Vec<String>),
    /// Lines, each a value (`json` false) or an object.
    Lines {
        /// `None` is standard input.
        path: Option<PathBuf>,
        /// Whether a line is an object.
        json: bool,
        /// Number of the first line that is taken, from 1.
        from: u64,
    },
}

impl Source {
    pub(super) fn of(args: &ProduceArgs) -> Self {
        if !args.values.is_empty() {
            return Self::Values(args.values.clone());
        }
        let path = args.file.as_ref().or(args.ndjson.as_ref());
        Self::Lines {
            path: path.filter(|path| *path != Path::new("-")).cloned(),
            json: args.ndjson.is_some(),
            from: args.from_line,
        }
    }
}

/// One thing that was read.
#[derive(Debug)]
pub(super) enum Item {
    /// A record.
    Record {
        /// Number of its line or argument, from 1.
        line: u64,
        /// The record with all defaults.
        record: Record,
        /// Bytes read so far.
        position: u64,
    },
    /// A line that is no record; reading goes on.
    Unreadable {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        error: AdminError,
    },
    /// Nothing more can be read.
    Broken {
        /// Number of the first line that was not, from 1.
        line: u64,
        /// Why.
        message: String,
    },
}

/// An input that is being read.
#[derive(Debug)]
pub(super) struct Input {
    items: mpsc::Receiver<Item>,
    size: Option<u64>,
}

impl Input {
    /// Begins to read.
    pub(super) fn open(source: Source, defaults: Record) -> Result<Self, Failure> {
        let (sender, items) = mpsc::channel(PRODUCE_BUFFER);
        let (source, json, from, size) = match source {
            Source::Values(values) => {
                tokio::task::spawn_blocking(move || send_values(values, &defaults, &sender));
                return Ok(Self { items, size: None });
            }
            Source::Lines {
                path: Some(path),
                json,
                from,
            } => {
                let cannot = |error| Failure::new(format!("cannot read {}: {error}", path.display()));
                let file = File::open(&path).map_err(cannot)?;
                let found = file.metadata().map_err(cannot)?;
                if found.is_dir() {
                    return Err(Failure::new(format!("cannot read {}: it is a folder", path.display())));
                }
                let source: Box<dyn Read + Send> = Box::new(file);
                (source, json, from, found.is_file().then_some(found.len()))
            }
            Source::Lines { path: None, json, from } => {
                if stdin_is_terminal() {
                    output::message("reading from the terminal, one record a line; end with Ctrl-D");
                }
                let source: Box<dyn Read + Send> = Box::new(std::io::stdin());
                (source, json, from, None)
            }
        };
        // Not joined: it may wait for a terminal or a pipe for ever, and ends with the process.
        tokio::task::spawn_blocking(move || send_lines(source, json, from, &defaults, &sender));
        Ok(Self { items, size })
    }

    /// Bytes of the whole input, where they are known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next thing that was read.
    pub(super) async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }
}

/// A header from the command line.
pub(super) fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: Some(Bytes::from(value.to_owned())),
    }
}

fn send_values(values: Vec<String>, defaults: &Record, items: &mpsc::Sender<Item>) {
    let mut position = 0;
    for (line, value) in (1..).zip(values) {
        position += value.len() as u64;
        let record = completed(
            Record {
                value: Some(Bytes::from(value)),
                ..Record::default()
            },
            defaults,
        );
        if items.blocking_send(Item::Record { line, record, position }).is_err() {
            return;
        }
    }
}

fn send_lines(source: impl Read, json: bool, from: u64, defaults: &Record, items: &mpsc::Sender<Item>) {
    let mut reader = BufReader::with_capacity(1 << 16, source);
    let mut position = match skip(&mut reader, from) {
        Ok(position) => position,
        Err((line, message)) => {
            // Whoever reads the items may have failed by itself.
            let _ = items.blocking_send(Item::Broken { line, message });
            return;
        }
    };
    for line in from.. {
        let mut bytes = Vec::new();
        let item = match reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(length) if length as u64 > LINE_BYTES_MAX => Item::Broken {
                line,
                message: format!("line {line} is longer than the limit of {LINE_BYTES_MAX} bytes"),
            },
            Ok(length) => {
                position += length as u64;
                trim_end(&mut bytes);
                if json && bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                match record_of(bytes, json) {
                    Ok(record) => Item::Record {
                        line,
                        record: completed(record, defaults),
                        position,
                    },
                    Err(error) => Item::Unreadable { line, error },
                }
            }
            Err(error) => Item::Broken {
                line,
                message: format!("cannot read line {line}: {error}"),
            },
        };
        let is_last = matches!(item, Item::Broken { .. });
        if items.blocking_send(item).is_err() || is_last {
            return;
        }
    }
}

fn record_of(line: Vec<u8>, json: bool) -> Result<Record, AdminError> {
    if json {
        return serde_json::from_slice(&line).map_err(|error| no_record(&error));
    }
    Ok(Record {
        value: Some(Bytes::from(line)),
        ..Record::default()
    })
}

/// The library counts lines from the beginning of what it is given, which is always the first.
fn no_record(error: &serde_json::Error) -> AdminError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let message = if error.column() > 0 {
        format!("not a record, column {}: {what}", error.column())
    } else {
        format!("not a record: {what}")
    };
    AdminError::new(ErrorCode::Invalid, message).hint(SHAPE)
}

const SHAPE: &str = "a line is an object such as {\"key\": \"k\", \"value\": \"text or any JSON\", \"headers\": {\"name\": \"value\"}}; \
                     sharemill produce --help lists its fields, all of them optional";

/// Passes over the lines before `from`: the bytes that they have. Fails with the number of the first line that is not there.
fn skip(reader: &mut impl BufRead, from: u64) -> Result<u64, (u64, String)> {
    let mut position = 0;
    for line in 1..from {
        match reader.skip_until(b'\n') {
            Ok(0) => {
                let lines = output::counted(line - 1, "line");
                return Err((line, format!("--from-line is {from}, and the input has {lines}")));
            }
            Ok(length) => position += length as u64,
            Err(error) => return Err((line, format!("cannot read line {line}: {error}"))),
        }
    }
    Ok(position)
}

/// The record with what it does not say itself; default headers come before its own.
fn completed(record: Record, defaults: &Record) -> Record {
    Record {
        key: record.key.or_else(|| defaults.key.clone()),
        value: record.value,
        headers: defaults.headers.iter().cloned().chain(record.headers).collect(),
        partition: record.partition.or(defaults.partition),
        timestamp: record.timestamp.or(defaults.timestamp),
    }
}

fn trim_end(line: &mut Vec<u8>) {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
}
