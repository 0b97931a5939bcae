//! Keys, values and reasons as tables show them. Called by the commands that print records.

use crate::output::counted;

/// Text as it is, other bytes by their number; `--format json` has them all.
pub(super) fn text(bytes: Option<&[u8]>) -> String {
    match bytes.map(std::str::from_utf8) {
        None => "null".to_owned(),
        Some(Ok(text)) => text.to_owned(),
        Some(Err(_)) => format!("({}, not text)", counted(bytes.map_or(0, <[u8]>::len) as u64, "byte")),
    }
}

/// What is not known is a dash.
pub(super) fn or_dash(known: Option<impl ToString>) -> String {
    known.map_or_else(|| "-".to_owned(), |known| known.to_string())
}

/// The beginning of a text that is longer than `characters`, marked as cut.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars()
        .take(characters.saturating_sub(3))
        .chain("...".chars())
        .collect()
}
