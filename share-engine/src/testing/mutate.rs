//! Makes nearly valid input out of valid input, the same for the same seed. Called by the tests of the fuzz bodies.

use super::SeededEntropy;
use crate::entropy::Entropy;

/// Changes bytes in the ways that find the mistakes of decoders.
#[derive(Debug)]
pub struct Mutator(SeededEntropy);

/// What lies beside the ends of ranges.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFF,
];

impl Mutator {
    /// The same seed gives the same changes.
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// One to four changes; pieces may come from `other`. The result is at most twice as long as both together.
    pub fn mutate(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let longest = 2 * (bytes.len() + other.len()) + 64;
        for _ in 0..=self.below(4) {
            self.change(bytes, other);
        }
        bytes.truncate(longest);
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&self, limit: usize) -> usize {
        let number = self.0.next_u64() % u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(number).unwrap_or(0)
    }

    fn change(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        let len = 1 + self.below(16.max(bytes.len() / 8));
        match self.below(9) {
            0 | 1 => self.set(bytes, at, |byte, random| byte ^ (1 << (random & 7))),
            2 => self.set(bytes, at, |_, random| random),
            3 | 4 => {
                let edge = EDGES.get(self.below(EDGES.len())).copied().unwrap_or(0);
                let width = 1 << self.below(4);
                let mut number = edge.to_le_bytes();
                if let (1, Some(low)) = (self.below(2), number.get_mut(..width)) {
                    low.reverse();
                }
                for (place, byte) in bytes.iter_mut().skip(at).zip(number).take(width) {
                    *place = byte;
                }
            }
            5 => {
                let end = (at + len).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let end = (at + len).min(bytes.len());
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            7 => {
                let from = self.below(other.len());
                let piece = other.get(from..(from + len).min(other.len())).unwrap_or_default();
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            _ if self.below(4) == 0 => bytes.truncate(at),
            _ => {
                let piece: Vec<u8> = (0..self.below(9)).map(|_| self.random()).collect();
                bytes.splice(at..at, piece);
            }
        }
    }

    fn set(&self, bytes: &mut [u8], at: usize, change: impl Fn(u8, u8) -> u8) {
        if let Some(byte) = bytes.get_mut(at) {
            *byte = change(*byte, self.random());
        }
    }

    fn random(&self) -> u8 {
        let [byte, ..] = self.0.next_u64().to_le_bytes();
        byte
    }
}
