//! What a power loss or a failed sync leaves of writes that were not synced: any of them, in any order, cut at any
//! sector; of names, the first ones in order.

use std::collections::BTreeMap;

use super::tree::{Content, Directory, Node, Pending, ROOT, Tree};
use crate::entropy::Entropy;
use crate::testing::SeededEntropy;

/// What becomes of everything that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPlan {
    /// All of it is lost.
    Lose,
    /// All of it is kept, as after the death of the process alone.
    Keep,
    /// Each file and directory has its own fate: lost, kept, kept up to some point with the last write torn at a
    /// sector, or each sector of each write by itself.
    Random(u64),
}

impl CrashPlan {
    pub(super) const fn seed(self) -> u64 {
        match self {
            Self::Lose | Self::Keep => 0,
            Self::Random(seed) => seed,
        }
    }
}

/// The tree after a power loss; nothing is pending in it.
pub(super) fn crash(tree: &Tree, plan: CrashPlan) -> Tree {
    let entropy = SeededEntropy::new(plan.seed());
    let mut after = Tree {
        nodes: BTreeMap::new(),
        next: tree.next,
        handles: BTreeMap::new(),
    };
    let mut open = vec![ROOT];
    while let Some(id) = open.pop() {
        let node = match &tree.nodes[&id] {
            Node::File(content) => {
                let mut content = content.clone();
                match plan {
                    CrashPlan::Lose => {}
                    CrashPlan::Keep => content.durable = content.current.clone(),
                    CrashPlan::Random(_) => settle(&mut content, &entropy),
                }
                content.pending.clear();
                content.current = content.durable.clone();
                Node::File(content)
            }
            Node::Directory(directory) => {
                let kept = match plan {
                    CrashPlan::Lose => 0,
                    CrashPlan::Keep => directory.pending.len(),
                    CrashPlan::Random(_) => below(&entropy, directory.pending.len() + 1),
                };
                let mut names = directory.durable.clone();
                for renaming in &directory.pending[..kept] {
                    renaming.apply(&mut names);
                }
                open.extend(names.values());
                Node::Directory(Directory {
                    current: names.clone(),
                    durable: names,
                    pending: Vec::new(),
                })
            }
        };
        after.nodes.insert(id, node);
    }
    after
}

/// A sync failed: some of the pending writes are on disk, the others never will be, and readers see them all.
pub(super) fn fail_sync(content: &mut Content, seed: u64) {
    settle(content, &SeededEntropy::new(seed));
    content.pending.clear();
}

/// Brings some of the pending writes to the disk.
fn settle(content: &mut Content, entropy: &SeededEntropy) {
    let count = content.pending.len();
    match below(entropy, 4) {
        0 => {}
        1 => content
            .pending
            .iter()
            .for_each(|pending| pending.apply(&mut content.durable)),
        2 => {
            let whole = below(entropy, count + 1);
            for (index, pending) in content.pending.iter().enumerate().take(whole + 1) {
                match pending {
                    Pending::Write { position, data } if index == whole => {
                        let sectors = below(entropy, data.len().div_ceil(SECTOR) + 1);
                        let torn = &data[..data.len().min(sectors * SECTOR)];
                        if !torn.is_empty() {
                            content.durable.write(torn, *position);
                        }
                    }
                    whole_one if index < whole => whole_one.apply(&mut content.durable),
                    _ => {}
                }
            }
        }
        _ => {
            for pending in &content.pending {
                match pending {
                    Pending::Write { position, data } => {
                        for piece in sectors(*position, data) {
                            if below(entropy, 2) == 0 {
                                content.durable.write(piece.1, piece.0);
                            }
                        }
                    }
                    Pending::SetLen(len) if below(entropy, 2) == 0 => content.durable.set_len(*len),
                    Pending::SetLen(_) => {}
                }
            }
        }
    }
}

/// A write cut where sectors end.
pub(super) fn sectors(position: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = position;
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = SECTOR - super::pages::to_index(at % SECTOR as u64);
        let (piece, behind) = rest.split_at(room.min(rest.len()));
        let start = at;
        at += piece.len() as u64;
        rest = behind;
        Some((start, piece))
    })
}

fn below(entropy: &SeededEntropy, limit: usize) -> usize {
    super::pages::to_index(entropy.next_u64() % limit.max(1) as u64)
}

const SECTOR: usize = 512;
