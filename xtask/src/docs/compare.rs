//! Whether a program printed what a page says it does. Pure.
//!
//! What differs from run to run is alike: times, measured durations (`5.2 s`, not a setting like `200ms`), hashes, numbers of processes, and
//! how wide a table's columns are. `...` stands for
//! anything within a line, and a line of it for any lines.

/// Where the two part; `None`: they do not.
pub(super) fn difference(expected: &[String], came: &[String], numbers_vary: bool) -> Option<String> {
    compare(expected, came, numbers_vary, true).err()
}

/// How many lines it took to say all that is expected, of what may go on; or where the two part. With `is_whole` nothing may follow.
pub(super) fn compare(
    expected: &[String],
    came: &[String],
    numbers_vary: bool,
    is_whole: bool,
) -> Result<usize, String> {
    let skipped = came.iter().take_while(|line| line.trim().is_empty()).count();
    let mask = |line: &String| masked(line, numbers_vary);
    let expected: Vec<String> = trimmed(expected).iter().map(mask).collect();
    let came: Vec<String> = trimmed(came).iter().map(mask).collect();
    let (mut at, mut any) = (0, false);
    for wanted in &expected {
        if wanted == "..." {
            any = true;
            continue;
        }
        let rest = came.get(at..).unwrap_or_default();
        let found = if any {
            rest.iter().position(|line| fits(wanted, line))
        } else {
            rest.first().filter(|line| fits(wanted, line)).map(|_| 0)
        };
        let Some(found) = found else {
            let line = rest.first().map_or("nothing more", String::as_str);
            return Err(format!("expected  {wanted}\ncame      {line}"));
        };
        at += found + 1;
        any = false;
    }
    match came.get(at) {
        Some(more) if is_whole && !any => Err(format!("expected  nothing more\ncame      {more}")),
        _ => Ok(skipped + at),
    }
}

/// Without empty lines at both ends.
fn trimmed(lines: &[String]) -> &[String] {
    let is_text = |line: &String| !line.trim().is_empty();
    let first = lines.iter().position(is_text).unwrap_or(lines.len());
    let end = lines.iter().rposition(is_text).map_or(first, |last| last + 1);
    lines.get(first..end).unwrap_or_default()
}

/// Whether a line is as another with `...` for anything.
fn fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// The line with what varies replaced, its words one space apart.
fn masked(line: &str, numbers_vary: bool) -> String {
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| masked_word(word, numbers_vary))
        .collect();
    let mut out: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let is_unit = words
            .get(index + 1)
            .is_some_and(|next| UNITS.contains(&next.trim_end_matches([',', ')', ';', ':'])));
        let is_pid = index > 0 && words.get(index - 1).is_some_and(|before| before == "process");
        if (is_unit || is_pid) && is_number(word) {
            out.push("N".to_owned());
        } else {
            out.push(word.clone());
        }
    }
    out.join(" ")
}

fn masked_word(word: &str, numbers_vary: bool) -> String {
    if is_time(word) {
        return "TIME".to_owned();
    }
    if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "HASH".to_owned();
    }
    if !numbers_vary {
        return word.to_owned();
    }
    let is_duration = |unit: &&&str| word.strip_suffix(**unit).is_some_and(is_number);
    if let Some(unit) = UNITS.iter().find(is_duration) {
        return format!("N{unit}");
    }
    let mut out = String::new();
    for character in word.chars() {
        let is_digit = character.is_ascii_digit();
        if !(is_digit && out.ends_with('N')) {
            out.push(if is_digit { 'N' } else { character });
        }
    }
    // 22 as well as 21.5.
    out.replace("N.N", "N")
}

/// `2026-11-21T11:14:01Z`, with any fraction.
fn is_time(word: &str) -> bool {
    let Some((date, time)) = word.strip_suffix('Z').and_then(|word| word.split_once('T')) else {
        return false;
    };
    let all = |text: &str, mark| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == mark || byte == b'.')
    };
    date.len() == 10 && all(date, b'-') && time.len() >= 8 && all(time, b':')
}

fn is_number(word: &str) -> bool {
    let word = word.trim_start_matches('(');
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

const UNITS: [&str; 4] = ["ms", "us", "s", "\u{b5}s"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn is_alike(expected: &str, came: &str) -> bool {
        difference(&lines(expected), &lines(came), false).is_none()
    }

    #[test]
    fn what_varies_from_run_to_run_is_alike() {
        assert!(is_alike(
            "2026-11-21T11:14:01.204511Z  INFO  ready",
            "2026-01-01T00:00:00.1Z INFO ready"
        ));
        assert!(is_alike(
            "time  load 0.000 ms, cpu 0.145 ms)",
            "time load 1.5 ms, cpu 12.0 ms)"
        ));
        assert!(is_alike("in use by process 8357", "in use by process 12"));
        assert!(is_alike("N  LAST\n0     3", "\nN LAST\n0 3\n\n"));
        let hash = ["57775a09", "0123abcd"].map(|part| part.repeat(8));
        assert!(is_alike(&hash[0], &hash[1]));
    }

    #[test]
    fn what_differs_is_told() {
        assert!(!is_alike("4 records", "5 records"));
        assert!(!is_alike("roof has 41.5 C", "roof has 41.4 C"));
        assert!(!is_alike("a", "a\nb"));
        assert!(!is_alike("a\nb", "a"));
        assert!(!is_alike("renew after 200ms", "renew after 300ms"));
        let said = difference(&lines("a\nb"), &lines("a\nc"), false);
        assert_eq!(said.as_deref(), Some("expected  b\ncame      c"));
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(is_alike("data=.../thermometer/data", "data=/tmp/x/thermometer/data"));
        assert!(!is_alike("data=.../thermometer/data", "data=/tmp/x/thermometer"));
        assert!(is_alike("a ... c ... e", "a b c d e"));
        assert!(is_alike("first\n...\nlast", "first\n1\n2\nlast"));
        assert!(is_alike("...\nlast", "last"));
        assert!(!is_alike("...\nlast", "last\nmore"));
        assert!(is_alike("first\n...", "first\n1"));
    }

    #[test]
    fn of_a_program_that_goes_on_more_may_come() {
        assert_eq!(compare(&lines("a"), &lines("a\nb"), false, false), Ok(1));
        assert_eq!(compare(&lines("...\nb"), &lines("1\n2\nb\nc"), false, false), Ok(3));
        assert_eq!(difference(&lines("kills 257: 19.3"), &lines("kills 3: 1"), true), None);
    }
}
