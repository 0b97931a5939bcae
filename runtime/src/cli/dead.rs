//! `sharemill dead`.

use std::fmt::Write as _;

use super::args::{DeadCommand, DeadFilterArgs, DeadList, DeadRedrive};
use super::open::{Absent, with};
use super::shown::{self, shortened};
use crate::admin::{Admin, AdminError, DeadFilter, DeadLetterDetail, DeadQuery, RedriveRequest, UnreadableLetters};
use crate::output::{self, Align, Failure, Format, Table, bytes, counted, timestamp};

/// Runs one of the dead-letter commands.
pub(super) async fn run(command: DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List(args) => list(args).await,
        DeadCommand::Show(args) => {
            let show = async |admin: &dyn Admin| Ok(admin.dead_letter(args.id.clone()).await?);
            let letter = with(&args.query.data, Absent::Refuse, show).await?;
            match args.query.format.into() {
                Format::Json => output::json(&letter),
                Format::Table => output::data(&described(&letter)),
            }
        }
        DeadCommand::Redrive(args) => redrive(args).await,
    }
}

async fn list(args: DeadList) -> Result<(), Failure> {
    let query = DeadQuery {
        filter: filter(args.filter),
        limit: args.limit,
    };
    let ask = async |admin: &dyn Admin| Ok(admin.dead_letters(query.clone()).await?);
    let page = with(&args.query.data, Absent::Refuse, ask).await?;
    if Format::from(args.query.format) == Format::Json {
        output::json(&page)?;
        return told(&page.unreadable, false);
    }
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("group", Align::Left),
        ("from", Align::Left),
        ("when", Align::Left),
        ("deliveries", Align::Right),
        ("cause", Align::Left),
        ("reason", Align::Left),
    ]);
    for letter in page.dead_letters {
        table.row([
            letter.id.to_string(),
            letter.group,
            format!(
                "{}/{}/{}",
                letter.source_topic, letter.source_partition, letter.source_offset
            ),
            timestamp(letter.timestamp),
            letter.delivery_count.to_string(),
            letter.cause,
            shortened(letter.reason.as_deref().unwrap_or("-"), REASON_CHARACTERS),
        ]);
    }
    output::data(&table.render())?;
    if page.more {
        output::message(&format!("there are more than {}: raise --limit", args.limit));
    }
    if !page.hidden.is_empty() {
        output::message(&format!(
            "not looked at, since this principal may not read them: {}; --topic NAME says how that is granted",
            page.hidden.join(", ")
        ));
    }
    told(&page.unreadable, false)
}

/// Names what cannot be read; fails if there is anything, or if something else failed.
fn told(unreadable: &[UnreadableLetters], failed: bool) -> Result<(), Failure> {
    for place in unreadable {
        let UnreadableLetters {
            topic,
            partition,
            first,
            last,
            ..
        } = place;
        let letters = counted(place.letters, "dead letter");
        let message = format!(
            "{letters} in {topic}/{partition}, offsets {first} to {last}, cannot be read: {}",
            place.error.message
        );
        output::failure(&Failure::from(AdminError {
            message,
            ..place.error.clone()
        }));
    }
    if unreadable.is_empty() && !failed {
        Ok(())
    } else {
        Err(Failure::told())
    }
}

async fn redrive(args: DeadRedrive) -> Result<(), Failure> {
    let filter = filter(args.filter);
    let request = match (args.all, args.ids) {
        (true, _) => RedriveRequest::All(filter),
        (false, ids) if !ids.is_empty() => RedriveRequest::Ids(ids),
        (false, _) => {
            let hint = if filter == DeadFilter::default() {
                "name them as sharemill dead list does, TOPIC/PARTITION/OFFSET, or give --all"
            } else {
                "add --all for every one that the filters leave"
            };
            return Err(Failure::usage("which dead letters are to be redriven is not said").hint(hint));
        }
    };
    let ask = async |admin: &dyn Admin| Ok(admin.redrive(request.clone()).await?);
    let result = with(&args.query.data, Absent::Refuse, ask).await?;
    if Format::from(args.query.format) == Format::Json {
        output::json(&result)?;
    } else if !result.redriven.is_empty() || result.failed.is_empty() {
        let mut table = Table::new(&[("dead letter", Align::Left), ("now", Align::Left)]);
        for redriven in &result.redriven {
            let now = format!("{}/{}/{}", redriven.topic, redriven.partition, redriven.offset);
            table.row([redriven.id.to_string(), now]);
        }
        output::data(&table.render())?;
    }
    for failed in &result.failed {
        let failure = Failure::new(format!("{} was not redriven: {}", failed.id, failed.error.message));
        let hint = failed.error.hint.clone();
        output::failure(&match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    told(&result.unreadable, !result.failed.is_empty())
}

fn filter(args: DeadFilterArgs) -> DeadFilter {
    DeadFilter {
        group: args.group,
        topic: args.topic,
        cause: args.cause,
    }
}

fn described(letter: &DeadLetterDetail) -> String {
    let summary = &letter.summary;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<12}{}", output::printable(value));
    };
    line("id", &summary.id.to_string());
    line("group", &summary.group);
    line(
        "from",
        &format!(
            "{}/{}/{}",
            summary.source_topic, summary.source_partition, summary.source_offset
        ),
    );
    line("when", &timestamp(summary.timestamp));
    line("cause", &summary.cause);
    line("reason", summary.reason.as_deref().unwrap_or("-"));
    if letter.by_broker {
        line(
            "written by",
            "the broker, which has neither the handler's reason nor its log",
        );
    }
    line("deliveries", &summary.delivery_count.to_string());
    line("module", letter.module.as_deref().unwrap_or("-"));
    if let Some(size) = letter.checkpoint_bytes {
        line("checkpoint", &bytes(size.into()));
    }
    line("key", &shown::text(letter.record.key.as_deref()));
    for header in &letter.record.headers {
        line(
            "header",
            &format!("{}={}", header.name, shown::text(header.value.as_deref())),
        );
    }
    line("value", &shown::text(letter.record.value.as_deref()));
    section(&mut text, "trap", letter.trap.as_deref().unwrap_or_default().lines());
    section(
        &mut text,
        "earlier attempts",
        letter.attempts.iter().map(String::as_str),
    );
    section(&mut text, "log", letter.log.iter().map(String::as_str));
    text
}

fn section<'a>(text: &mut String, name: &str, lines: impl Iterator<Item = &'a str>) {
    let lines: Vec<String> = lines.map(|line| format!("  {}\n", output::printable(line))).collect();
    if !lines.is_empty() {
        let _ = write!(text, "\n{name}\n{}", lines.concat());
    }
}

/// What a table shows of a reason.
const REASON_CHARACTERS: usize = 60;
