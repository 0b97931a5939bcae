//! Rules about lines and words.

use crate::Finding;
use crate::lexer::is_word;
use crate::tree::{SourceFile, Tree};

/// Lines of a file, its tests not counted.
const LINES_MAX: usize = 500;
/// Lines of tests within a file of product code.
const INLINE_TESTS_MAX: usize = 150;

pub(crate) fn long_files(tree: &Tree) -> Vec<Finding> {
    let product = tree.rust().filter(|(file, _)| !file.is_test());
    let long = product.filter_map(|(file, _)| {
        let lines = file.test_tail().map_or(file.text.lines().count(), |tail| tail - 1);
        let advice =
            format!("{lines} lines without tests, {LINES_MAX} allowed: split where two concepts live together");
        (lines > LINES_MAX).then(|| Finding::new(&file.path, lines, advice))
    });
    long.collect()
}

pub(crate) fn long_inline_tests(tree: &Tree) -> Vec<Finding> {
    let product = tree.rust().filter(|(file, _)| !file.is_test());
    let long = product.filter_map(|(file, _)| {
        let tail = file.test_tail()?;
        let lines = file.text.lines().count() - tail + 1;
        let advice =
            format!("{lines} lines of tests, {INLINE_TESTS_MAX} allowed here: move them to a tests.rs beside it");
        (lines > INLINE_TESTS_MAX).then(|| Finding::new(&file.path, tail, advice))
    });
    long.collect()
}

pub(crate) fn missing_headers(tree: &Tree) -> Vec<Finding> {
    let without = tree.rust().filter(|(file, _)| !file.text.starts_with("//! "));
    without
        .map(|(file, _)| {
            let advice = "start with `//! `: what the file owns, which invariant it keeps, who calls it";
            Finding::new(&file.path, 1, advice)
        })
        .collect()
}

pub(crate) fn not_ascii(tree: &Tree) -> Vec<Finding> {
    let source = tree.files.iter().filter(|file| !file.is_generated() && is_source(file));
    each_line(source, |_, line| {
        let strange = line.chars().find(|character| !character.is_ascii())?;
        Some(format!(
            "{strange:?} is not ASCII: write it out, or as an escape in a text"
        ))
    })
}

pub(crate) fn markers(tree: &Tree) -> Vec<Finding> {
    let words = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"], ["HA", "CK"]].map(|parts| parts.concat());
    let advice = |word: &str| format!("`{word}` is left over: do it now, or say why it is so");
    let mut findings = Vec::new();
    for (file, views) in tree.rust() {
        for (number, line) in numbered(&views.comments) {
            let found = words.iter().find(|word| has_word(line, word));
            findings.extend(found.map(|word| Finding::new(&file.path, number, advice(word))));
        }
        for (number, line) in numbered(&views.code) {
            let found = ["dbg!", "todo!", "unimplemented!"]
                .into_iter()
                .find(|name| has_word(line, name));
            findings.extend(found.map(|name| Finding::new(&file.path, number, advice(name))));
        }
    }
    let others = tree.files.iter().filter(|file| file.views.is_none());
    findings.extend(each_line(others, |_, line| {
        words.iter().find(|word| has_word(line, word)).map(|word| advice(word))
    }));
    findings
}

pub(crate) fn switched_off_tests(tree: &Tree) -> Vec<Finding> {
    in_code(tree, |_, _, line| {
        let off = ["#[ignore", "#[should_panic"]
            .into_iter()
            .find(|attribute| line.contains(attribute))?;
        let advice = match off {
            "#[ignore" => "a test that does not run proves nothing: make it fast, or a program",
            _ => "a panic anywhere would do: catch the error and look at it",
        };
        Some(advice.to_owned())
    })
}

/// Tests wait for events or advance the clock; product code has timers. `thread::sleep` needs a name here anywhere. In
/// a test under paused time a timer advances the clock.
pub(crate) fn sleeps(tree: &Tree) -> Vec<Finding> {
    in_code(tree, |file, number, line| {
        let exempt = MAY_SLEEP.iter().any(|(path, _)| file.path.starts_with(path));
        let sleeps = has_word(line, "thread::sleep")
            || file.is_test_line(number)
                && !is_paused(file, number)
                && ["time::sleep", "time::sleep_until"]
                    .into_iter()
                    .any(|name| has_word(line, name));
        (sleeps && !exempt).then(|| {
            "no sleeps: wait for an event or advance the clock (exceptions are listed in tests/tests/tidy/text.rs)"
                .to_owned()
        })
    })
}

/// Whether the test that this line, from 1, stands in runs under paused time; helpers go with the first test.
fn is_paused(file: &SourceFile, line: usize) -> bool {
    let code = file.views.as_ref().map_or("", |views| &views.code);
    let tests = || numbered(code).filter(|(_, line)| line.contains("tokio::test"));
    let own = tests().take_while(|(number, _)| *number <= line).last();
    own.or_else(|| tests().next())
        .is_some_and(|(_, attribute)| attribute.contains("start_paused = true"))
}

/// Where a sleep is right, and why.
const MAY_SLEEP: [(&str, &str); 9] = [
    ("share-engine/examples/engine_bench.rs", "produces at a rate"),
    (
        "tests/tests/concurrency.rs",
        "measures the rate of the real command, which tells nobody when a record is done",
    ),
    (
        "tests/tests/suspended.rs",
        "a lease runs out on the real clock while the process that holds it is stopped and tells nobody anything",
    ),
    (
        "runtime/src/cli/demo/",
        "plays at a pace for a person, and polls a host as a user would",
    ),
    (
        "runtime/src/supervisor/tests.rs",
        "one test measures slices on the real clock",
    ),
    (
        "share-client/tests/group/",
        "brokers are asked until they have done something: they tell nobody",
    ),
    ("xtask/src/", "polls processes of others, which tell nobody"),
    ("guest-examples/sleeper/", "sleeping is what this guest is for"),
    (
        "guest-examples/hostile/",
        "sleeping past its deadline is one of its crimes",
    ),
];

pub(crate) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    in_code(tree, |file, _, line| {
        let listed = MAY_BE_UNSAFE.iter().any(|(path, _)| file.path == *path);
        (has_word(line, "unsafe") && !listed)
            .then(|| "no `unsafe` here (exceptions are listed in tests/tests/tidy/text.rs)".to_owned())
    })
}

/// Where `unsafe` stands, and why.
const MAY_BE_UNSAFE: [(&str, &str); 2] = [
    ("runtime/src/handler/compiled.rs", "mapping compiled code is running it"),
    (
        "guest-examples/bench-accept-lean/src/lib.rs",
        "an allocator in a guest, which harms itself alone",
    ),
];

/// Paths of somebody's machine, and numbers that mean nothing outside a tracker.
pub(crate) fn strange_words(tree: &Tree) -> Vec<Finding> {
    let folders = ["work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    each_line(tree.files.iter(), |_, line| {
        let folder = folders.iter().find(|folder| starts_a_path(line, folder));
        let of_machine =
            folder.map(|folder| format!("`{folder}` is a path of one machine: make it relative or a variable"));
        of_machine.or_else(|| {
            numbered_thing(line).map(|thing| format!("`{thing} N` means nothing here: say what it was about"))
        })
    })
}

fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        // Nobody's: for examples.
        if line[at..].starts_with("/home/user") {
            return false;
        }
        let before = at.checked_sub(1).map(|before| line.as_bytes()[before]);
        before.is_none_or(|byte| !is_word(byte) && !matches!(byte, b'}' | b')' | b'.' | b'~' | b'>'))
    })
}

fn numbered_thing(line: &str) -> Option<&'static str> {
    let lower = line.to_lowercase();
    let things = ["issue", "ticket", "pull request"];
    things.into_iter().find(|thing| {
        lower.match_indices(thing).any(|(at, _)| {
            let rest = lower[at + thing.len()..].trim_start_matches([' ', '#']);
            rest.len() < lower.len() - at - thing.len() && rest.starts_with(|first: char| first.is_ascii_digit())
        })
    })
}

/// An address is one that every reader can open.
pub(crate) fn unknown_hosts(tree: &Tree) -> Vec<Finding> {
    let is_about_hosts = |file: &&SourceFile| ABOUT_HOSTS.iter().any(|path| file.path.starts_with(path));
    let files = tree.files.iter().filter(|file| file.name() != "Cargo.lock");
    let files = files.filter(|file| !is_about_hosts(file));
    each_line(files, |_, line| {
        let mut hosts = line.split("://").skip(1).map(|rest| {
            let end = rest.find(|byte: char| !(byte.is_ascii_alphanumeric() || matches!(byte, '.' | '-')));
            rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
        });
        let known = |host: &str| {
            KNOWN_HOSTS.iter().any(|known| {
                host.strip_suffix(known)
                    .is_some_and(|front| front.is_empty() || front.ends_with('.'))
            })
        };
        let placeholder = |host: &str| host.is_empty() || host.bytes().all(|byte| byte.is_ascii_uppercase());
        let unknown = hosts.find(|host| !placeholder(host) && !known(host))?;
        Some(format!(
            "host `{unknown}` is not listed in tests/tests/tidy/text.rs: is it one that every reader can open?"
        ))
    })
}

/// Where addresses that lead nowhere, or elsewhere, are what is tested.
const ABOUT_HOSTS: [&str; 3] = [
    "runtime/src/config/http.rs",
    "runtime/src/handler/http/target.rs",
    "runtime/tests/handler_http/",
];

/// These and what is below them.
const KNOWN_HOSTS: [&str; 17] = [
    "127.0.0.1",
    "apache.org",
    "bytecodealliance.org",
    "crates.io",
    "debian.org",
    "docs.rs",
    "example.com",
    "github.com",
    "json-schema.org",
    // The broker of the compose file, which names it.
    "kafka",
    "keepachangelog.com",
    "localhost",
    "rust-lang.org",
    "rustup.rs",
    "semver.org",
    "w3.org",
    "webassembly.org",
];

/// What compilers and tools read.
fn is_source(file: &SourceFile) -> bool {
    let extension = file.name().rsplit_once('.').map_or("", |(_, extension)| extension);
    matches!(extension, "rs" | "toml" | "wit" | "wat" | "sh" | "java") || file.path.starts_with(".ci/")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn each_line<'a>(
    files: impl Iterator<Item = &'a SourceFile>,
    rule: impl Fn(&SourceFile, &str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in numbered(&file.text) {
            findings.extend(rule(file, line).map(|advice| Finding::new(&file.path, number, advice)));
        }
    }
    findings
}

fn in_code(tree: &Tree, rule: impl Fn(&SourceFile, usize, &str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, views) in tree.rust() {
        for (number, line) in numbered(&views.code) {
            findings.extend(rule(file, number, line).map(|advice| Finding::new(&file.path, number, advice)));
        }
    }
    findings
}

/// Whether `word` stands in the line and is no part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).is_some_and(|before| is_word(bytes[before]));
        let after = word.ends_with(is_word_char) && bytes.get(at + word.len()).is_some_and(|byte| is_word(*byte));
        !before && !after
    })
}

fn is_word_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_word)
}
