//! Opening: the newest snapshot, the partition logs it lists, and the journal behind it, put together by the same
//! code that makes changes so while the engine runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::message::Registration;
use super::refusal::numbered;
use super::shard::{Partition, PartitionInit, World, directory, log_options};
use crate::catalog::CatalogChange;
use crate::config::{EngineConfig, check_name};
use crate::drain::Image;
use crate::entropy::Entropy;
use crate::error::OpenError;
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::journal::{self, Entry, Journal, JournalOptions, Operation, Position, Report, VisitorError};
use crate::log::{LogError, LogIdentity, LogReader, LogWriter, delete_log};
use crate::record::StoredBatch;
use crate::share::{self, SharePartition};
use crate::snapshot;
use crate::storage::Storage;
use crate::time::Now;

/// What recovery puts together.
pub(super) struct Recovered {
    pub(super) directory_id: u128,
    pub(super) world: World,
    pub(super) writers: BTreeMap<PartitionKey, LogWriter>,
    /// The position of the snapshot.
    pub(super) snapshot: Option<u64>,
    pub(super) journal: Journal,
    /// Everything before is in the world.
    pub(super) position: Position,
    pub(super) report: Report,
}

/// Opens a data directory, or makes it if it is empty.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    config: &EngineConfig,
    entropy: &dyn Entropy,
    hook: journal::Hook,
    now: Now,
) -> Result<Recovered, OpenError> {
    let options = JournalOptions {
        file_size: config.journal_file_bytes,
        journal_size: config.journal_bytes,
        durability: config.durability,
        hook,
        ..JournalOptions::default()
    };
    let Some(directory_id) = snapshot::read_format(&**storage)? else {
        return create(storage, options, entropy);
    };
    sync_names(&**storage)?;
    let (mut world, from) = restore(&**storage, directory_id, now)?;
    let orphans = find_orphans(&**storage, &world)?;
    refuse_newer_logs(storage, directory_id, &world)?;
    let mut visit = |_: Position, entry: Entry<'_>| replay(&mut world, &entry, now);
    let (journal, report) = Journal::open(Arc::clone(storage), options, directory_id, from, &mut visit)?;
    // Logs are cut to what the snapshot lists only now: a journal that cannot be read leaves the directory as it is.
    let writers = open_logs(storage, config, directory_id, &mut world)?;
    for directory in orphans {
        match delete_log(&**storage, &directory) {
            Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotADirectory => {}
            other => other?,
        }
    }
    let position = journal.tail();
    Ok(Recovered {
        directory_id,
        world,
        writers,
        snapshot: (from > Position::ZERO).then(|| from.get()),
        journal,
        position,
        report,
    })
}

/// What a directory that nobody has open holds; nothing is changed. `None`: it was never in use.
pub(super) fn look(storage: &Arc<dyn Storage>, now: Now) -> Result<Option<World>, OpenError> {
    let Some(directory_id) = snapshot::read_format(&**storage)? else {
        return Ok(None);
    };
    let (mut world, from) = restore(&**storage, directory_id, now)?;
    refuse_newer_logs(storage, directory_id, &world)?;
    let mut visit = |_: Position, entry: Entry<'_>| replay(&mut world, &entry, now);
    journal::read(&**storage, directory_id, from, &mut visit)?;
    Ok(Some(world))
}

/// What the newest snapshot has, and its position.
fn restore(storage: &dyn Storage, directory_id: u128, now: Now) -> Result<(World, Position), OpenError> {
    let (image, from) = load_snapshot(storage, directory_id)?;
    let mut world = World {
        catalog: image.catalog.clone(),
        ..World::default()
    };
    restore_partitions(&image, &mut world);
    restore_shares(&image, &mut world, now)?;
    Ok((world, from))
}

/// A process that died may have left names in memory only: of the format file, of a ring file, of a snapshot. What follows
/// relies on them: groups are written to that ring file, and what that snapshot does not list is removed.
fn sync_names(storage: &dyn Storage) -> Result<(), OpenError> {
    for directory in ["", "journal", "snapshots"] {
        match storage.sync_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(|source| OpenError::Io {
                context: format!("cannot sync {directory:?} in {}", storage.describe()),
                source,
            })?,
        }
    }
    Ok(())
}

/// The format file comes last: a directory without it has never been in use.
fn create(storage: &Arc<dyn Storage>, options: JournalOptions, entropy: &dyn Entropy) -> Result<Recovered, OpenError> {
    let directory_id = entropy.next_u128();
    let journal = Journal::create(Arc::clone(storage), options, directory_id)?;
    snapshot::write_format(&**storage, directory_id)?;
    let position = journal.tail();
    let report = Report {
        from: position,
        tail: position,
        synced_through: position,
        groups: 0,
        entries: 0,
        clean: true,
        torn: None,
    };
    Ok(Recovered {
        directory_id,
        world: World::default(),
        writers: BTreeMap::new(),
        snapshot: None,
        journal,
        position,
        report,
    })
}

fn load_snapshot(storage: &dyn Storage, directory_id: u128) -> Result<(Image, Position), OpenError> {
    let Some(snapshot) = snapshot::load_newest(storage, directory_id)? else {
        return Ok((Image::default(), Position::ZERO));
    };
    let image = Image::decode(&snapshot)
        .map_err(|error| OpenError::Corrupt(format!("{}: {error}", snapshot::path(snapshot.position))))?;
    Ok((image, Position::new(snapshot.position)))
}

/// The partitions as the snapshot has them, their logs not opened yet.
fn restore_partitions(image: &Image, world: &mut World) {
    let images: BTreeMap<PartitionKey, _> = image.partitions.iter().map(|one| (one.key, one)).collect();
    for topic in image.catalog.topics() {
        let gauge = world.gauge(&topic.name, &topic.config);
        for (index, key) in topic.partitions.iter().enumerate() {
            let Some(one) = images.get(key) else { continue };
            gauge.add(one.log.segments.iter().map(|segment| segment.bytes).sum());
            let init = PartitionInit {
                key: *key,
                topic: Arc::from(topic.name.as_str()),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                shares: Vec::new(),
                gauge: Arc::clone(&gauge),
                start: one.start,
                end: one.end,
                log: None,
                segments: one.log.clone(),
            };
            world.partitions.insert(*key, Partition::new(init));
        }
        world.add_partitions(&topic.name);
    }
}

/// Opens the logs of the partitions that the journal has left, cut to what the snapshot lists.
/// What a newer version wrote is left untouched: this comes before anything is written. Anything else may be of a topic that
/// the journal deletes.
fn refuse_newer_logs(storage: &Arc<dyn Storage>, directory_id: u128, world: &World) -> Result<(), OpenError> {
    for partition in world.partitions.values() {
        let (Some(topic), Some(last)) = (
            world.catalog.topic(&partition.topic),
            partition.segments.segments.last(),
        ) else {
            continue;
        };
        let identity = LogIdentity {
            directory_id,
            topic_id: topic.id,
        };
        let log = LogReader::listed(
            Arc::clone(storage),
            &directory(partition),
            identity,
            &partition.segments,
        );
        if let Err(error @ LogError::Version { .. }) = log.check_version(last) {
            return Err(error.into());
        }
    }
    Ok(())
}

fn open_logs(
    storage: &Arc<dyn Storage>,
    config: &EngineConfig,
    directory_id: u128,
    world: &mut World,
) -> Result<BTreeMap<PartitionKey, LogWriter>, OpenError> {
    let mut writers = BTreeMap::new();
    for (key, partition) in &mut world.partitions {
        if partition.segments.segments.is_empty() {
            continue;
        }
        let Some(topic) = world.catalog.topic(&partition.topic) else {
            continue;
        };
        let identity = LogIdentity {
            directory_id,
            topic_id: topic.id,
        };
        let options = log_options(config, &topic.config);
        let directory = directory(partition);
        let writer = LogWriter::open(Arc::clone(storage), &directory, identity, options, &partition.segments)?;
        partition.log = Some(writer.reader());
        writers.insert(*key, writer);
    }
    Ok(writers)
}

fn restore_shares(image: &Image, world: &mut World, now: Now) -> Result<(), OpenError> {
    let groups: Vec<String> = image.catalog.groups().map(|group| group.name.clone()).collect();
    for group in groups {
        world.add_shares(&group);
    }
    for (key, bytes) in &image.shares {
        let Some(share) = world.shares.get_mut(key) else {
            continue;
        };
        let options = *share.state.options();
        share.state = SharePartition::decode(*key, options, bytes, now)
            .map_err(|error| unreadable(image.position, *key, &error))?;
    }
    Ok(())
}

/// What stands in a snapshot in place of a share partition.
pub(super) fn unreadable(position: u64, key: ShareKey, error: &share::DecodeError) -> OpenError {
    let file = snapshot::path(position);
    match error {
        share::DecodeError::Version { found, known } => {
            numbered(file, "a share partition of format", (*found).into(), (*known).into())
        }
        other => OpenError::Corrupt(format!("{file}: share partition {key}: {other}")),
    }
}

/// Logs that no snapshot lists: left by a drain that did not get to its snapshot, or by a deletion.
fn find_orphans(storage: &dyn Storage, world: &World) -> Result<Vec<String>, OpenError> {
    let names = match storage.list("logs") {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(OpenError::Io {
                context: "list logs".to_owned(),
                source,
            });
        }
    };
    let listed = |name: &str| {
        let of = |partition: &Partition| format!("{}-{}", partition.topic, partition.index) == name;
        let mut partitions = world.partitions.values();
        partitions.any(|partition| !partition.segments.segments.is_empty() && of(partition))
    };
    // What does not look like a log of ours was put there by somebody else.
    let ours = |name: &str| {
        name.rsplit_once('-')
            .is_some_and(|(topic, index)| check_name("topic", topic).is_ok() && index.parse::<u32>().is_ok())
    };
    let orphans = names.iter().filter(|name| ours(name) && !listed(name));
    Ok(orphans.map(|name| format!("logs/{name}")).collect())
}

/// Applies one entry of the journal.
fn replay(world: &mut World, entry: &Entry<'_>, now: Now) -> Result<(), VisitorError> {
    for operation in entry.operations {
        match operation {
            Operation::Append {
                partition,
                base_offset,
                batch,
            } => append(world, *partition, *base_offset, batch)?,
            Operation::Share { share, changes } => {
                // A share partition that was deleted may still have had changes under way.
                let Some(share) = world.shares.get_mut(share) else {
                    continue;
                };
                for change in changes {
                    share.state.apply(change, now)?;
                }
            }
            Operation::Catalog { bytes } => {
                let removed = world.apply(&CatalogChange::decode(bytes)?)?;
                let logs = removed.partitions.iter().map(|one| (one.key, directory(one)));
                world.forgotten.extend(logs);
            }
        }
    }
    Ok(())
}

fn append(world: &mut World, key: PartitionKey, base: Offset, bytes: &[u8]) -> Result<(), VisitorError> {
    let Some(partition) = world.partitions.get_mut(&key) else {
        return Err(format!("a batch for partition {key}, which does not exist").into());
    };
    if base != partition.end {
        return Err(format!(
            "a batch at offset {base} of partition {key}, which ends at {}",
            partition.end
        )
        .into());
    }
    let batch = StoredBatch::new(base, Bytes::copy_from_slice(bytes))?;
    partition.gauge.add(batch.size());
    partition.push(batch);
    Ok(())
}

/// What the sequencer has to know of every partition.
pub(super) fn registrations(world: &World) -> Vec<Registration> {
    let register = |partition: &Partition| Registration {
        partition: partition.key,
        end: partition.end,
        gauge: Arc::clone(&partition.gauge),
    };
    world.partitions.values().map(register).collect()
}

/// Share partitions that recovery left with members of an earlier process, for the report.
pub(super) fn held(world: &World) -> Vec<(ShareKey, u64)> {
    let held = world
        .shares
        .iter()
        .map(|(key, share)| (*key, share.state.counts().acquired));
    held.filter(|(_, acquired)| *acquired > 0).collect()
}
