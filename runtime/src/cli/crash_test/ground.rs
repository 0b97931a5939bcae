//! Whether the data directory is still the one that the test has made. Somebody may delete it, move it away, or put another in its
//! place; what is missing then was not lost by the engine.

use std::cell::OnceCell;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

/// The directory, as it was.
#[derive(Debug)]
pub(super) struct Ground {
    path: PathBuf,
    /// Its device and number.
    directory: Option<(u64, u64)>,
    /// What the engine has written into it to know it by.
    mark: OnceCell<Vec<u8>>,
}

/// Who deletes a folder is not at once done with it.
const TURNS: u32 = 50;
const TURN: Duration = Duration::from_millis(10);

impl Ground {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            directory: identity(path),
            mark: OnceCell::new(),
        }
    }

    /// The engine may have made its files since.
    pub(super) fn note(&self) {
        if let Some(mark) = self.mark()
            && self.mark.get().is_none()
        {
            // There is none yet.
            let _ = self.mark.set(mark);
        }
    }

    /// Whether it was deleted, moved or replaced.
    pub(super) fn is_gone(&self) -> bool {
        let marked = || self.mark.get().is_none_or(|known| self.mark().as_ref() == Some(known));
        identity(&self.path) != self.directory || !marked()
    }

    /// The same of a directory that may be about to go, as something in it is missing.
    pub(super) fn is_going(&self) -> bool {
        for _ in 0..TURNS {
            if self.is_gone() {
                return true;
            }
            thread::park_timeout(TURN);
        }
        false
    }

    fn mark(&self) -> Option<Vec<u8>> {
        let has_journal = self.path.join("journal").is_dir();
        fs::read(self.path.join("format")).ok().filter(|_| has_journal)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn filled(path: &Path, mark: &str) {
        fs::create_dir_all(path.join("journal")).unwrap();
        fs::write(path.join("format"), mark).unwrap();
    }

    #[test]
    fn a_folder_that_was_taken_away_is_noticed_also_when_another_is_in_its_place() {
        let takings: [fn(&Path); 5] = [
            |path| fs::remove_dir_all(path).unwrap(),
            |path| fs::rename(path, path.with_extension("moved")).unwrap(),
            |path| fs::remove_dir_all(path.join("journal")).unwrap(),
            |path| fs::remove_file(path.join("format")).unwrap(),
            |path| {
                fs::remove_dir_all(path.join("journal")).unwrap();
                filled(path, "another");
            },
        ];
        for (number, take) in takings.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("data");
            fs::create_dir(&path).unwrap();
            let ground = Ground::of(&path);
            ground.note();
            assert!(!ground.is_gone(), "nothing was made yet");
            filled(&path, "mine");
            ground.note();
            assert!(!ground.is_gone());
            take(&path);
            assert!(ground.is_gone() && ground.is_going(), "{number}");
        }
    }
}
