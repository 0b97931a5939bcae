//! `sharemill records`.

use super::args::RecordsArgs;
use super::cluster;
use super::open::{self, Absent, with_place};
use super::shown::or_dash;
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
    // The parser wants one of the two.
    let group = args.group.or(args.named).unwrap_or_default();
    let ask = async |admin: &dyn Admin| Ok(admin.records(&group, query.clone()).await?);
    let place = open::place(&args.query.data)?;
    let page = with_place(&place, Absent::Refuse, ask).await?;
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
    // Of a cluster's records there is less to tell.
    output::data(&if place.is_cluster() {
        cluster::records(&page.records)
    } else {
        table.render()
    })?;
    if page.more {
        output::message(&format!(
            "there are more than {}: raise --limit, or begin later with --from",
            args.limit
        ));
    }
    Ok(())
}

fn cells(record: &RecordView) -> [String; 10] {
    [
        record.topic.clone(),
        record.partition.to_string(),
        record.offset.to_string(),
        record.state.as_str().to_owned(),
        or_dash(record.delivery_count),
        or_dash(record.member.clone()),
        or_dash(record.lease_left_ms.map(milliseconds)),
        or_dash(record.due_in_ms.map(milliseconds)),
        or_dash(record.strikes),
        or_dash(record.checkpoint_bytes.map(|bytes| output::bytes(bytes.into()))),
    ]
}
