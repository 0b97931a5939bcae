//! In which partition of the state topic a share partition is kept: by the hash that Java has for text.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use share_wire::Uuid;

/// The partition, of as many as the state topic has; 0 if it has none.
pub fn place(group: &str, topic_id: Uuid, partition: i32, partitions: u32) -> u32 {
    let topic_id = BASE64_URL_SAFE_NO_PAD.encode(topic_id);
    let key = format!("{group}:{topic_id}:{partition}");
    let hash = key
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The one number without a positive counterpart counts as 0.
    let hash = hash.checked_abs().unwrap_or(0).unsigned_abs();
    hash.checked_rem(partitions).unwrap_or(0)
}
