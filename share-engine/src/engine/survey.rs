//! What a data directory holds, told without opening it: nothing is recovered, repaired or written. For whoever only wants to know, on a
//! directory that no engine has open; reads no more than an open does.

use std::path::Path;
use std::sync::Arc;

use super::clock::SystemClock;
use super::describe::{GroupDescription, TopicDescription};
use super::recovery;
use super::shard::World;
use crate::config::EngineConfig;
use crate::error::OpenError;
use crate::journal::files_within;
use crate::storage::{FileStorage, Storage};
use crate::sys::open_files_max;
use crate::time::{Clock, Now};

/// Topics and groups as an open would find them.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By name; their segments are as large as an engine with the default settings makes them.
    pub topics: Vec<TopicDescription>,
    /// By name; the engine's own are left out. Nobody is a member of any.
    pub groups: Vec<GroupDescription>,
}

/// Looks at a directory of this machine, whose lock it takes for that time. Empty where no engine has begun one.
///
/// # Errors
/// Another owner, damage, a newer format, or a disk that refuses.
pub fn survey_directory(directory: impl AsRef<Path>) -> Result<Survey, OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(directory.as_ref())?);
    let now = SystemClock.now();
    Ok(recovery::look(&storage, now)?.map_or_else(Survey::default, |world| Survey::of(&world, now)))
}

/// Whether this process may open a journal that has, or may grow to, so many files; an open refuses it with the same words.
///
/// # Errors
/// [`OpenError::OpenFiles`].
pub fn open_files_suffice(files: u64) -> Result<(), OpenError> {
    Ok(files_within(open_files_max(), files)?)
}

impl Survey {
    fn of(world: &World, now: Now) -> Self {
        let config = EngineConfig::default();
        let topics = world.catalog.topics();
        let groups = world.catalog.groups().filter(|group| !group.internal);
        Self {
            topics: topics
                .filter_map(|topic| world.describe_topic(&topic.name, &config).ok())
                .collect(),
            groups: groups
                .filter_map(|group| world.describe_group(&group.name, 0, now.monotonic).ok())
                .collect(),
        }
    }
}
