//! Durations (`"1h30m"`) and sizes (`"64MiB"`) as people write them, parsed and printed.
//! Pure text; parsing what was printed gives the same value. Used by the manifest and the command line.

use std::fmt::Write as _;
use std::time::Duration;

/// Why a duration or a size could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Nothing but blanks.
    #[error("is empty, expected {expected}")]
    Empty {
        /// An example of what is expected.
        expected: &'static str,
    },
    /// A number without a unit.
    #[error("\"{text}\" has no unit, expected {expected}")]
    NoUnit {
        /// What was given.
        text: String,
        /// An example of what is expected.
        expected: &'static str,
    },
    /// A unit that is not known.
    #[error("\"{text}\" has the unknown unit \"{unit}\", expected one of {known}")]
    UnknownUnit {
        /// What was given.
        text: String,
        /// The part that is not a unit.
        unit: String,
        /// All units.
        known: &'static str,
    },
    /// No digits where digits were expected.
    #[error("\"{text}\" is not a number with a unit, expected {expected}")]
    NotANumber {
        /// What was given.
        text: String,
        /// An example of what is expected.
        expected: &'static str,
    },
    /// Does not fit 64 bits.
    #[error("\"{text}\" is too large")]
    TooLarge {
        /// What was given.
        text: String,
    },
}

/// Reads `"250ms"`, `"30s"`, `"1h30m"`, `"7d"`. Units: `ms`, `s`, `m`, `h`, `d`, `w`; whole numbers only.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const EXPECTED: &str = "a duration such as \"30s\", \"5m\", \"1h30m\" or \"250ms\"";
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(UnitError::Empty { expected: EXPECTED });
    }
    let mut rest = trimmed;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, tail) = split_quantity(rest);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(unit_error(trimmed, number, unit, EXPECTED, "ms, s, m, h, d, w")),
        };
        total = scaled(number, milliseconds)
            .and_then(|amount| total.checked_add(amount))
            .ok_or_else(|| number_error(trimmed, number, EXPECTED))?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Reads `"64MiB"`, `"10GiB"`, `"1GB"`, `"512B"`. `KiB` is 1,024 bytes, `KB` is 1,000.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    const EXPECTED: &str = "a size such as \"64MiB\", \"10GiB\" or \"1GB\"";
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(UnitError::Empty { expected: EXPECTED });
    }
    let (number, unit, tail) = split_quantity(trimmed);
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    match known {
        Some((_, bytes)) if tail.is_empty() => {
            scaled(number, *bytes).ok_or_else(|| number_error(trimmed, number, EXPECTED))
        }
        _ => Err(unit_error(
            trimmed,
            number,
            unit,
            EXPECTED,
            "B, KB, MB, GB, TB, KiB, MiB, GiB, TiB",
        )),
    }
}

/// Prints a duration so that [`parse_duration`] reads the same value; parts below a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, milliseconds) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        let count = rest / milliseconds;
        rest %= milliseconds;
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    text
}

/// Prints a size exactly, in the largest unit that divides it; [`parse_size`] reads the same value.
pub fn format_size(bytes: u64) -> String {
    let unit = SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
        .unwrap_or(&("B", 1));
    format!("{}{}", bytes / unit.1, unit.0)
}

/// In increasing order; at equal reach the binary unit stands later and is preferred for printing.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Leading digits, the letters behind them, and what follows.
fn split_quantity(text: &str) -> (&str, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest
        .find(|c: char| c.is_ascii_digit() || c.is_whitespace())
        .unwrap_or(rest.len());
    let (unit, tail) = rest.split_at(letters);
    (number, unit, tail.trim_start())
}

fn scaled(number: &str, factor: u64) -> Option<u64> {
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn number_error(text: &str, number: &str, expected: &'static str) -> UnitError {
    if number.is_empty() {
        UnitError::NotANumber {
            text: text.to_owned(),
            expected,
        }
    } else {
        UnitError::TooLarge { text: text.to_owned() }
    }
}

fn unit_error(text: &str, number: &str, unit: &str, expected: &'static str, known: &'static str) -> UnitError {
    let text = text.to_owned();
    if number.is_empty() {
        UnitError::NotANumber { text, expected }
    } else if unit.is_empty() {
        UnitError::NoUnit { text, expected }
    } else {
        UnitError::UnknownUnit {
            text,
            unit: unit.to_owned(),
            known,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1h 5s", 3_605_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("10GiB", 10 << 30),
            ("1GB", 1_000_000_000),
            ("512B", 512),
            ("1 KiB", 1024),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let message = |error: UnitError| error.to_string();
        insta::assert_snapshot!(message(parse_duration("30").unwrap_err()), @r#""30" has no unit, expected a duration such as "30s", "5m", "1h30m" or "250ms""#);
        insta::assert_snapshot!(message(parse_duration("30 parsecs").unwrap_err()), @r#""30 parsecs" has the unknown unit "parsecs", expected one of ms, s, m, h, d, w"#);
        insta::assert_snapshot!(message(parse_duration("soon").unwrap_err()), @r#""soon" is not a number with a unit, expected a duration such as "30s", "5m", "1h30m" or "250ms""#);
        insta::assert_snapshot!(message(parse_duration("99999999999999999999d").unwrap_err()), @r#""99999999999999999999d" is too large"#);
        insta::assert_snapshot!(message(parse_size("10").unwrap_err()), @r#""10" has no unit, expected a size such as "64MiB", "10GiB" or "1GB""#);
        insta::assert_snapshot!(message(parse_size("10G").unwrap_err()), @r#""10G" has the unknown unit "G", expected one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB"#);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(milliseconds in 0..u64::MAX / 2, bytes: u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
            prop_assert_eq!(parse_size(&format_size(bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
