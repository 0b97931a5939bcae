//! Which part of a write goes past the system's cache, and in which pieces: one rule for the real storage, which writes them by calls of
//! their own, and for the one in memory, which counts and fails each of them. Pure.

use std::ops::Range;

/// Whole sectors go directly as they are. Of other data the whole blocks in the middle do, if they are worth a call of their own: a
/// page that is written in part both ways is written twice.
pub(super) fn direct_part(len: usize, position: u64) -> Range<usize> {
    if position.is_multiple_of(SECTOR as u64) && len.is_multiple_of(SECTOR) {
        return 0..len;
    }
    let past = usize::try_from(position % BLOCK as u64).unwrap_or(0);
    let head = (BLOCK - past) % BLOCK;
    let blocks = len.saturating_sub(head) / BLOCK;
    if blocks * BLOCK < WORTH {
        return 0..0;
    }
    head..head + blocks * BLOCK
}

/// The calls by which all of such a write is made, in order: the pieces of its direct part, then what lies before and behind that.
#[cfg(any(test, feature = "testing"))]
pub(super) fn calls(len: usize, position: u64) -> impl Iterator<Item = Range<usize>> {
    let part = direct_part(len, position);
    let pieces = part
        .clone()
        .step_by(PIECE)
        .map(move |start| start..part.end.min(start + PIECE));
    let part = direct_part(len, position);
    pieces
        .chain([0..part.start, part.end..len])
        .filter(|call| !call.is_empty())
}

/// The smallest unit of a device.
pub(super) const SECTOR: usize = 512;
/// A page, and the largest unit of a device.
pub(super) const BLOCK: usize = 4096;
/// The least that leaves the cache out in the midst of other data.
const WORTH: usize = 64 << 10;
/// The most that is written by one call.
pub(super) const PIECE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sectors_go_directly_and_of_the_rest_the_blocks_between() {
        assert_eq!(direct_part(512, 512), 0..512);
        assert_eq!(direct_part(4096 + 512, 3 * 512), 0..4096 + 512);
        assert_eq!(direct_part(511, 512), 0..0);
        assert_eq!(direct_part(WORTH + 1, 0), 0..WORTH);
        assert_eq!(direct_part(WORTH + 4095, 1), 4095..WORTH + 4095);
        assert_eq!(direct_part(WORTH + 4094, 1), 0..0);
        assert_eq!(direct_part(100, 4095), 0..0);
    }

    #[test]
    fn calls_are_the_pieces_then_the_head_then_the_tail() {
        let all = |len, position| calls(len, position).collect::<Vec<_>>();
        assert_eq!(calls(512, 512).next(), Some(0..512));
        assert_eq!(calls(512, 512).count(), 1);
        assert_eq!(calls(100, 3).next(), Some(0..100));
        assert_eq!(calls(100, 3).count(), 1);
        assert!(all(0, 3).is_empty());
        assert_eq!(
            all(2 * PIECE + 512, 512),
            [0..PIECE, PIECE..2 * PIECE, 2 * PIECE..2 * PIECE + 512]
        );
        assert_eq!(
            all(WORTH + 4097, 1),
            [4095..WORTH + 4095, 0..4095, WORTH + 4095..WORTH + 4097]
        );
        assert_eq!(all(WORTH + 1, 0), [0..WORTH, WORTH..WORTH + 1]);
    }
}
