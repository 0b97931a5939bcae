//! The rule for log filters: levels, and targets with levels, as `tracing` reads them.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is wrong with a log filter, as the end of a sentence; `None` if nothing is.
pub(crate) fn objection(filter: &str) -> Option<String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    // A lone word that is no level would be taken for a target, and everything else would be silent.
    let mut words = filter.split(',').map(str::trim).filter(|_| !filter.contains('['));
    if let Some(word) = words.find(|word| !word.contains('=') && !is_level(word)) {
        return Some(format!(
            "is \"{filter}\", in which \"{word}\" is neither a level ({}) nor TARGET=LEVEL",
            LEVELS.join(", ")
        ));
    }
    let error = EnvFilter::try_new(filter).err()?;
    Some(format!("is \"{filter}\", which cannot be read: {error}"))
}

/// The way out.
pub(crate) const HINT: &str = "write a level such as info, or a filter such as info,sharemill=debug";

#[cfg(test)]
mod tests {
    use super::objection;

    #[test]
    fn a_filter_that_would_silence_everything_is_refused() {
        for good in [
            "info",
            "WARN",
            "info,sharemill=debug",
            "off",
            "warn,handler=trace",
            "info,[span{field=1}]=debug",
        ] {
            assert_eq!(objection(good), None, "{good}");
        }
        for bad in ["loud", "", "info,loud", "sharemill", "a=b=c", "info,handler=loud"] {
            assert!(objection(bad).is_some(), "{bad}");
        }
    }
}
