//! Secrets of a deployment: handed to the handler, and found again in what it says, so that the host repeats it without them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::log_sink::floor_char_boundary;
use super::outcome::CallEnd;

/// The secrets of a deployment, by name. Text made of it by `Debug` has the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    known: Arc<Known>,
}

#[derive(Default, PartialEq, Eq)]
struct Known {
    values: BTreeMap<String, String>,
    /// What is looked for: the values, and the lines of those that have several.
    wanted: BTreeSet<String>,
    /// Bytes of the longest of these.
    longest: usize,
}

/// A value that cannot serve as a secret. The value is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRefused {
    /// The secret's name.
    pub name: String,
    /// The end of the sentence that begins with the name.
    pub objection: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.values.keys()).finish()
    }
}

impl Secrets {
    /// A shorter text is found by chance where no secret is.
    pub const BYTES_MIN: usize = 8;
    /// What a line of a secret may have: no more than the line of a log that it has to be found in.
    pub const LINE_MAX: usize = 4 << 10;

    /// These values, each of a length that can be found again.
    pub fn new(values: BTreeMap<String, String>) -> Result<Self, SecretRefused> {
        let mut wanted = BTreeSet::new();
        for (name, value) in &values {
            let refused = |objection, hint: &str| SecretRefused {
                name: name.clone(),
                objection,
                hint: hint.to_owned(),
            };
            if value.len() < Self::BYTES_MIN {
                let objection = format!(
                    "has {} bytes, below the {} of a secret: shorter ones cannot be told from other text in a log",
                    value.len(),
                    Self::BYTES_MIN
                );
                return Err(refused(
                    objection,
                    "use a longer one, or `grants.config` if it is no secret",
                ));
            }
            if let Some(line) = value.lines().find(|line| line.len() > Self::LINE_MAX) {
                let objection = format!(
                    "has a line of {} bytes, above the {} of a line of a secret",
                    line.len(),
                    Self::LINE_MAX
                );
                return Err(refused(objection, "break it into lines, or take a shorter one"));
            }
            let lines = value.lines().map(str::trim);
            // The frame of a key says nothing of it, and stands in other texts, too.
            let is_frame = |line: &str| {
                (line.starts_with("-----BEGIN ") || line.starts_with("-----END ")) && line.ends_with("-----")
            };
            let tells = |line: &&str| line.len() >= Self::BYTES_MIN && !is_frame(line);
            wanted.extend(lines.filter(tells).map(str::to_owned));
            wanted.insert(value.clone());
        }
        let longest = wanted.iter().map(String::len).max().unwrap_or_default();
        let known = Known {
            values,
            wanted,
            longest,
        };
        Ok(Self { known: Arc::new(known) })
    }

    /// Bytes of the longest that is looked for.
    pub(super) fn longest(&self) -> usize {
        self.known.longest
    }

    /// Names and values.
    pub(super) fn values(&self) -> &BTreeMap<String, String> {
        &self.known.values
    }

    /// `text` with `***` where it has a secret, one that the end of it cuts off included.
    pub(super) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut places = self.places(text);
        let begun = self.begun(text.as_bytes());
        // Shorter ones are found by chance, and say little.
        if begun >= Self::BYTES_MIN {
            places.push((text.len() - begun, text.len()));
        }
        if places.is_empty() {
            return text.into();
        }
        places.sort_unstable();
        let (mut masked, mut done) = (String::with_capacity(text.len()), 0);
        for (from, to) in places {
            if from >= done {
                masked.push_str(text.get(done..from).unwrap_or_default());
                masked.push_str(MASK);
            }
            done = done.max(to);
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked.into()
    }

    /// As [`Secrets::mask`], of a text of which only so many bytes will be kept: no more than that is looked at, and what may be the
    /// beginning of a secret at the end of it is left out.
    pub(super) fn mask_head<'t>(&self, text: &'t str, kept: usize) -> Cow<'t, str> {
        let looked_at = kept.saturating_add(self.known.longest);
        if text.len() <= looked_at {
            return self.mask(text);
        }
        self.mask(self.before_cut(text, looked_at))
    }

    /// So much of `text` without what may be the beginning of a secret at the end of it.
    fn before_cut<'t>(&self, text: &'t str, at: usize) -> &'t str {
        let head = text.get(..floor_char_boundary(text, at)).unwrap_or_default();
        let whole = head.len() - self.begun(head.as_bytes());
        head.get(..floor_char_boundary(head, whole)).unwrap_or_default()
    }

    /// Takes out of a text that its handler has cut, and marked so, what is left of a secret before the mark.
    pub(super) fn mend_cut(&self, text: &mut String) {
        let marked = CUT_MARKS
            .iter()
            .find_map(|(mark, least)| Some((text.strip_suffix(mark)?, *least)));
        if let Some((head, least)) = marked {
            let begun = self.begun_from(head.as_bytes(), least);
            let end = floor_char_boundary(head, head.len() - begun);
            text.replace_range(end..head.len(), "");
        }
    }

    /// How many of the last bytes may be the beginning of a secret.
    pub(super) fn begun(&self, text: &[u8]) -> usize {
        self.begun_from(text, 1)
    }

    /// As [`Secrets::begun`], of at least so many bytes, or half of a secret.
    fn begun_from(&self, text: &[u8], least: usize) -> usize {
        let begins = |wanted: &String| {
            let least = least.min(wanted.len().div_ceil(2));
            let most = text.len().min(wanted.len().saturating_sub(1));
            let is_begun = |len: &usize| {
                let end = text.get(text.len() - len..);
                end.is_some_and(|end| wanted.as_bytes().starts_with(end))
            };
            (least..=most).rev().find(is_begun).unwrap_or_default()
        };
        self.known.wanted.iter().map(begins).max().unwrap_or_default()
    }

    /// What the host found to say about a call that did not end in an outcome; a handler's own reasons are masked where they are cut.
    pub(super) fn mask_end(&self, end: &mut CallEnd) {
        let mask = |text: &mut String| {
            if let Cow::Owned(masked) = self.mask(text) {
                *text = masked;
            }
        };
        match end {
            CallEnd::Trap { message, backtrace, .. } => {
                mask(message);
                backtrace.iter_mut().for_each(mask);
            }
            CallEnd::HostFault(text) | CallEnd::Panic(text) => mask(text),
            CallEnd::Outcome(_)
            | CallEnd::OutOfMemory { .. }
            | CallEnd::Deadline { .. }
            | CallEnd::Cancelled
            | CallEnd::Limit { .. }
            | CallEnd::Exit { .. }
            | CallEnd::Refused { .. } => {}
        }
    }

    /// Where secrets begin and end in `text`, those that overlap included.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for wanted in &self.known.wanted {
            let mut from = 0;
            while let Some(found) = text.get(from..).and_then(|rest| rest.find(wanted.as_str())) {
                let begin = from + found;
                places.push((begin, begin + wanted.len()));
                from = begin + wanted.chars().next().map_or(1, char::len_utf8);
            }
        }
        places
    }
}

const MASK: &str = "***";
/// The SDK's, and those of people, who write them where nothing is cut, too; how many bytes of a secret before it are no chance.
const CUT_MARKS: [(&str, usize); 3] = [
    (" [cut]", 1),
    ("\u{2026}", Secrets::BYTES_MIN),
    ("...", Secrets::BYTES_MIN),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let named = values.iter().enumerate();
        Secrets::new(named.map(|(n, value)| (format!("S{n}"), (*value).to_owned())).collect()).unwrap()
    }

    #[test]
    fn a_secret_is_nowhere_in_a_masked_text() {
        let secrets = secrets(&["abcdefgh1234", "1234wxyz", "aaaaaaaa", "first line\nsecond\nthird line"]);
        let cases = [
            ("nothing of it: abcdefg1234", "nothing of it: abcdefg1234"),
            (
                "cut off, and found by chance: abcdefg",
                "cut off, and found by chance: abcdefg",
            ),
            ("cut off: abcdefgh", "cut off: ***"),
            ("cut off: abcdefgh123", "cut off: ***"),
            ("both: abcdefgh1234abcdefgh1", "both: ******"),
            ("one in the other: abcdefgh1234wxy", "one in the other: ***wxy"),
            ("abcdefgh1234", "***"),
            ("<abcdefgh1234, 1234wxyz>", "<***, ***>"),
            ("<abcdefgh1234wxyz>", "<***>"),
            ("baaaaaaaaaaaab", "b***b"),
            ("of several: third line, second", "of several: ***, second"),
            ("whole: first line\nsecond\nthird line.", "whole: ***."),
        ];
        for (text, masked) in cases {
            assert_eq!(secrets.mask(text), masked);
        }
        assert_eq!(format!("{secrets:?}"), r#"{"S0", "S1", "S2", "S3"}"#);
    }

    #[test]
    fn lines_of_a_secret_are_found_as_others_print_them() {
        let secrets = secrets(&["-----BEGIN KEY-----\n  c2VjcmV0LWtleQ==\n        \n-----END KEY-----\n"]);
        for (text, masked) in [
            ("cannot parse c2VjcmV0LWtleQ==", "cannot parse ***"),
            ("-----BEGIN KEY----- is missing", "-----BEGIN KEY----- is missing"),
            ("a        b", "a        b"),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_secret() {
        let secrets = secrets(&["abcdefgh1234"]);
        for before in 0..40 {
            let text = format!("{}abcdefgh1234{}", "-".repeat(before), "+".repeat(60));
            for kept in 0..60 {
                let masked = secrets.mask_head(&text, kept);
                assert!(!masked.contains('a'), "{before} {kept}: {masked}");
                assert!(
                    masked.len() >= kept.min(text.len()).saturating_sub(12),
                    "{before} {kept}: {masked}"
                );
            }
            let twice = format!("{text}{text}");
            assert!(!secrets.mask_head(&twice, before + 70).contains('a'), "{before}");
        }
        assert_eq!(secrets.begun(b"--abcdefgh123"), 11);
        assert_eq!(secrets.begun(b"--abcdefgh1234"), 0);
    }

    #[test]
    fn a_cut_of_the_handler_s_leaves_no_part_of_a_secret() {
        let secrets = secrets(&["abcdefgh1234"]);
        for (mark, least) in CUT_MARKS {
            for left in 0..=12 {
                let part = "abcdefgh1234".get(..left).unwrap();
                let mut text = format!("reason: {part}{mark}");
                secrets.mend_cut(&mut text);
                let wanted = match left {
                    12 => "***",
                    // The end of a word may be no more than that.
                    _ if left < least.min(6) => part,
                    _ => "",
                };
                assert_eq!(secrets.mask(&text), format!("reason: {wanted}{mark}"), "{left}");
            }
        }
        let mut text = "reason: abc".to_owned();
        secrets.mend_cut(&mut text);
        assert_eq!(text, "reason: abc", "nothing is cut");
    }

    #[test]
    fn what_could_not_be_found_again_is_refused() {
        let told = |value: &str| {
            let error = Secrets::new([("KEY".to_owned(), value.to_owned())].into()).unwrap_err();
            assert!(!error.objection.contains(value));
            error.objection
        };
        insta::assert_snapshot!(told("1234567"), @"has 7 bytes, below the 8 of a secret: shorter ones cannot be told from other text in a log");
        insta::assert_snapshot!(told(&"x".repeat(4097)), @"has a line of 4097 bytes, above the 4096 of a line of a secret");
        assert!(Secrets::new([("KEY".to_owned(), "x".repeat(4096))].into()).is_ok());
    }
}
