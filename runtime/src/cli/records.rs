//! `sharemill records`.

use super::args::RecordsArgs;
use super::open::{Absent, with};
use crate::admin::{Admin, RecordView, RecordsQuery};
use crate::output::{self, Align, Failure, Format, Table, milliseconds};

/// Shows the states of a group's records.
pub(super) async fn run(args: RecordsArgs) -> Result<(), Failure> {
    let query = RecordsQuery {
        topic: args.topic.clone(),
        partition: args.partition,
        states: args.states.iter().map(|state| (*state).into()).collect(),
        from: args.from,
        limit: args.limit,
    };
    let ask = async |admin: &dyn Admin| Ok(admin.records(&args.group, query.clone()).await?);
    let page = with(&args.query.data, Absent::Refuse, ask).await?;
    if Format::from(args.query.format) == Format::Json {
        return output::json(&page);
    }
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("offset", Align::Right),
        ("state", Align::Left),
        ("deliveries", Align::Right),
        ("member", Align::Left),
        ("lease left", Align::Right),
        ("due in", Align::Right),
        ("strikes", Align::Right),
        ("checkpoint", Align::Right),
    ]);
    page.records.iter().for_each(|record| table.row(cells(record)));
    output::data(&table.render())?;
    if page.more {
        output::message(&format!(
            "there are more than {}: raise --limit, or begin later with --from",
            args.limit
        ));
    }
    Ok(())
}

fn cells(record: &RecordView) -> [String; 10] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        record.topic.clone(),
        record.partition.to_string(),
        record.offset.to_string(),
        record.state.as_str().to_owned(),
        record.delivery_count.to_string(),
        or_dash(record.member.clone()),
        or_dash(record.lease_left_ms.map(milliseconds)),
        or_dash(record.due_in_ms.map(milliseconds)),
        record.strikes.to_string(),
        or_dash(record.checkpoint_bytes.map(|bytes| output::bytes(bytes.into()))),
    ]
}
