//! Little endian base-128 integers and a checked reader of bytes. Used by the codecs of this folder; everything
//! read here comes from disk, so nothing is trusted.

/// Why bytes cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or a value lies outside its range.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Written by a newer version.
    #[error("{what} {kind}, which is unknown; the newest known is {newest}")]
    UnknownKind {
        /// `an operation of kind`, `a change of kind`, `an archive cause` or `a park with flags`.
        what: &'static str,
        /// The kind.
        kind: u8,
        /// The newest known one.
        newest: u8,
    },
}

/// Where encoded bytes go: a buffer, or a counter that measures them first.
pub(crate) trait Sink {
    fn byte(&mut self, byte: u8);
    fn bytes(&mut self, bytes: &[u8]);

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(low_seven_bits(value) | 0x80);
            value >>= 7;
        }
        self.byte(low_seven_bits(value));
    }

    /// Zigzag: small negative numbers stay small.
    fn signed(&mut self, value: i64) {
        self.unsigned((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u64);
        self.bytes(bytes);
    }
}

impl Sink for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what an encoder would write.
#[derive(Default)]
pub(crate) struct Measure(pub(crate) usize);

impl Sink for Measure {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Reads from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(DecodeError::Malformed("a length points past the end"))?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (front, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Malformed("a fixed field is cut short"))?;
        self.0 = rest;
        Ok(*front)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn fixed_u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn fixed_len(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.fixed_u32()?).map_err(|_| DecodeError::Malformed("a length does not fit memory"))
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Malformed("an integer is above 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("an integer is above 64 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        let raw = self.unsigned()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8], DecodeError> {
        let len =
            usize::try_from(self.unsigned()?).map_err(|_| DecodeError::Malformed("a length does not fit memory"))?;
        self.take(len)
    }
}

const fn low_seven_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7F
}
