//! A hash over everything that a run asked, was told and did: equal for equal seeds, or the run is not deterministic.

/// FNV-1a over numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Trace {
    pub(crate) fn note(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.0 = (self.0 ^ number).wrapping_mul(0x0000_0100_0000_01B3);
            self.0 ^= self.0 >> 32;
        }
    }

    pub(crate) fn hash(self) -> u64 {
        self.0
    }
}
