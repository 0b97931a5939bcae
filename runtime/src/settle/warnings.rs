//! Which texts to log: each once a minute, whatever figures it names, and not many different ones. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use share_engine::time::Instant;

/// What was said lately about one deployment.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    told: VecDeque<(Instant, String)>,
}

impl Warnings {
    /// Whether `text` is worth a line now; if so it counts as said.
    pub fn admits(&mut self, now: Instant, text: &str) -> bool {
        while self.told.pop_front_if(|(at, _)| now.since(*at) >= AGAIN).is_some() {}
        if self.told.len() >= MOST {
            return false;
        }
        let text = without_figures(text);
        if self.told.iter().any(|(_, known)| *known == text) {
            return false;
        }
        self.told.push_back((now, text));
        true
    }
}

/// How full something is changes with every refusal, what is full does not.
fn without_figures(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for letter in text.chars() {
        if !letter.is_ascii_digit() {
            words.push(letter);
        } else if !words.ends_with('0') {
            words.push('0');
        }
    }
    words
}

/// Between two lines with the same text.
const AGAIN: Duration = Duration::from_mins(1);

/// Lines in that time.
const MOST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_once_a_minute_and_ten_of_them() {
        let mut warnings = Warnings::default();
        let now = Instant::default();
        let text = |n: usize| format!("text {}", "x".repeat(n % 20));
        let said = (0..1_000).filter(|n| warnings.admits(now, &text(*n)));
        assert_eq!(said.count(), 10);
        let later = now.after(AGAIN);
        assert!(warnings.admits(later, &text(0)));
        assert!(!warnings.admits(later, &text(0)));
    }

    #[test]
    fn other_figures_are_no_other_text() {
        let mut warnings = Warnings::default();
        let now = Instant::default();
        assert!(warnings.admits(now, "the journal is full: 12581888 of 12582144 bytes"));
        assert!(!warnings.admits(now, "the journal is full: 9 of 12582144 bytes"));
        assert!(warnings.admits(now, "topic is full: 9 of 12582144 bytes"));
    }
}
