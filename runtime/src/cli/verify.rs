//! `sharemill verify`.

use super::args::VerifyArgs;
use super::{direct, open};
use crate::admin::AdminClient;
use crate::output::{self, Align, Failure, Format, Table, bytes, counted};

/// Reads everything on disk; fails if anything is damaged.
pub(super) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let place = open::place(&args.data)?;
    open::require(&place)?;
    if let Some(client) = AdminClient::connect(place.data_dir()).await? {
        let message = format!("{} is in use by process {}", place.data_dir().display(), client.pid());
        return Err(Failure::new(message).hint("stop the host first: verify needs the directory to itself"));
    }
    let report = direct::verify(&place.source).await?;
    if Format::from(args.format) == Format::Json {
        output::json(&report)?;
    } else {
        let mut table = Table::new(&[
            ("file", Align::Left),
            ("position", Align::Right),
            ("damage", Align::Left),
        ]);
        for damage in &report.damage {
            table.row([damage.file.clone(), damage.position.to_string(), damage.message.clone()]);
        }
        let read = format!(
            "{} read: {} in {}, {} journal entries; {} damaged\n",
            bytes(report.bytes),
            counted(report.records, "record"),
            counted(report.segments, "segment"),
            report.journal_entries,
            counted(report.damage.len() as u64, "place"),
        );
        if let Some(torn) = &report.torn {
            output::message(&format!(
                "note: {} ends in a write that was cut short at byte {}; the next start cuts it off",
                torn.file, torn.position
            ));
        }
        output::data(&if report.damage.is_empty() {
            read
        } else {
            format!("{}\n{read}", table.render())
        })?;
    }
    if report.damage.is_empty() {
        return Ok(());
    }
    let (places, are) = match report.damage.len() {
        1 => ("1 place".to_owned(), "is"),
        count => (format!("{count} places"), "are"),
    };
    let message = format!("{}: {places} {are} damaged", place.data_dir().display());
    Err(Failure::new(message).hint("go back to a copy of the folder; nothing in it is repaired by itself"))
}
