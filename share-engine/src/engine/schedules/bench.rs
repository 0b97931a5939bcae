//! What both builds open: a small engine over a disk in memory, with a topic and a group.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::config::{EngineConfig, GroupConfig, TopicConfig};
use crate::engine::{Engine, Environment};
use crate::hook::Hook;
use crate::record::NewRecord;
use crate::storage::MemoryStorage;
use crate::testing::{ManualClock, SeededEntropy};

pub(super) const TOPIC: &str = "orders";
pub(super) const GROUP: &str = "work";

/// A directory with a topic and a group, to be forked. `run` runs a function once, where the checker's locks work.
pub(super) fn prepared(run: fn(Box<dyn Fn() + Send + Sync>)) -> &'static MemoryStorage {
    static STORAGE: OnceLock<MemoryStorage> = OnceLock::new();
    STORAGE.get_or_init(|| {
        let storage = MemoryStorage::new(7);
        let made = storage.clone();
        run(Box::new(move || {
            let (engine, mut pump, _) = Engine::open_stepped(environment(&made, Hook::default()), small()).unwrap();
            pump.wait(engine.create_topic(TOPIC, TopicConfig::default())).unwrap();
            pump.wait(engine.create_group(GROUP, GroupConfig::default())).unwrap();
            pump.wait(engine.subscribe(GROUP, TOPIC)).unwrap();
            pump.wait(engine.close()).unwrap();
        }));
        storage
    })
}

pub(super) fn small() -> EngineConfig {
    let mut config = EngineConfig {
        journal_file_bytes: 64 << 10,
        journal_bytes: 128 << 10,
        memory_window: 1 << 20,
        segment_bytes: 8 << 10,
        reserve_bytes: 0,
        ..EngineConfig::default()
    };
    config.limits.group_bytes = 4 << 10;
    config
}

pub(super) fn environment(storage: &MemoryStorage, hook: Hook) -> Environment {
    Environment {
        storage: Arc::new(storage.clone()),
        clock: Arc::new(ManualClock::default()),
        entropy: Arc::new(SeededEntropy::new(11)),
        hook,
    }
}

/// Two of them do not fit into one group.
pub(super) fn record() -> NewRecord {
    NewRecord {
        value: Some(Bytes::from_static(&[b'a'; 2_200])),
        ..NewRecord::default()
    }
}
