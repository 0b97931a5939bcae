//! Texts for reasons. Invariant: never above the contract's limit, and a cut is visible in the text itself.
use std::fmt::{self, Write};

use crate::REASON_LIMIT;

/// The text, cut at [`REASON_LIMIT`] bytes. Formatting stops there, so that a huge message costs no memory.
pub(crate) fn bounded(text: fmt::Arguments<'_>) -> String {
    let mut bounded = Bounded {
        text: String::new(),
        is_cut: false,
    };
    // An error is either the limit, noted in `is_cut`, or a `Display` that gave up: what there is stays useful.
    let _ = bounded.write_fmt(text);
    if bounded.is_cut {
        truncate(&mut bounded.text, REASON_LIMIT - MARK.len());
        bounded.text.push_str(MARK);
    }
    bounded.text
}

const MARK: &str = " [cut]";

struct Bounded {
    text: String,
    is_cut: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = REASON_LIMIT - self.text.len();
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.is_cut = true;
        self.text
            .push_str(part.get(..floor_boundary(part, room)).unwrap_or_default());
        Err(fmt::Error)
    }
}

fn truncate(text: &mut String, limit: usize) {
    text.truncate(floor_boundary(text, limit));
}

/// The last character boundary at or before `limit`.
fn floor_boundary(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_kept_as_they_are() {
        assert_eq!(bounded(format_args!("no {}", "disk")), "no disk");
        let exact = "x".repeat(REASON_LIMIT);
        assert_eq!(bounded(format_args!("{exact}")), exact);
    }

    #[test]
    fn long_texts_are_cut_at_a_character_and_marked() {
        for (text, lead) in [
            ("x".repeat(REASON_LIMIT + 1), "x"),
            ("\u{e9}".repeat(100_000), "\u{e9}"),
        ] {
            let cut = bounded(format_args!("a{text}"));
            assert!(
                cut.len() <= REASON_LIMIT && cut.len() > REASON_LIMIT - 2,
                "{}",
                cut.len()
            );
            assert!(cut.starts_with(&format!("a{lead}")) && cut.ends_with(MARK), "{cut}");
        }
    }

    #[test]
    fn formatting_stops_at_the_limit() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    out.write_str("again ")?;
                }
            }
        }
        assert_eq!(bounded(format_args!("{Endless}")).len(), REASON_LIMIT);
    }
}
