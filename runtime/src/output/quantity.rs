//! Sizes, times and counts for people. Rounded: what must be exact is printed as JSON.

use std::fmt::Write as _;

/// Bytes with one decimal: `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the next smaller unit, so that no float is needed.
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while tenths >= 10_240
        && let Some(next) = units.next()
    {
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Milliseconds in the two largest units: `2m5s`, `350ms`.
pub fn milliseconds(count: u64) -> String {
    let parts = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = count;
    let mut text = String::new();
    let mut shown = 0;
    for (unit, size) in parts {
        let amount = rest / size;
        rest %= size;
        if (amount > 0 && !(unit == "ms" && shown > 0)) || (count == 0 && unit == "ms") {
            // Writing to a string cannot fail.
            let _ = write!(text, "{amount}{unit}");
            shown += 1;
        }
        if shown == 2 {
            break;
        }
    }
    text
}

/// `1 record`, `2 records`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Milliseconds since the Unix epoch as UTC: `2026-01-31T12:00:00Z`; the number itself outside of years 1970 to 9999.
pub fn timestamp(milliseconds: i64) -> String {
    let since = u64::try_from(milliseconds).ok().map(std::time::Duration::from_millis);
    since
        .filter(|since| since.as_secs() < 253_402_300_800)
        .and_then(|since| std::time::UNIX_EPOCH.checked_add(since))
        .map_or_else(
            || milliseconds.to_string(),
            |time| humantime::format_rfc3339_seconds(time).to_string(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let sizes: Vec<String> = [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(bytes).into();
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "16383.9 PiB"]);
        let times: Vec<String> = [0, 350, 1_350, 125_000, 3_600_000, 90_061_001].map(milliseconds).into();
        assert_eq!(times, ["0ms", "350ms", "1s", "2m5s", "1h", "1d1h"]);
        assert_eq!(
            (counted(1, "record"), counted(0, "record")),
            ("1 record".to_owned(), "0 records".to_owned())
        );
        assert_eq!(timestamp(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(
            (timestamp(-5), timestamp(i64::MAX)),
            ("-5".to_owned(), i64::MAX.to_string())
        );
    }
}
