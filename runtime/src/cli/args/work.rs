//! Arguments of the commands that move records: `run`, `produce`, `invoke`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use super::{DataArgs, FormatArg, ManifestArg, QueryArgs};
use crate::admin::DeadLetterId;
use crate::config::{LogFormat, parse_duration};

/// `sharemill run`.
#[derive(Args, Debug)]
#[command(
    after_help = "At level info the log names, for each deployment, up to 10 dead letters and one failed attempt a second, and how many \
                  more there were. When the host ends, a line for each deployment sums up."
)]
pub struct RunArgs {
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// End when every record is handled and nothing is parked
    #[arg(long)]
    pub until_idle: bool,
    /// Serve Prometheus text at http://ADDR/metrics; port 0 takes a free one [env: SHAREMILL_METRICS]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub metrics: Option<SocketAddr>,
    /// What running handlers get to finish after the first signal, 0s to 1h [manifest default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = hour_at_most)]
    pub drain_timeout: Option<Duration>,
    /// How log lines look [env: SHAREMILL_LOG_FORMAT] [manifest default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormatChoice>,
    /// Least severe level that is logged, or a filter [env: SHAREMILL_LOG] [manifest default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "expected an address and a port, such as 127.0.0.1:9464".to_owned();
    text.parse().map_err(wrong)
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormatChoice {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormatChoice> for LogFormat {
    fn from(choice: LogFormatChoice) -> Self {
        match choice {
            LogFormatChoice::Text => Self::Text,
            LogFormatChoice::Json => Self::Json,
        }
    }
}

/// `sharemill produce`.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("input").args(["values", "file", "ndjson"])),
    after_help = "Without values, --file or --ndjson, standard input is read, one value a line. A line that can never be stored is \
        refused and does not stop those after it. Where a topic, the journal or the disk is full, everything waits in its order; what \
        gets no room in time ends the command, which then says up to where all is stored. With --format json every line has a line of its own on stdout: where it is, or why not.\n\n\
        NDJSON: one object a line, all fields optional:\n  \
        {\"key\": \"k\", \"value\": \"text or any JSON\", \"headers\": {\"name\": \"value\"}, \"partition\": 0, \"timestamp\": 1700000000000}\n  \
        \"key_base64\" and \"value_base64\" carry bytes; a missing value is a null value."
)]
pub struct ProduceArgs {
    /// Topic to append to
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Values, one record each
    #[arg(value_name = "VALUE")]
    pub values: Vec<String>,
    /// File of values, one a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// File of JSON objects, one a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub ndjson: Option<PathBuf>,
    /// Line at which to begin, from 1: to go on where an earlier produce was cut off
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        hide_default_value = true,
        conflicts_with = "values",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub from_line: u64,
    /// Key of every record that has none
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Header of every record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
    /// Partition of every record that names none [default: by key, else in turn]
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Timestamp of every record that has none, milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub timestamp: Option<i64>,
    /// How long to wait for room in a topic, journal or disk that is full, since the last record was taken, 0s to 1h
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = hour_at_most)]
    pub timeout: Duration,
    /// Which data directory.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill invoke`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("input").args(["record", "value"])))]
pub struct InvokeArgs {
    /// Component file, or - for the deployment's own
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,
    /// File with one record as JSON, in the form that produce --ndjson reads; - for standard input
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Value of the record
    #[arg(long, value_name = "VALUE")]
    pub value: Option<String>,
    /// Key of the record
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Header of the record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
    /// Topic that the record is said to come from [default: the deployment's, else "invoke"]
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Delivery count that the handler sees, from 1
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub attempt: u32,
    /// File with the checkpoint of an earlier renewal
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Deployment of the manifest whose settings, limits and grants hold; without it nothing is granted to a file, and - is the only
    /// deployment's
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Which manifest.
    #[command(flatten)]
    pub manifest: ManifestArg,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill test`.
#[derive(Args, Debug)]
#[command(
    after_help = "Runs each record through the built component with the deployment's settings, limits and grants, in an instance of its own. \
        Nothing is produced. Requests to servers that are granted are sent, with an idempotency key that begins with test:. Exit code 1 \
        if a record comes to something else than its file expects, 2 if a file has lines that are no such records.\n\n\
        A record file (*.ndjson) has one JSON object a line. Its fields are those of produce --ndjson (key, value, headers, partition, timestamp, \
        key_base64, value_base64) and these, of which only expect is required:\n  \
        \"name\"             what the record is called here\n  \
        \"topic\"            where it is said to come from; the deployment's topic otherwise\n  \
        \"delivery_count\"   which attempt it is, from 1\n  \
        \"checkpoint\"       what an earlier renewal left, or \"checkpoint_base64\"\n  \
        \"expect\"           an outcome, or an object with it and more\n\n\
        What an expectation does not mention is not compared:\n  \
        \"outcome\"          accept, release, reject, renew, or trap, out-of-memory, deadline, limit, exit\n  \
        \"after\"            the delay of a release or renew, such as \"30s\"; null: none of its own\n  \
        \"reason\"           all of it; \"reason_contains\": a part of it\n  \
        \"checkpoint\"       what a renew leaves, or \"checkpoint_base64\"\n  \
        \"emits\"            all records that it emits, in order: topic, and what else is given of each\n  \
        \"sends\"            the same of what it sends\n\n\
        A value that is no text is compared as JSON, in whatever order its keys are and however its numbers are written; integers of more than 64 bits \
        are rounded, so that a value with them is to be given as text. With --data-dir or --bootstrap a dead letter is asked for there; \
        the deployment is the manifest's all the same.\n\n\
        {\"value\": {\"unit\": \"K\"}, \"expect\": {\"outcome\": \"reject\", \"reason_contains\": \"K\"}}"
)]
pub struct TestArgs {
    /// Only records with this in their name or in FILE:LINE
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// File of records, or folder of such files, *.ndjson; those of deployment NAME may be in a folder NAME, this one or one below it
    /// [default: records beside the manifest]
    #[arg(long, value_name = "PATH")]
    pub records: Option<PathBuf>,
    /// Deployment whose component, settings, limits and grants hold [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Component file in place of the deployment's; - for its own
    #[arg(long, value_name = "FILE")]
    pub component: Option<PathBuf>,
    /// Replay this dead letter instead, and say what would become of it if it were redriven now; it stays where it lies. Requests are
    /// sent with its own idempotency key
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET", conflicts_with_all = ["filter", "records"])]
    pub from_dead_letter: Option<DeadLetterId>,
    /// Which manifest, and whom to ask for the dead letter.
    #[command(flatten)]
    pub query: QueryArgs,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn hour_at_most(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration > Duration::from_hours(1) {
        Err("above the limit of 1h".to_owned())
    } else {
        Ok(duration)
    }
}
