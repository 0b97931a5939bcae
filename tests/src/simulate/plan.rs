//! What one seed does: sizes of the engine's files, settings of topics and groups, and how often each action comes.

use std::collections::BTreeMap;

use share_engine::config::{Durability, EngineConfig, GroupConfig, OnFull, Retention, Start, TopicConfig, WindowMode};

use super::chance::Chance;
use super::model::{Drops, LETTERS, group_name, topic_name};

/// What a step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Produce,
    Acquire,
    Settle,
    SettleLate,
    Extend,
    Abandon,
    Join,
    Leave,
    Redrive,
    Drain,
    CreateTopic,
    DeleteTopic,
    GrowTopic,
    AlterTopic,
    CreateGroup,
    AlterGroup,
    Subscribe,
    DeleteGroup,
    Reset,
    Wait,
    WaitLong,
    SetClock,
    Look,
    Crash,
    Close,
    FailCall,
    FillDisk,
    FlipBit,
    Idle,
}

impl Action {
    /// Whether it changes topics or groups.
    pub(crate) fn is_administration(self) -> bool {
        matches!(
            self,
            Self::CreateTopic
                | Self::DeleteTopic
                | Self::GrowTopic
                | Self::AlterTopic
                | Self::CreateGroup
                | Self::AlterGroup
                | Self::Subscribe
                | Self::DeleteGroup
                | Self::Reset
        )
    }
}

/// Every action with its weight.
const WEIGHTS: &[(Action, u64)] = &[
    (Action::Produce, 220),
    (Action::Acquire, 200),
    (Action::Settle, 320),
    (Action::SettleLate, 10),
    (Action::Extend, 20),
    (Action::Abandon, 6),
    (Action::Join, 12),
    (Action::Leave, 5),
    (Action::Redrive, 10),
    (Action::Drain, 10),
    (Action::CreateTopic, 3),
    (Action::DeleteTopic, 1),
    (Action::GrowTopic, 1),
    (Action::AlterTopic, 1),
    (Action::CreateGroup, 3),
    (Action::AlterGroup, 2),
    (Action::Subscribe, 3),
    (Action::DeleteGroup, 1),
    (Action::Reset, 3),
    (Action::Wait, 60),
    (Action::WaitLong, 16),
    (Action::SetClock, 1),
    (Action::Look, 8),
    (Action::Crash, 7),
    (Action::Close, 3),
    (Action::FailCall, 4),
    (Action::FillDisk, 2),
    (Action::FlipBit, 1),
    (Action::Idle, 100),
];

/// The plan of one run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) engine: EngineConfig,
    weights: Vec<(Action, u64)>,
    total: u64,
    /// Bytes of most values.
    pub(crate) value_bytes: u64,
    /// Records of a produce at most.
    pub(crate) batch: u64,
    /// Of each part of the engine: how often it is stepped.
    pub(crate) paces: [u64; 4],
    /// Of four turns of the shard, how many commit what there is to commit.
    pub(crate) commits: u64,
    /// Some accepts come with records.
    pub(crate) emits: bool,
    /// Steps of parts after an action at most.
    pub(crate) turns: u64,
    /// The longest that a call of the disk takes, in nanoseconds; 0: none takes any time.
    pub(crate) slowness: u64,
    /// As they are, or will be made next.
    pub(crate) topics: BTreeMap<u8, TopicConfig>,
    pub(crate) groups: BTreeMap<u8, GroupConfig>,
    /// The journal has little room most of the time.
    pub(crate) crowded: bool,
}

/// One run in so many is crowded.
const CROWDED: u64 = 8;

/// Topics and groups that there may be; one more topic comes at the end.
pub(crate) const TOPICS: u8 = 3;
pub(crate) const GROUPS: u8 = 2;

impl Plan {
    /// The plan that follows from a seed. With `swarm` some of its actions never come, and others often.
    pub(crate) fn new(chance: &mut Chance, swarm: bool) -> Self {
        // Drawn aside, so that all other runs are what they were before there were crowded ones.
        let mut aside = chance.aside();
        let mut weights = WEIGHTS.to_vec();
        if swarm {
            for (_, weight) in &mut weights {
                *weight = match chance.below(6) {
                    0 => 0,
                    1 => *weight * 4,
                    2 => weight.div_ceil(3),
                    _ => *weight,
                };
            }
            // Nothing would happen at all.
            weights[0].1 = weights[0].1.max(60);
        }
        let engine = engine(chance);
        if engine.durability == Durability::Os {
            // A topic that comes back with the loss of power is more than the model can follow.
            let unchanging = weights.iter_mut().filter(|(action, _)| action.is_administration());
            unchanging.for_each(|(_, weight)| *weight = 0);
        }
        let mut plan = Self {
            engine,
            total: 0,
            weights,
            value_bytes: chance.pick(&[10, 40, 200, 600]),
            batch: chance.pick(&[1, 3, 6]),
            paces: [6, 6, chance.pick(&[1, 3, 6]), chance.pick(&[1, 3, 6])],
            commits: chance.pick(&[0, 1, 3, 4]),
            emits: true,
            turns: chance.pick(&[2, 4, 8]),
            slowness: chance.pick(&[0, 0, 0, 5_000_000, 300_000_000]),
            topics: (0..=TOPICS).map(|number| (number, topic(chance, number))).collect(),
            groups: (0..GROUPS).map(|number| (number, group(chance, number))).collect(),
            crowded: aside.one_in(CROWDED),
        };
        if plan.crowded {
            plan.crowd(&mut aside);
        }
        plan.total = plan.weights.iter().map(|(_, weight)| weight).sum();
        plan
    }

    /// More is produced than is drained: the ring fills up, goes round and grows.
    fn crowd(&mut self, chance: &mut Chance) {
        self.engine.journal_bytes = self.engine.journal_file_bytes * chance.pick(&[2, 2, 3, 6]);
        self.value_bytes = 600;
        self.batch = 6;
        self.paces = [60, 60, chance.pick(&[0, 1, 4]), 10];
        for (action, weight) in &mut self.weights {
            match action {
                Action::Produce => *weight = (*weight).max(300) * 2,
                Action::Look | Action::Close | Action::Crash | Action::FlipBit => *weight = weight.div_ceil(3),
                _ => {}
            }
        }
    }

    /// The next action.
    pub(crate) fn action(&self, chance: &mut Chance) -> Action {
        let mut left = chance.below(self.total);
        for (action, weight) in &self.weights {
            if left < *weight {
                return *action;
            }
            left -= weight;
        }
        Action::Idle
    }

    /// Members only accept from now on.
    pub(crate) fn calm(&mut self) {
        self.emits = false;
    }

    /// Other settings for a topic.
    pub(crate) fn other_topic(chance: &mut Chance, number: u8, partitions: u32) -> TopicConfig {
        TopicConfig {
            partitions,
            ..topic(chance, number)
        }
    }

    /// Other settings for a group; its dead letters go where they went.
    pub(crate) fn other_group(&self, chance: &mut Chance, number: u8) -> GroupConfig {
        GroupConfig {
            dead_letter: self.groups[&number].dead_letter.clone(),
            ..group(chance, number)
        }
    }

    pub(crate) fn topic(&self, topic: u8) -> TopicConfig {
        self.topics[&topic].clone()
    }

    pub(crate) fn group(&self, group: u8) -> GroupConfig {
        self.groups[&group].clone()
    }
}

/// Small files, so that a short run goes round the ring, rolls segments and leaves memory behind.
fn engine(chance: &mut Chance) -> EngineConfig {
    let file = 64 << 10;
    let mut config = EngineConfig {
        durability: if chance.one_in(6) {
            Durability::Os
        } else {
            Durability::Sync
        },
        journal_file_bytes: file,
        journal_bytes: file * chance.within(2, 4),
        memory_window: chance.pick(&[512, 4 << 10, 32 << 10, 1 << 20]),
        segment_bytes: chance.pick(&[4 << 10, 8 << 10, 64 << 10]),
        reserve_bytes: chance.pick(&[0, 0, 64 << 10]),
        ..EngineConfig::default()
    };
    config.limits.group_bytes = chance.pick(&[4 << 10, 16 << 10, 32 << 10]);
    config.limits.produce_bytes = chance.pick(&[2 << 10, 1 << 20]);
    config.limits.read_ahead_bytes = chance.pick(&[1, 2 << 10, 64 << 10]);
    config
}

fn topic(chance: &mut Chance, number: u8) -> TopicConfig {
    let mut config = TopicConfig {
        partitions: chance.pick(&[1, 1, 2]) as u32,
        retention: Retention::Queue,
        ..TopicConfig::default()
    };
    if number == TOPICS {
        return config;
    }
    match chance.below(10) {
        0 => {
            config.retention = Retention::Bounded {
                millis: Some(chance.within(10, 60) * 1_000),
                bytes: None,
            };
        }
        1 => {
            config.retention = Retention::Bounded {
                millis: None,
                bytes: Some(16 << 10),
            };
        }
        2 => {
            config.max_bytes = Some(32 << 10);
            config.on_full = OnFull::DropOldest;
        }
        3 => config.max_bytes = Some(24 << 10),
        _ => {}
    }
    config
}

fn group(chance: &mut Chance, group: u8) -> GroupConfig {
    let lock = chance.pick(&[1_000, 2_000, 10_000]);
    GroupConfig {
        attempts: chance.within(1, 4) as u16,
        lock_millis: lock,
        max_lease_millis: u64::from(lock) * chance.pick(&[2, 20, 1_000]),
        dead_letter: (!chance.one_in(3)).then(|| topic_name(LETTERS + group)),
        window: match chance.below(4) {
            0 => WindowMode::Acquired(5),
            1 => WindowMode::Span(chance.pick(&[10, 100])),
            _ => WindowMode::Acquired(100_000),
        },
        start: start(chance),
    }
}

/// Where a group begins, or is set to.
pub(crate) fn start(chance: &mut Chance) -> Start {
    match chance.below(8) {
        0 => Start::Latest,
        1 => Start::ByDuration(chance.pick(&[0, 500, 20_000])),
        _ => Start::Earliest,
    }
}

/// When a topic's records may go before its groups are through with them. They go by the segment, whose size is a quarter
/// of the limit or a batch, and what is being produced counts.
pub(crate) fn drops(config: &TopicConfig) -> Drops {
    match (config.on_full, config.max_bytes, &config.retention) {
        (OnFull::DropOldest, Some(_), _) if config.partitions > 1 => Drops::Ever,
        (OnFull::DropOldest, Some(bytes), _) => Drops::Above(bytes / 4),
        (
            _,
            _,
            Retention::Bounded {
                millis: Some(millis), ..
            },
        ) => Drops::Old(millis * 1_000_000),
        (_, _, Retention::Bounded { bytes: Some(bytes), .. }) => Drops::Above(bytes / 2),
        _ => Drops::Never,
    }
}

/// The number of a group by its name.
pub(crate) fn group_of(name: &str) -> Option<u8> {
    (0..GROUPS).find(|group| group_name(*group) == name)
}
