//! Looks at everything that a data directory has after an open, before anything is added, and tells the parent. Called by the child.

use std::time::Duration;

use share_engine::engine::Engine;
use share_engine::engine::describe::RecordInfo;
use share_engine::ids::Offset;
use share_engine::record::RecordView;

use super::child::{GROUP, LETTERS, PARTITIONS, RESULTS, TASKS, say, text};
use super::patience::Patience;
use super::said::{Known, Run, Said, Span, State};
use super::task;

/// Tells all of it, but what is known of the topics that only grow.
pub(super) async fn all(engine: &Engine, known: Known) -> Result<(), String> {
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
    let results = grown(engine, RESULTS, known.results, emitted).await?;
    let letters = grown(engine, LETTERS, known.letters, letter).await?;
    say(&[Said::Looked { results, letters }]);
    Ok(())
}

/// A topic of one partition that only grows, from an offset on.
async fn grown(engine: &Engine, topic: &str, from: u64, tell: fn(&RecordView<'_>) -> Said) -> Result<Span, String> {
    let read = each(engine, topic, 0, from, |record| Some(tell(record))).await?;
    let now = engine.describe_topic(topic).await.map_err(text)?;
    let partition = now.partitions.first();
    Ok(Span {
        from,
        // It may have become shorter than what is known of it.
        end: partition.map_or(0, |partition| partition.end).min(read),
        start: partition.map_or(0, |partition| partition.start),
        bytes: now.bytes,
    })
}

/// Where the records of a partition stand, as soon as the open has done with those that were held.
async fn stands(engine: &Engine, partition: u32) -> Result<(), String> {
    let mut patience = Patience::new(engine, TURN);
    let records = loop {
        let records = engine.records(GROUP, TASKS, partition, Offset::ZERO, usize::MAX);
        let records = records.await.map_err(text)?;
        let unsettled = |record: &&RecordInfo| record.in_transition || record.state == "acquired";
        let count = records.iter().filter(unsettled).count();
        if count == 0 {
            break records;
        }
        // Nothing tells when; it is a matter of one commit.
        patience.rest(count as u64, std::thread::park_timeout)?;
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

const TURN: Duration = Duration::from_millis(1);

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
            at: record.offset.get(),
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
        Some(Said::Letter {
            at: record.offset.get(),
            partition,
            offset,
            number: task::number(record).ok()?,
        })
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
