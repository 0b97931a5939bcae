//! LZ4 frames. Kafka reads only those whose blocks do not depend on each other.

use std::io::Write as _;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{CodecError, read_all};

pub(super) fn expand(packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
    read_all(FrameDecoder::new(packed), packed.len(), limit, room)
}

pub(super) fn pack(plain: &[u8], out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(plain)?;
    encoder.finish().map_err(|error| CodecError::Refused(error.to_string()))
}
