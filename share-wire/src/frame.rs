//! Frames: a length of four bytes, then as many bytes (Kafka protocol guide, "Common Request and Response Structure"; fact:
//! brokers refuse requests above `socket.request.max.bytes`, 100 MiB).

use bytes::{Buf as _, Bytes, BytesMut};

use crate::error::WireError;

/// The largest frame that is read unless another limit is set, in bytes: what a broker takes in the other direction.
pub const FRAME_MAX: u32 = 100 << 20;

/// Cuts what arrives into frames. Bytes may come in pieces of any size.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    limit: u32,
}

impl Frames {
    /// `limit`: the largest frame, in bytes without its length.
    pub fn new(limit: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// Where received bytes are to be put, behind those that are there.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame, without its length; `None` until there is one. After an error nothing more can be read.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*length);
        if len > self.limit {
            return Err(WireError::FrameTooLarge { len, limit: self.limit });
        }
        let whole = LENGTH + usize::try_from(len).unwrap_or(usize::MAX);
        if self.buffer.len() < whole {
            // No more than arrives is made room for at once: the length may be a lie.
            self.buffer.reserve((whole - self.buffer.len()).min(RESERVE));
            return Ok(None);
        }
        self.buffer.advance(LENGTH);
        Ok(Some(self.buffer.split_to(whole - LENGTH).freeze()))
    }

    /// Whether a part of a frame is here: an end now is not a clean one.
    pub fn is_within(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// Bytes of a frame's length.
pub(crate) const LENGTH: usize = 4;

/// Room made at once for a frame that is on its way.
const RESERVE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(frames: &mut Frames, bytes: &[u8]) -> Vec<Bytes> {
        let mut out = Vec::new();
        for byte in bytes {
            frames.buffer().extend_from_slice(&[*byte]);
            out.extend(frames.next_frame().unwrap());
        }
        out
    }

    #[test]
    fn frames_are_whole_whatever_pieces_they_come_in() {
        let mut frames = Frames::new(16);
        let out = fed(&mut frames, &[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
        assert_eq!(out, [&[7, 8][..], &[], &[9]]);
        assert!(!frames.is_within());
        frames.buffer().extend_from_slice(&[0, 0]);
        assert!(frames.is_within());
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_it_is_read() {
        let mut frames = Frames::new(16);
        frames.buffer().extend_from_slice(&[0, 0, 0, 17]);
        let error = frames.next_frame().unwrap_err();
        assert_eq!(error, WireError::FrameTooLarge { len: 17, limit: 16 });
        // The first bytes of a TLS alert, and a negative length.
        for head in [[0x15, 3, 3, 0], [0xff, 0xff, 0xff, 0xff]] {
            let mut frames = Frames::new(FRAME_MAX);
            frames.buffer().extend_from_slice(&head);
            assert!(matches!(frames.next_frame(), Err(WireError::FrameTooLarge { .. })));
        }
    }

    #[test]
    fn a_length_that_is_a_lie_makes_little_room() {
        let mut frames = Frames::new(FRAME_MAX);
        frames.buffer().extend_from_slice(&(FRAME_MAX - 1).to_be_bytes());
        assert_eq!(frames.next_frame().unwrap(), None);
        assert!(frames.buffer().capacity() < 4 << 20);
    }
}
