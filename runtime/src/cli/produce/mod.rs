//! `sharemill produce`: records from arguments, lines or NDJSON through bounded channels to the topic, and one result each back.

mod input;
mod tally;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IsTerminal as _;

use tokio::sync::mpsc;

use super::args::ProduceArgs;
use super::open::{self, Absent, Patience, Place};
use crate::admin::{Admin, AdminError, ErrorCode, PRODUCE_BUFFER, ProduceResult, Record};
use crate::config::nearest;
use crate::output::{self, Failure, Format};
use input::{Input, Item, Source};
use tally::Tally;

/// Appends records to a topic; fails if any of them was refused.
pub(super) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let format = Format::from(args.format);
    let source = Source::of(&args);
    let input = Input::open(source, defaults(&args))?;
    let noun = if args.values.is_empty() { "line" } else { "value" };
    let tally = RefCell::new(Tally::new(&args.topic, noun, format, input.size()));
    let place = open::place(&args.data)?;
    let (absent, patience) = (Absent::CreateFor(&args.topic), Patience::default());
    let produced = open::once(&place, absent, &patience, async |admin| {
        let end = match stream(admin, &args, input, &tally).await {
            Err(End::UnknownTopic(error)) => Err(unknown_topic(admin, &place, &args.topic, error).await),
            Err(End::Failed(failure)) => Err(failure),
            Ok(()) => Ok(()),
        };
        tally.borrow_mut().finish(end.is_ok())?;
        end
    });
    produced.await?;
    if tally.borrow().has_failures() {
        Err(Failure::told())
    } else {
        Ok(())
    }
}

/// What records get that do not say otherwise.
fn defaults(args: &ProduceArgs) -> Record {
    Record {
        key: args.key.clone().map(Into::into),
        value: None,
        headers: args
            .headers
            .iter()
            .map(|(name, value)| input::header(name, value))
            .collect(),
        partition: args.partition,
        timestamp: args.timestamp,
    }
}

/// Reads, sends and counts at the same time, each waiting for the next through a bounded channel.
async fn stream(admin: &dyn Admin, args: &ProduceArgs, input: Input, tally: &RefCell<Tally>) -> Result<(), End> {
    let (record_sender, record_receiver) = mpsc::channel(PRODUCE_BUFFER);
    let (result_sender, result_receiver) = mpsc::channel(PRODUCE_BUFFER);
    // Line of every record that is under way: results come in the order of the records.
    let lines = RefCell::new(VecDeque::new());
    let (read, produced, collected) = tokio::join!(
        forward(input, record_sender, &lines, tally),
        admin.produce(&args.topic, args.timeout, record_receiver, result_sender),
        collect(result_receiver, &lines, tally),
    );
    collected?;
    let unknown = lines.borrow();
    match produced {
        Err(error) if error.code == ErrorCode::NotFound => Err(End::UnknownTopic(error)),
        Err(error) => {
            let mut tally = tally.borrow_mut();
            match unknown.front() {
                Some(first) if error.code != ErrorCode::Full => tally.unknown_from(*first),
                first => tally.stopped(first.copied()),
            }
            Err(stream_failed(error, unknown.len()).into())
        }
        Ok(()) => Ok(read?),
    }
}

/// How a stream ended before its time.
enum End {
    UnknownTopic(AdminError),
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn unknown_topic(admin: &dyn Admin, place: &Place, topic: &str, error: AdminError) -> Failure {
    let known = admin.topics().await.unwrap_or_default();
    let hint = match nearest(topic, known.iter().map(|known| known.name.as_str())) {
        Some(known) => format!("did you mean {known}?"),
        None if place.is_broken => {
            "the topics of a manifest are made when nothing is wrong with it: sharemill config check".to_owned()
        }
        None => {
            format!("sharemill topic list names the topics there are; sharemill topic create {topic} makes this one")
        }
    };
    Failure::new(error.message).hint(hint)
}

async fn forward(
    mut input: Input,
    records: mpsc::Sender<Record>,
    lines: &RefCell<VecDeque<u64>>,
    tally: &RefCell<Tally>,
) -> Result<(), Failure> {
    loop {
        let item = tokio::select! {
            biased;
            // The other side has failed and says why; the input may wait for a person.
            () = records.closed() => return Ok(()),
            item = input.next() => item,
        };
        let Some(item) = item else { return Ok(()) };
        match item {
            Item::Record { line, record, position } => {
                lines.borrow_mut().push_back(line);
                tally.borrow_mut().position(position);
                tally.borrow_mut().reached(line);
                // A failure is seen above.
                let _ = records.send(record).await;
            }
            Item::Unreadable { line, error } => {
                let mut tally = tally.borrow_mut();
                tally.reached(line);
                tally.refused(line, &error)?;
            }
            Item::Broken { line, message } => {
                tally.borrow_mut().unread_from(line);
                return Err(Failure::new(message));
            }
        }
    }
}

async fn collect(
    mut results: mpsc::Receiver<ProduceResult>,
    lines: &RefCell<VecDeque<u64>>,
    tally: &RefCell<Tally>,
) -> Result<(), Failure> {
    while let Some(result) = results.recv().await {
        let line = lines.borrow_mut().pop_front().unwrap_or_default();
        tally.borrow_mut().result(line, result.outcome)?;
    }
    Ok(())
}

fn stream_failed(error: AdminError, unknown: usize) -> Failure {
    let is_unknown = matches!(
        error.code,
        ErrorCode::Unavailable | ErrorCode::Internal | ErrorCode::Protocol
    );
    if unknown > 0 && is_unknown {
        let records = output::counted(unknown as u64, "record");
        output::warning(&format!("{records} had no result yet and may or may not be stored"));
    }
    error.into()
}

/// Whether a person is to type the input.
fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}
