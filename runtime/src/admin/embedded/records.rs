//! States of a group's records, page by page.

use share_engine::engine::describe::{GroupDescription, ShareDescription};
use share_engine::ids::Offset;

use super::{EmbeddedAdmin, convert};
use crate::admin::group::within;
use crate::admin::{AdminError, ErrorCode, RecordsPage, RecordsQuery};

/// Records looked at in one query of the engine.
const RECORDS_AT_ONCE: usize = 1_000;

impl EmbeddedAdmin {
    pub(super) async fn records_page(&self, group: &str, query: RecordsQuery) -> Result<RecordsPage, AdminError> {
        let description = self.group_named(group).await?;
        check(group, &description, &query)?;
        let shares: Vec<_> = description
            .partitions
            .iter()
            .filter(|share| asked(share, &query))
            .collect();
        let ends: Vec<_> = shares
            .iter()
            .map(|share| (&*share.topic, share.partition, share.log_end))
            .collect();
        within(query.from, &ends)?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut records = Vec::new();
        for share in shares {
            let mut from = query.from.unwrap_or(0).max(share.start);
            while records.len() <= limit {
                let page = self
                    .engine
                    .records(
                        group,
                        &share.topic,
                        share.partition,
                        Offset::saturating(from),
                        RECORDS_AT_ONCE,
                    )
                    .await?;
                let Some(last) = page.last() else { break };
                from = last.offset + 1;
                let views = page.iter().map(|info| {
                    let member = info.member.map(|member| self.member_name(member));
                    convert::record_view(&share.topic, share.partition, info, member)
                });
                records.extend(views.filter(|view| query.states.is_empty() || query.states.contains(&view.state)));
            }
        }
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(RecordsPage { records, more })
    }
}

/// Whether the query is about this partition.
fn asked(share: &ShareDescription, query: &RecordsQuery) -> bool {
    query.topic.as_ref().is_none_or(|topic| *topic == share.topic)
        && query.partition.is_none_or(|number| number == share.partition)
}

/// What is asked for by name or number has to be there.
fn check(group: &str, description: &GroupDescription, query: &RecordsQuery) -> Result<(), AdminError> {
    let mut topics: Vec<&str> = description
        .partitions
        .iter()
        .map(|share| share.topic.as_str())
        .collect();
    topics.dedup();
    let there_is = |known: Vec<String>| match known.as_slice() {
        [] => format!("group {group} reads no topic"),
        known => format!("there is {}", known.join(", ")),
    };
    if let Some(topic) = query.topic.as_deref().filter(|topic| !topics.contains(topic)) {
        let message = format!("group {group} does not read topic {topic:?}");
        let hint = there_is(topics.iter().map(|topic| (*topic).to_owned()).collect());
        return Err(AdminError::new(ErrorCode::NotFound, message).hint(hint));
    }
    let Some(wanted) = query.partition else { return Ok(()) };
    let asked = description.partitions.iter();
    let asked = asked.filter(|share| query.topic.as_ref().is_none_or(|topic| *topic == share.topic));
    let mut numbers: Vec<u32> = asked.map(|share| share.partition).collect();
    if numbers.contains(&wanted) {
        return Ok(());
    }
    numbers.sort_unstable();
    let message = format!("group {group} has no partition {wanted}");
    let hint = match numbers.last() {
        Some(last) => format!("there are partitions 0 to {last}"),
        None => there_is(Vec::new()),
    };
    Err(AdminError::new(ErrorCode::NotFound, message).hint(hint))
}
