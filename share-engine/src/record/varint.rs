//! Zig-zag LEB128 numbers: small positive and negative numbers in few bytes. At most 5 bytes for 32 bits, 10 for 64.

/// Bytes that `value` takes as a varint or varlong.
#[inline]
pub(super) const fn size(value: i64) -> usize {
    // 1 + floor(bits / 7) for 1 to 64 significant bits.
    ((70 - (zig_zag(value) | 1).leading_zeros()) / 7) as usize
}

/// Bytes that a length takes; lengths lie far below 2^31.
#[inline]
pub(super) const fn size_of_len(len: usize) -> usize {
    size(len.cast_signed() as i64)
}

/// Appends `value`.
#[inline]
pub(super) fn put(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = zig_zag(value);
    while rest >= 0x80 {
        buffer.push(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    buffer.push(low_byte(rest));
}

/// Reads a varlong at the start of `bytes`: the value and the bytes it took. `None` if it is cut or too long.
#[inline]
pub(super) fn get_i64(bytes: &[u8]) -> Option<(i64, usize)> {
    match bytes {
        [first, ..] if *first < 0x80 => Some((un_zig_zag(u64::from(*first)), 1)),
        [first, second, ..] if *second < 0x80 => {
            let value = u64::from(*first & 0x7F) | (u64::from(*second) << 7);
            Some((un_zig_zag(value), 2))
        }
        _ => get_long(bytes),
    }
}

/// Three bytes and more, which few numbers of a batch need.
#[cold]
fn get_long(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0;
    for (index, byte) in (0_u32..10).zip(bytes) {
        // The tenth byte has room for the topmost bit alone.
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7F) << (7 * index);
        if *byte < 0x80 {
            return Some((un_zig_zag(value), index as usize + 1));
        }
    }
    None
}

/// Reads a varint: as [`get_i64`], and `None` if it does not fit 32 bits or takes more than 5 bytes.
#[inline]
pub(super) fn get_i32(bytes: &[u8]) -> Option<(i32, usize)> {
    let (value, taken) = get_i64(bytes)?;
    if taken > 5 {
        return None;
    }
    Some((i32::try_from(value).ok()?, taken))
}

#[inline]
const fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

#[inline]
const fn zig_zag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
const fn un_zig_zag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
