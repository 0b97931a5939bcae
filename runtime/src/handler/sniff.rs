//! What a file is, from its bytes alone: enough to give every wrong file its own message before a compiler sees it.

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A component whose top-level sections are all there.
    Component,
    /// A core module.
    CoreModule,
    /// A component that ends in the middle of a section.
    Truncated {
        /// Bytes that its last section needs at least.
        needed: u64,
    },
    /// Something else, in a few words.
    Other(&'static str),
}

/// What is said of wasm in text form.
pub(super) const WAT: &str = "it looks like the text form of wasm";

pub(super) fn sniff(bytes: &[u8]) -> Found {
    let Some((magic, rest)) = bytes.split_at_checked(4) else {
        return Found::Other(match bytes {
            [] => "it is empty",
            _ => "it has fewer than 8 bytes",
        });
    };
    if magic != b"\0asm" {
        return Found::Other(match bytes.trim_ascii_start() {
            [b'(', ..] | [b';', b';', ..] => WAT,
            [0x7f, b'E', b'L', b'F', ..] => "it is a native executable",
            _ => "it does not start with the wasm magic number",
        });
    }
    match rest {
        [1, 0, 0, 0, ..] => Found::CoreModule,
        [0x0d, 0, 1, 0, sections @ ..] => walk(sections, 8),
        [_, _, _, _, ..] => Found::Other("it has an unknown wasm version"),
        _ => Found::Truncated { needed: 8 },
    }
}

/// Each section is an id byte, a length in LEB128 and that many bytes.
fn walk(mut sections: &[u8], mut at: u64) -> Found {
    while let [_id, body @ ..] = sections {
        let Some((size, length_bytes)) = leb_u32(body) else {
            return Found::Truncated {
                needed: at + 2 + body.len() as u64,
            };
        };
        let end = at + 1 + length_bytes as u64 + u64::from(size);
        let rest = body.get(length_bytes..).unwrap_or_default();
        let Some(next) = usize::try_from(size).ok().and_then(|size| rest.get(size..)) else {
            return Found::Truncated { needed: end };
        };
        sections = next;
        at = end;
    }
    Found::Component
}

/// The number and the bytes it takes; `None` if it is cut off. Overlong ones are left to the validator.
fn leb_u32(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}
