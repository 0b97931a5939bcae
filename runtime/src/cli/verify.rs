//! `sharemill verify`.

use super::args::VerifyArgs;
use super::{direct, open};
use crate::admin::{AdminClient, VerifyReport};
use crate::output::{self, Align, Failure, Format, Table, bytes, counted};

/// Reads everything on disk; fails if anything is damaged, or newer than this program.
pub(super) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let place = open::place(&args.data)?;
    let source = place.engine()?;
    if let Some(client) = AdminClient::connect(place.data_dir()).await? {
        let message = format!("{} is in use by process {}", place.data_dir().display(), client.pid());
        return Err(Failure::new(message).hint("stop the host first: verify needs the directory to itself"));
    }
    open::require(&place)?;
    let report = direct::verify(source).await?;
    if Format::from(args.format) == Format::Json {
        output::json(&report)?;
    } else {
        if let Some(torn) = &report.torn {
            output::message(&format!(
                "note: {} ends in a write that was cut short at byte {}; the next start cuts it off",
                torn.file, torn.position
            ));
        }
        output::data(&printed(&report))?;
    }
    if report.damage.is_empty() && report.newer.is_empty() {
        return Ok(());
    }
    let damaged = places(report.damage.len(), ["is damaged", "are damaged"]);
    let newer = places(
        report.newer.len(),
        ["was written by a newer version", "were written by a newer version"],
    );
    let unchecked = match report.unchecked.len() {
        0 => String::new(),
        count => format!(", {count} could not be checked because of that"),
    };
    let found: Vec<String> = damaged.into_iter().chain(newer).collect();
    let message = format!("{}: {}{unchecked}", place.data_dir().display(), found.join(", "));
    Err(Failure::new(message).hint(if report.damage.is_empty() {
        "use the newer version of sharemill that wrote it"
    } else {
        "go back to a copy of the folder; nothing in it is repaired by itself"
    }))
}

fn places(count: usize, [is, are]: [&str; 2]) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 place {is}")),
        count => Some(format!("{count} places {are}")),
    }
}

fn printed(report: &VerifyReport) -> String {
    let mut text = String::new();
    for (list, title) in [(&report.damage, "damage"), (&report.newer, "newer")] {
        if list.is_empty() {
            continue;
        }
        let mut table = Table::new(&[("file", Align::Left), ("position", Align::Right), (title, Align::Left)]);
        for one in list {
            table.row([one.file.clone(), one.position.to_string(), one.message.clone()]);
        }
        text = format!("{text}{}\n", table.render());
    }
    if !report.unchecked.is_empty() {
        let mut table = Table::new(&[("not checked", Align::Left), ("why", Align::Left)]);
        for unchecked in &report.unchecked {
            table.row([unchecked.file.clone(), unchecked.message.clone()]);
        }
        text = format!("{text}{}\n", table.render());
    }
    format!(
        "{text}{} read: {}, {} in {} of the logs and {} in {} of the journal; {} damaged\n",
        bytes(report.bytes),
        counted(report.records + report.journal_records, "record"),
        report.records,
        counted(report.segments, "segment"),
        report.journal_records,
        entries(report.journal_entries),
        counted(report.damage.len() as u64, "place"),
    )
}

fn entries(count: u64) -> String {
    let word = if count == 1 { "entry" } else { "entries" };
    format!("{count} {word}")
}
