//! In which partition of the state topic a share partition is kept: by the hash that Java has for text.

use share_wire::Uuid;

/// The partition, of as many as the state topic has; 0 if it has none.
pub fn place(group: &str, topic_id: Uuid, partition: i32, partitions: u32) -> u32 {
    let key = format!("{group}:{}:{partition}", base64(topic_id));
    let hash = key
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The one number without a positive counterpart counts as 0.
    let hash = hash.checked_abs().unwrap_or(0).unsigned_abs();
    hash.checked_rem(partitions).unwrap_or(0)
}

/// An id as Kafka writes it: 22 characters.
fn base64(id: Uuid) -> String {
    let bits = id.as_u128();
    let digit = |index: u32| {
        // The last digit holds two bits, and four that are 0.
        let six = if index < 21 {
            bits >> (122 - 6 * index)
        } else {
            bits << 4
        };
        let six = usize::try_from(six & 63).unwrap_or(0);
        DIGITS.get(six).copied().map_or('A', char::from)
    };
    (0..22).map(digit).collect()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
