//! Whether a component that cargo made is older than what it is made of. A hint for people: nothing depends on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The newest of the files that cargo made the component of, if it was written after the component.
pub(super) fn newer(component: &Path) -> Option<PathBuf> {
    let built = written(component)?;
    // Beside it cargo names them. Whatever else has that name may have no end.
    let rule = component.with_extension("d");
    let found = fs::metadata(&rule).ok()?;
    if !found.is_file() || found.len() > RULE_BYTES {
        return None;
    }
    let made_of = fs::read_to_string(rule).ok()?;
    let files = sources(&made_of).into_iter();
    let newest = files.filter_map(|file| Some((written(&file)?, file))).max()?;
    (newest.0 > built).then_some(newest.1)
}

/// What stands behind the colon of a rule, as make has it.
fn sources(rule: &str) -> Vec<PathBuf> {
    let (_, behind) = rule
        .lines()
        .next()
        .unwrap_or_default()
        .split_once(": ")
        .unwrap_or_default();
    let mut files = vec![String::new()];
    let mut characters = behind.chars();
    while let Some(character) = characters.next() {
        match (character, files.last_mut()) {
            ('\\', Some(file)) => file.extend(characters.next()),
            (' ', _) => files.push(String::new()),
            (character, Some(file)) => file.push(character),
            (_, None) => {}
        }
    }
    files.retain(|file| !file.is_empty());
    files.into_iter().map(PathBuf::from).collect()
}

fn written(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// Names of more files than any handler is made of.
const RULE_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_written_after_the_build_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
            fs::File::open(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let component = file("a.wasm", "", 10);
        assert_eq!(newer(&component), None, "nobody says what it is made of");
        let (one, two) = (file("lib.rs", "", 1), file("with blank.rs", "", 10));
        file("tests.rs", "", 20);
        let named = |path: &Path| path.display().to_string().replace(' ', "\\ ");
        let rule = format!("{}: {} {}\n", named(&component), named(&one), named(&two));
        file("a.d", &rule, 10);
        assert_eq!(newer(&component), None);
        file("with blank.rs", "", 11);
        assert_eq!(newer(&component), Some(two));
        assert_eq!(newer(&folder.path().join("none.wasm")), None);
        file("a.d", &format!("{rule}{}", " ".repeat(1 << 20)), 10);
        assert_eq!(newer(&component), None, "too long for what cargo writes");
    }
}
