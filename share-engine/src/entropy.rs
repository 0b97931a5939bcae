//! Randomness as a trait, so that a simulation replays from its seed.

/// A source of random numbers. Implemented by the system's generator and by a seeded one in tests.
pub trait Entropy: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// 128 random bits, for ids.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}
