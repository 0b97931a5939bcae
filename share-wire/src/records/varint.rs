//! Numbers in records: zig-zag, then seven bits a byte, the lowest first. At most 5 bytes for 32 bits, 10 for 64.

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Bytes that `value` takes.
pub(super) const fn size(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads 64 bits at the start of `bytes`: the value and the bytes it took; `None` if it is cut off or too long.
#[inline]
pub(super) fn take_i64(bytes: &[u8]) -> Option<(i64, usize)> {
    match bytes {
        [first, ..] if *first < 0x80 => Some((value(u64::from(*first)), 1)),
        [first, second, ..] if *second < 0x80 => Some((value(u64::from(*first & 0x7f) | u64::from(*second) << 7), 2)),
        _ => take_long(bytes),
    }
}

/// Reads 32 bits, as [`take_i64`].
#[inline]
pub(super) fn take_i32(bytes: &[u8]) -> Option<(i32, usize)> {
    let (value, len) = take_i64(bytes)?;
    if len > 5 {
        return None;
    }
    Some((i32::try_from(value).ok()?, len))
}

/// Three bytes and more, which few numbers need.
#[cold]
fn take_long(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut raw = 0;
    for (index, byte) in (0_u32..10).zip(bytes) {
        // The tenth byte has room for the topmost bit alone.
        if index == 9 && *byte > 1 {
            return None;
        }
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value(raw), index as usize + 1));
        }
    }
    None
}

#[inline]
const fn value(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_edges_come_back() {
        let edges = (0..64).flat_map(|bit| {
            let power = 1_i64 << bit;
            [
                power,
                power.wrapping_sub(1),
                power.wrapping_neg(),
                power.wrapping_neg().wrapping_sub(1),
            ]
        });
        for number in edges {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out.len(), size(number), "{number}");
            assert_eq!(take_i64(&out), Some((number, out.len())));
            let fits = i32::try_from(number).ok().map(|number| (number, out.len()));
            assert_eq!(take_i32(&out), fits);
            assert!((0..out.len()).all(|len| take_i64(&out[..len]).is_none()));
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused_where_it_does_not_fit() {
        assert_eq!(take_i64(&[0xff; 11]), None);
        assert_eq!(
            take_i64(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]),
            None
        );
        // A zero in six bytes.
        assert_eq!(take_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
        assert_eq!(take_i32(&[0x80, 0x80, 0x80, 0x80, 0]), Some((0, 5)));
    }
}
