//! Snappy. Kafka's Java code writes the frames of the xerial library: 16 bytes of head, then blocks, each behind its length of four
//! bytes. Others write one block without a head. Both are read; the frames are written.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::CodecError;

pub(super) fn expand(packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0; room];
    let Some(mut rest) = packed.strip_prefix(MAGIC) else {
        block(packed, limit, &mut out)?;
        return Ok(out);
    };
    // Two versions, which have been 1 for ever.
    rest = rest.get(8..).ok_or(cut())?;
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk().ok_or(cut())?;
        let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| cut())?;
        let (packed, behind) = behind.split_at_checked(len).ok_or(cut())?;
        block(packed, limit - (out.len() - room), &mut out)?;
        rest = behind;
    }
    Ok(out)
}

fn block(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let len = decompress_len(packed)?;
    if len > limit {
        return Err(CodecError::Grows);
    }
    // What a block may become is said at its beginning: no room for what it cannot.
    if len > packed.len().saturating_mul(GROWTH) {
        return Err(CodecError::Refused(format!("{} bytes claim to be {len}", packed.len())));
    }
    let start = out.len();
    out.resize(start + len, 0);
    let place = out.get_mut(start..).unwrap_or_default();
    Decoder::new().decompress(packed, place)?;
    Ok(())
}

pub(super) fn pack(plain: &[u8], mut out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = Encoder::new();
    for piece in plain.chunks(BLOCK) {
        let head = out.len();
        out.resize(head + 4 + max_compress_len(piece.len()), 0);
        let place = out.get_mut(head + 4..).unwrap_or_default();
        let len = encoder.compress(piece, place)?;
        out.truncate(head + 4 + len);
        if let Some(place) = out.get_mut(head..head + 4) {
            place.copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    Ok(out)
}

fn cut() -> CodecError {
    CodecError::Refused("a block that is cut off".to_owned())
}

const MAGIC: &[u8] = b"\x82SNAPPY\0";

/// As the Java library cuts.
const BLOCK: usize = 32 << 10;

/// Three bytes copy up to 64.
const GROWTH: usize = 22;
