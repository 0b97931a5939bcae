//! Looks at everything that a data directory has after an open, before anything is added, and tells the parent. Called by the child.

use std::time::Duration;

use share_engine::engine::Engine;
use share_engine::engine::describe::RecordInfo;
use share_engine::ids::Offset;
use share_engine::record::RecordView;

use super::child::{GROUP, LETTERS, PARTITIONS, RESULTS, TASKS, say, text};
use super::said::{Known, Run, Said, State};
use super::task;

/// Tells all of it, and returns up to where the topics that only grow are known now.
pub(super) async fn all(engine: &Engine, known: Known) -> Result<Known, String> {
    for partition in 0..PARTITIONS {
        stands(engine, partition).await?;
    }
    let group = engine.describe_group(GROUP).await.map_err(text)?;
    for share in &group.partitions {
        let (partition, offset) = (share.partition, share.start);
        say(&[Said::Start { partition, offset }]);
    }
    for partition in 0..PARTITIONS {
        lies(engine, partition).await?;
    }
    let known = Known {
        results: each(engine, RESULTS, 0, known.results, |record| Some(emitted(record))).await?,
        letters: each(engine, LETTERS, 0, known.letters, |record| Some(letter(record))).await?,
    };
    say(&[Said::Looked(known)]);
    Ok(known)
}

/// Where the records of a partition stand, as soon as the open has done with those that were held.
async fn stands(engine: &Engine, partition: u32) -> Result<(), String> {
    let records = loop {
        let records = engine.records(GROUP, TASKS, partition, Offset::ZERO, usize::MAX);
        let records = records.await.map_err(text)?;
        let unsettled = |record: &RecordInfo| record.in_transition || record.state == "acquired";
        if !records.iter().any(unsettled) {
            break records;
        }
        // Nothing tells when; it is a matter of one commit.
        std::thread::park_timeout(Duration::from_millis(1));
    };
    let mut said: Vec<Said> = Vec::new();
    for record in records {
        let now = match record.state {
            "acknowledged" => State::Acknowledged,
            "archived" => State::Archived,
            _ => State::Open,
        };
        let times = record.delivery_count;
        if let Some(Said::Stands { run, state, count }) = said.last_mut()
            && (*state, *count) == (now, times)
            && run.extend(partition, record.offset)
        {
            continue;
        }
        said.push(Said::Stands {
            run: Run::single(partition, record.offset),
            state: now,
            count: times,
        });
    }
    say(&said);
    Ok(())
}

/// Which records lie in a partition of the tasks.
async fn lies(engine: &Engine, partition: u32) -> Result<(), String> {
    let mut said: Vec<Said> = Vec::new();
    each(engine, TASKS, partition, 0, |record| {
        let number = match task::number(record) {
            Ok(number) => number,
            Err(why) => {
                let place = record.offset;
                return Some(Said::Wrong(format!("task {partition}/{place} is damaged: {why}")));
            }
        };
        if let Some(Said::Lies { run, number: first }) = said.last_mut()
            && *first + run.count() == number
            && run.extend(partition, record.offset.get())
        {
            return None;
        }
        said.push(Said::Lies {
            run: Run::single(partition, record.offset.get()),
            number,
        });
        None
    })
    .await?;
    say(&said);
    Ok(())
}

fn emitted(record: &RecordView<'_>) -> Said {
    let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
    let parts = key.and_then(|key| {
        let mut parts = key.splitn(3, '/');
        let (partition, offset, count) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Said::Emitted {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    let wrong = || Said::Wrong(format!("result {} is damaged", record.offset));
    parts.unwrap_or_else(wrong)
}

fn letter(record: &RecordView<'_>) -> Said {
    let header = |name: &str| {
        let header = record.headers().find(|header| header.name == name.as_bytes())?;
        std::str::from_utf8(header.value?).ok()
    };
    let place = || {
        let partition = header("__dlq.errors.partition")?.parse().ok()?;
        let offset = header("__dlq.errors.offset")?.parse().ok()?;
        task::number(record).ok()?;
        Some(Said::Letter { partition, offset })
    };
    let wrong = || Said::Wrong(format!("dead letter {} is damaged", record.offset));
    place().unwrap_or_else(wrong)
}

/// Reads a partition from `from` to its end and says what `tell` makes of each record; returns the end.
async fn each(
    engine: &Engine,
    topic: &str,
    partition: u32,
    from: u64,
    mut tell: impl FnMut(&RecordView<'_>) -> Option<Said>,
) -> Result<u64, String> {
    let mut next = Offset::saturating(from);
    loop {
        let batches = engine.read(topic, partition, next, 1 << 20).await.map_err(text)?;
        let Some(last) = batches.last() else {
            return Ok(next.get());
        };
        let end = last.last().next();
        let mut said = Vec::new();
        for batch in &batches {
            for record in batch.records() {
                let (record, _) = record.map_err(text)?;
                if record.offset >= next {
                    said.extend(tell(&record));
                }
            }
        }
        say(&said);
        next = end;
    }
}
