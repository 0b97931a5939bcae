//! Arguments of `archived`.

use clap::{Args, Subcommand};

use super::QueryArgs;

/// `sharemill archived`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Works on any group of a Kafka cluster of 4.2.1 or newer, one that Sharemill never joined as well. Needs READ on the topic \
                  __share_group_state, in which brokers keep what became of single records; what they have cut off there is no longer known, \
                  and is said to be so. An embedded engine keeps dead letters instead: see dead list."
)]
pub struct ArchivedArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: Option<ArchivedCommand>,
    /// Which of them.
    #[command(flatten)]
    pub list: ArchivedList,
}

/// What to do with archived records.
#[derive(Debug, Subcommand)]
pub enum ArchivedCommand {
    /// List them, as archived does by itself
    List(ArchivedList),
    /// Copy them to a topic: key, value, headers and timestamp as they are
    #[command(
        after_help = "The records stay where they are, and archived: a second call copies them again. If it is cut off, it names the first \
                      record that was not copied, to go on with --topic, --partition and --from."
    )]
    Recover(ArchivedRecover),
}

/// `sharemill archived list`.
#[derive(Args, Debug)]
pub struct ArchivedList {
    /// Which of them.
    #[command(flatten)]
    pub filter: ArchivedFilter,
    /// Records to show at most, 1 to 10000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// Which archived records.
#[derive(Args, Clone, Debug)]
pub struct ArchivedFilter {
    /// Share group
    #[arg(long, value_name = "GROUP", required = true)]
    pub group: Option<String>,
    /// Only this topic [default: every topic of the group]
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only this partition [default: every partition]
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Begin at this offset [default: the oldest that is known]
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<u64>,
}

/// `sharemill archived recover`.
#[derive(Args, Debug)]
pub struct ArchivedRecover {
    /// Which of them.
    #[command(flatten)]
    pub filter: ArchivedFilter,
    /// Topic to copy them to; it has to exist
    #[arg(long, value_name = "TOPIC")]
    pub to: String,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}
