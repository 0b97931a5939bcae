//! Zstandard, by its C library: in Rust there is none yet that is as fast. A batch is read in one step into one piece of memory, so that
//! the window that a frame claims to need is never made.

use std::io::Cursor;

use zstd::bulk::Decompressor;
use zstd::zstd_safe::{CCtx, DCtx, compress_bound, get_error_name};

use super::CodecError;

pub(super) fn expand(packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
    // From the heads of the frames and blocks; not written to before there is something to write.
    let bound = Decompressor::upper_bound(packed).ok_or_else(|| CodecError::Refused("no frame".to_owned()))?;
    let mut out = Vec::with_capacity(room + bound.min(limit));
    out.resize(room, 0);
    let mut place = Cursor::new(out);
    place.set_position(room as u64);
    match DCtx::create().decompress(&mut place, packed).map_err(get_error_name) {
        Ok(len) if len > limit => Err(CodecError::Grows),
        Ok(_) => Ok(place.into_inner()),
        Err(TOO_SMALL) if bound > limit => Err(CodecError::Grows),
        Err(reason) => Err(CodecError::Refused(reason.to_owned())),
    }
}

pub(super) fn pack(plain: &[u8], mut out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let room = out.len();
    out.reserve(compress_bound(plain.len()));
    let mut place = Cursor::new(out);
    place.set_position(room as u64);
    let packed = CCtx::create().compress(&mut place, plain, LEVEL);
    packed.map_err(|code| CodecError::Refused(get_error_name(code).to_owned()))?;
    Ok(place.into_inner())
}

/// What the library says where there is not room enough.
const TOO_SMALL: &str = "Destination buffer is too small";

/// As Kafka's clients compress.
const LEVEL: i32 = 3;
