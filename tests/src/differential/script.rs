//! Sequences that are written down: one operation a line.
//!
//! ```text
//! produce 3 4                a batch of three records and one of four
//! 0 acquires 5               member 0, exactly
//! 1 acquires 5 whole         whole batches
//! 0 acknowledges 0-2:r 4-5:ax    releases 0 to 2, accepts 4, rejects 5
//! 0 reopens | 0 is killed | 0 leaves | age | expire
//! ```

use anyhow::{Context as _, Result, bail};
use share_engine::share::{AckType, AcquireMode};

use super::operation::{Batch, Operation};

pub(crate) fn parse(text: &str) -> Result<Vec<Operation>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| operation(line).with_context(|| format!("{line:?}")))
        .collect()
}

fn operation(line: &str) -> Result<Operation> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words[..] {
        ["produce", ref sizes @ ..] => Operation::Produce {
            sizes: sizes.iter().map(|size| Ok(size.parse()?)).collect::<Result<_>>()?,
        },
        ["age"] => Operation::Age,
        ["expire"] => Operation::Expire,
        [member, "acquires", max, ref mode @ ..] => {
            let max = max.parse()?;
            Operation::Acquire {
                member: member.parse()?,
                max,
                batch_size: max,
                mode: match mode {
                    [] => AcquireMode::RecordLimit,
                    ["whole"] => AcquireMode::BatchOptimized,
                    _ => bail!("no such mode"),
                },
            }
        }
        [member, "acknowledges", ref batches @ ..] => Operation::Acknowledge {
            member: member.parse()?,
            batches: batches.iter().map(|one| batch(one)).collect::<Result<_>>()?,
        },
        [member, "leaves", ref batches @ ..] => Operation::Leave {
            member: member.parse()?,
            batches: batches.iter().map(|one| batch(one)).collect::<Result<_>>()?,
        },
        [member, "is", "killed"] => Operation::Kill {
            member: member.parse()?,
        },
        [member, "reopens"] => Operation::Reopen {
            member: member.parse()?,
            other_connection: true,
        },
        _ => bail!("no such operation"),
    })
}

fn batch(text: &str) -> Result<Batch> {
    let (range, types) = text.split_once(':').context("no types")?;
    let (first, last) = range.split_once('-').context("no range")?;
    let types = types.chars().map(|letter| {
        Ok(match letter {
            'g' => AckType::Gap,
            'a' => AckType::Accept,
            'r' => AckType::Release,
            'x' => AckType::Reject,
            'n' => AckType::Renew,
            _ => bail!("no type {letter:?}"),
        })
    });
    Ok(Batch {
        first: first.parse()?,
        last: last.parse()?,
        types: types.collect::<Result<_>>()?,
    })
}
