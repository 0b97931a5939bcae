//! Arguments of the commands that look at a data directory and change what they see: `topic`, `group`, `records`, `dead`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use super::{DataArgs, FormatArg};
use crate::admin::{DeadCause, DeadLetterId, RecordState, ResetTo};
use crate::config::{OnFull, Retention, parse_size};
use crate::metrics::CAUSES;

/// Where a command looks and how it prints.
#[derive(Args, Debug)]
pub struct QueryArgs {
    /// Which data directory.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub format: FormatArg,
}

/// `sharemill topic`.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// List all topics
    List(QueryArgs),
    /// Show one topic with its partitions and groups
    #[command(
        after_help = "LOG START is the oldest offset that is kept, LOG END the offset that the next record gets."
    )]
    Describe(TopicName),
    /// Print the records of a topic; takes none away
    Read(TopicRead),
    /// Create a topic; settings it is not given come from the defaults of the manifest reference
    Create(TopicCreate),
    /// Delete a topic with all its records
    Delete(TopicDelete),
}

/// A topic by name.
#[derive(Args, Debug)]
pub struct TopicName {
    /// Topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill topic read`.
#[derive(Args, Debug)]
pub struct TopicRead {
    /// Topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Only this partition [default: every partition]
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Begin at this offset [default: the oldest that is kept]
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<u64>,
    /// Records to print at most, 1 to 10000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill topic create`.
#[derive(Args, Debug)]
pub struct TopicCreate {
    /// Topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Number of partitions, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub partitions: u32,
    /// queue, forever, or a duration such as 7d [default: 7d]
    #[arg(long, value_name = "RETENTION")]
    pub retention: Option<Retention>,
    /// What it may hold on disk, 1MiB to 1024TiB [default: 10GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_bytes: Option<u64>,
    /// What happens when it is full [default: refuse]
    #[arg(long, value_enum, value_name = "ACTION")]
    pub on_full: Option<OnFullChoice>,
    /// Size at which a new segment begins, 64KiB to 1GiB and at most half of --max-bytes [default: 64MiB, or a quarter of --max-bytes if that is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub segment_bytes: Option<u64>,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// What happens when a topic is full.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnFullChoice {
    /// Producing fails
    Refuse,
    /// The oldest records go, processed or not
    DropOldest,
}

impl From<OnFullChoice> for OnFull {
    fn from(choice: OnFullChoice) -> Self {
        match choice {
            OnFullChoice::Refuse => Self::Refuse,
            OnFullChoice::DropOldest => Self::DropOldest,
        }
    }
}

/// `sharemill topic delete`.
#[derive(Args, Debug)]
pub struct TopicDelete {
    /// Topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Delete it even if it has records or groups
    #[arg(long)]
    pub force: bool,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List all share groups
    List(QueryArgs),
    /// Show one group with its share partitions
    #[command(
        after_help = "START is the oldest offset that the group has not settled, END the one after the last that it has ever taken, \
                      LOG END the offset that the next record gets: what lies from END to LOG END was never handed out. EPOCH grows \
                      with every reset. PINNED BY is the record that keeps a full window from moving on."
    )]
    Describe(GroupName),
    /// Set a group back or forward; checkpoints are dropped
    Reset(GroupReset),
    /// Delete a group; what nobody else needs of what it has settled is not handed out again
    Delete(GroupDelete),
}

/// A group by name.
#[derive(Args, Debug)]
pub struct GroupName {
    /// Share group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill group reset`.
#[derive(Args, Debug)]
pub struct GroupReset {
    /// Share group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// earliest, latest, by-duration:AGE (such as by-duration:1h) or offset:NUMBER
    #[arg(long, value_name = "POSITION")]
    pub to: ResetTo,
    /// Only this topic [default: every topic of the group, on a cluster but for its retry topic]
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only this partition; needs --topic [default: every partition]
    #[arg(long, value_name = "NUMBER", requires = "topic")]
    pub partition: Option<u32>,
    /// Reset it while a host works on it: nothing new begins, what runs has 30 s to end, and counts for nothing afterwards if it has not. A
    /// cluster's group has to be empty all the same
    #[arg(long)]
    pub force: bool,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill group delete`.
#[derive(Args, Debug)]
pub struct GroupDelete {
    /// Share group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Delete it even if it has not settled everything
    #[arg(long)]
    pub force: bool,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill records`.
#[derive(Args, Debug)]
#[command(
    after_help = "DELIVERIES are the attempts so far, the one under way included. LEASE LEFT is what the member has until the record is \
                  taken from it, DUE IN what a parked record still waits. STRIKES are the hosts that died with it, CHECKPOINT is what \
                  its handler left with a renewal. group describe shows the offsets from START to LOG END.\n\n\
                  On a Kafka cluster states are read from the topic __share_group_state, of any group. It does not tell what a member holds from \
                  what was never delivered. With --from below the start offset, what is still known of finished records is shown."
)]
pub struct RecordsArgs {
    /// Share group
    #[arg(value_name = "GROUP", required_unless_present = "named", conflicts_with = "named")]
    pub group: Option<String>,
    /// Share group
    #[arg(long = "group", value_name = "GROUP", id = "named")]
    pub named: Option<String>,
    /// Only this topic [default: every topic of the group]
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only this partition [default: every partition]
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Only these states; may be given several times [default: all]
    #[arg(long = "state", value_enum, value_name = "STATE")]
    pub states: Vec<StateChoice>,
    /// Begin at this offset [default: the group's start offset]
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<u64>,
    /// Records to show at most, 1 to 10000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// State of a record in a group.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StateChoice {
    /// May be acquired
    Available,
    /// Waits for its delay or renewal to be over
    Parked,
    /// Leased by a member
    Acquired,
    /// Accepted
    Acknowledged,
    /// Rejected or given up
    Archived,
    /// Of a cluster: held by a member, or never delivered
    Unknown,
    /// Of a cluster: finished, its outcome no longer known
    Finished,
}

impl From<StateChoice> for RecordState {
    fn from(choice: StateChoice) -> Self {
        match choice {
            StateChoice::Available => Self::Available,
            StateChoice::Parked => Self::Parked,
            StateChoice::Acquired => Self::Acquired,
            StateChoice::Acknowledged => Self::Acknowledged,
            StateChoice::Archived => Self::Archived,
            StateChoice::Unknown => Self::Unknown,
            StateChoice::Finished => Self::Finished,
        }
    }
}

/// `sharemill dead`.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters
    List(DeadList),
    /// Show one dead letter with everything known about it
    #[command(
        after_help = "The last attempt is in cause, reason, trap and log; the earlier ones have a line each. An attempt whose lease ran \
                      out has none."
    )]
    Show(DeadShow),
    /// Append dead letters to the topic they came from and take them out, in one step
    #[command(
        after_help = "The record goes to the end of its topic, for every group that reads it, with all its attempts before it, and a header \
                      sharemill.origin that names where it was first.\n\n\
                      On a Kafka cluster it takes two steps: the record is produced, then the letter is marked. A process that ends between them \
                      leaves the letter where it is, and redriving it again produces the record once more."
    )]
    Redrive(DeadRedrive),
}

/// Which dead letters.
#[derive(Args, Debug)]
pub struct DeadFilterArgs {
    /// Only those of this share group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only those in this dead-letter topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only those with this cause
    #[arg(long, value_name = "CAUSE", value_parser = causes())]
    pub cause: Option<DeadCause>,
}

fn causes() -> impl TypedValueParser<Value = DeadCause> {
    let values = CAUSES
        .iter()
        .map(|(name, help)| PossibleValue::new(name).help(help.replace('`', "")));
    PossibleValuesParser::new(values).try_map(|text| text.parse())
}

/// `sharemill dead list`.
#[derive(Args, Debug)]
pub struct DeadList {
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DeadFilterArgs,
    /// Dead letters to show at most, 1 to 10000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill dead show`.
#[derive(Args, Debug)]
pub struct DeadShow {
    /// Dead letter as dead list names it: TOPIC/PARTITION/OFFSET
    #[arg(value_name = "ID")]
    pub id: DeadLetterId,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// `sharemill dead redrive`.
#[derive(Args, Debug)]
pub struct DeadRedrive {
    /// Dead letters as dead list names them: TOPIC/PARTITION/OFFSET
    #[arg(value_name = "ID", conflicts_with_all = ["all", "group", "topic", "cause"])]
    pub ids: Vec<DeadLetterId>,
    /// Every dead letter, or every one that --group, --topic and --cause leave
    #[arg(long)]
    pub all: bool,
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DeadFilterArgs,
    /// Where and how.
    #[command(flatten)]
    pub query: QueryArgs,
}
