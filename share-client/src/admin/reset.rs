//! Where a share group begins in a partition that it has no offset of: `share.auto.offset.reset`.

use std::fmt;
use std::time::Duration;

/// Where a group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// After the last record: what is there already is skipped. Kafka's default.
    #[default]
    Latest,
    /// At the first record.
    Earliest,
    /// At the first record that is no older than this.
    ByDuration(Duration),
}

impl Reset {
    /// Reads a value of the setting: `latest`, `earliest` or `by_duration:` with a duration as ISO 8601 has it, in days, hours,
    /// minutes and seconds. `None` if it is none of these.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        match value.to_ascii_lowercase().as_str() {
            "latest" => Some(Self::Latest),
            "earliest" => Some(Self::Earliest),
            other => duration(other.strip_prefix("by_duration:")?).map(Self::ByDuration),
        }
    }
}

impl fmt::Display for Reset {
    /// As the setting takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Earliest => f.write_str("earliest"),
            Self::ByDuration(age) if age.subsec_millis() == 0 => write!(f, "by_duration:PT{}S", age.as_secs()),
            Self::ByDuration(age) => write!(f, "by_duration:PT{}.{:03}S", age.as_secs(), age.subsec_millis()),
        }
    }
}

/// `pNdtNhNmN.NS` in lower case, what is not named is 0.
fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('p')?;
    let (days, times) = match rest.split_once('t') {
        Some((days, times)) if !times.is_empty() => (days, times),
        Some(_) => return None,
        None => (rest, ""),
    };
    let mut total = Duration::ZERO;
    let mut any = false;
    for (text, units) in [
        (days, &[('d', 86_400)][..]),
        (times, &[('h', 3_600), ('m', 60), ('s', 1)]),
    ] {
        let mut rest = text;
        for (unit, seconds) in units {
            let Some((number, after)) = rest.split_once(*unit) else {
                continue;
            };
            total = total.checked_add(part(number, *unit == 's')?.checked_mul(*seconds)?)?;
            (rest, any) = (after, true);
        }
        if !rest.is_empty() {
            return None;
        }
    }
    any.then_some(total)
}

/// A number of units; only seconds have a fraction.
fn part(number: &str, fraction: bool) -> Option<Duration> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, nanos) = match number.split_once('.') {
        Some((whole, nanos)) if fraction && digits(nanos) && nanos.len() <= 9 => {
            (whole, format!("{nanos:0<9}").parse().ok()?)
        }
        Some(_) => return None,
        None => (number, 0),
    };
    digits(whole).then_some(())?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_written() {
        let by = |millis| Some(Reset::ByDuration(Duration::from_millis(millis)));
        for (text, reset, written) in [
            ("latest", Some(Reset::Latest), "latest"),
            ("EARLIEST", Some(Reset::Earliest), "earliest"),
            ("by_duration:PT1H30M", by(5_400_000), "by_duration:PT5400S"),
            ("by_duration:P3DT2H1M4.5S", by(266_464_500), "by_duration:PT266464.500S"),
            ("by_duration:P1D", by(86_400_000), "by_duration:PT86400S"),
        ] {
            assert_eq!(Reset::parse(text), reset, "{text}");
            assert_eq!(reset.unwrap().to_string(), written);
            assert_eq!(Reset::parse(written), reset);
        }
        for text in [
            "",
            "none",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1DT",
            "by_duration:PT1S1H",
            "by_duration:P-1D",
            "by_duration:PT1.5H",
            "by_duration:PT1S2",
            "by_duration:1D",
            "by_duration:PT99999999999999999999S",
            "by_duration:PTS",
            "by_duration:P999999999999999999D",
        ] {
            assert_eq!(Reset::parse(text), None, "{text}");
        }
    }
}
