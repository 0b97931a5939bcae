//! What is left for a group: what the broker counts, and where it cannot, a guess that is said to be one.

use std::collections::BTreeMap;

use super::Admin;
use super::configs::ConfigOf;
use super::error::AdminError;
use super::offsets::{At, Isolation, Offset};
use super::reset::Reset;

/// What is left for a group in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// By partition: every one that the topic has.
    pub partitions: BTreeMap<i32, Left>,
}

/// What is left in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Records that are not finished, those that members hold among them: the broker counted them.
    Counted(u64),
    /// Offsets from where the group starts, or would start, to the end of the partition. Some may be finished, or no records.
    Guessed {
        /// How many.
        offsets: u64,
        /// From where.
        from: Guess,
    },
}

/// Where a guess counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// The group's start offset: the broker does not know how many records behind it are finished.
    Start,
    /// Nothing was settled yet: where the group begins by its setting.
    Reset(Reset),
    /// Nothing was settled yet, and the setting may not be read: [`Reset::Latest`], as Kafka has it by default.
    AssumedLatest,
}

impl Backlog {
    /// In all partitions, and whether some of it is a guess.
    pub fn total(&self) -> (u64, bool) {
        let left = self.partitions.values();
        left.fold((0, false), |(sum, guessed), left| {
            let is_guess = matches!(left, Left::Guessed { .. });
            (sum.saturating_add(left.offsets()), guessed || is_guess)
        })
    }
}

impl Left {
    /// Records, or offsets where that is all that is known.
    pub const fn offsets(&self) -> u64 {
        match self {
            Self::Counted(records) => *records,
            Self::Guessed { offsets, .. } => *offsets,
        }
    }
}

impl Admin {
    /// What is left for a group in a topic, whether the group exists or not.
    pub async fn backlog(&self, group: &str, topic: &str) -> Result<Backlog, AdminError> {
        let known = match self.group_offsets(group, Some(&[topic])).await {
            Err(error) if error.is_missing() => Vec::new(),
            other => other?,
        };
        let starts: BTreeMap<i32, u64> = known
            .iter()
            .filter_map(|one| Some((one.partition, one.start?)))
            .collect();
        let (reset, isolation) = self.beginning(group).await?;
        let ends = self.offsets(topic, At::Latest, isolation).await?;
        let begins = self.begins(topic, reset, isolation, &ends).await?;
        let left = |(partition, end): (&i32, &Offset)| {
            let counted = known.iter().find(|one| one.partition == *partition);
            if let Some((Some(_), Some(lag))) = counted.map(|one| (one.start, one.lag)) {
                return (*partition, Left::Counted(lag));
            }
            let end = end.offset.unwrap_or(0);
            let begin = |place: Option<&Offset>| place.and_then(|begin| begin.offset).unwrap_or(end);
            let (start, from) = match (starts.get(partition), reset) {
                (Some(start), _) => (*start, Guess::Start),
                (None, Some(reset)) => (begin(begins.get(partition)), Guess::Reset(reset)),
                (None, None) => (end, Guess::AssumedLatest),
            };
            let offsets = end.saturating_sub(start);
            (*partition, Left::Guessed { offsets, from })
        };
        let partitions = ends.iter().map(left).collect();
        Ok(Backlog { partitions })
    }

    /// Where the group begins, if that may be read, and what it sees of transactions.
    async fn beginning(&self, group: &str) -> Result<(Option<Reset>, Isolation), AdminError> {
        let settings = match self.settings(&ConfigOf::Group(group.to_owned())).await {
            Err(AdminError::Denied(_)) => return Ok((None, Isolation::default())),
            other => other?,
        };
        let value = |name: &str| {
            let setting = settings.iter().find(|setting| setting.name == name);
            setting.and_then(|setting| setting.value.as_deref())
        };
        let isolation = value("share.isolation.level").and_then(Isolation::parse);
        let reset = value("share.auto.offset.reset").and_then(Reset::parse);
        Ok((reset, isolation.unwrap_or_default()))
    }

    /// Where a group would begin.
    async fn begins(
        &self,
        topic: &str,
        reset: Option<Reset>,
        isolation: Isolation,
        ends: &BTreeMap<i32, Offset>,
    ) -> Result<BTreeMap<i32, Offset>, AdminError> {
        match reset {
            None | Some(Reset::Latest) => Ok(ends.clone()),
            Some(Reset::Earliest) => self.offsets(topic, At::Earliest, isolation).await,
            Some(Reset::ByDuration(age)) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                let since = now_ms().saturating_sub(age);
                self.offsets(topic, At::Timestamp(since), isolation).await
            }
        }
    }
}

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with what other machines wrote into records"
)]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_a_guess_in_it_is_a_guess() {
        let guess = Left::Guessed {
            offsets: 3,
            from: Guess::Start,
        };
        let total = |rows: [Left; 2]| {
            Backlog {
                partitions: (0..).zip(rows).collect(),
            }
            .total()
        };
        assert_eq!(total([Left::Counted(2), Left::Counted(5)]), (7, false));
        assert_eq!(total([Left::Counted(2), guess]), (5, true));
    }
}
