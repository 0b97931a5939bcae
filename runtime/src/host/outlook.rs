//! What the journal's settings will meet on this machine: told by `config check` before a start, and by the host when it starts.
//! Looks at the ring's files and at the disk, and changes nothing.

use std::fs;
use std::path::Path;

use share_engine::config::EngineConfig;
use share_engine::engine::open_files_suffice;

use super::engine_config;
use crate::config::{EmbeddedSource, Problem, Profile, Severity, format_size};

/// What to do about a process that may not have enough files open.
pub(crate) const RAISE_OPEN_FILES: &str =
    "raise the hard limit on open files of this process (ulimit -Hn, LimitNOFILE=), or lower journal-size";

/// What is there.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Files of the ring, and what each takes; none of a directory that is new.
    files: u64,
    file_bytes: u64,
    /// Bytes that the disk has room for, where that is known.
    free: Option<u64>,
}

/// Whether the journal of a source can become as large as is wished, and is no larger. Without a line: `name` is the source's.
pub(crate) fn foresee(name: &str, source: &EmbeddedSource, profile: Profile) -> Vec<Problem> {
    let key = format!("sources.{name}.journal-size");
    let found = look(&source.data_dir);
    let config = engine_config(source, profile);
    let place = source.data_dir.display().to_string();
    let mut problems = Vec::new();
    if let Err(error) = open_files_suffice(found.files_max(&config)) {
        problems.push(Problem::new(Severity::Error, &*key, error.to_string()).hint(RAISE_OPEN_FILES));
    }
    problems.extend(
        found
            .room(&config, &place)
            .map(|(severity, message, hint)| Problem::new(severity, &*key, message).hint(hint)),
    );
    problems
}

impl Found {
    fn bytes(&self) -> u64 {
        self.files * self.file_bytes
    }

    /// Files that the ring has, or may grow to: of the size that they have, which may not be the one that is wished.
    fn files_max(&self, config: &EngineConfig) -> u64 {
        let file_bytes = if self.files > 0 {
            self.file_bytes
        } else {
            config.journal_file_bytes
        };
        let grown = config.journal_bytes.checked_div(file_bytes).unwrap_or(0);
        grown.max(self.files)
    }

    fn room(&self, config: &EngineConfig, place: &str) -> Option<(Severity, String, &'static str)> {
        let wished = config.journal_bytes;
        let size = format_size(wished);
        if self.bytes() > wished {
            let has = format_size(self.bytes());
            let message = format!("the journal in {place} takes {has} and does not shrink to journal-size ({size})");
            return Some((Severity::Warning, message, BEGIN_ANEW));
        }
        let more = self.free.map(|free| (free, wished - self.bytes()));
        let (free, _) = more.filter(|(free, more)| free < more)?;
        let first = 2 * config.journal_file_bytes;
        if self.files == 0 && free < first {
            let message = format!(
                "the journal begins with {}, and the disk of {place} has room for {}",
                format_size(first),
                rounded(free)
            );
            return Some((Severity::Error, message, FREE_SPACE));
        }
        let message = format!(
            "journal-size is {size}, and the disk of {place} has room for {} only: the journal cannot grow to that",
            rounded(free + self.bytes())
        );
        Some((Severity::Warning, message, FREE_SPACE))
    }
}

const BEGIN_ANEW: &str = "raise journal-size to what it takes; or let everything be handled (sharemill run --until-idle) and begin with \
                          another data-dir, whose journal is made anew";
const FREE_SPACE: &str = "free disk space, lower journal-size, or put data-dir on another disk";

/// What is exact to the byte says too much.
fn rounded(bytes: u64) -> String {
    format_size(if bytes < 1 << 20 {
        bytes >> 10 << 10
    } else {
        bytes >> 20 << 20
    })
}

/// What cannot be looked at is not known: an open says why.
fn look(data_dir: &Path) -> Found {
    let entries = fs::read_dir(data_dir.join("journal")).into_iter().flatten().flatten();
    let lens = entries.filter_map(|entry| {
        let is_ring = entry.path().extension().is_some_and(|ending| ending == "ring");
        is_ring.then(|| entry.metadata().ok().map(|found| found.len()))?
    });
    let lens: Vec<u64> = lens.collect();
    let there = data_dir.ancestors().find(|path| path.exists());
    let stat = there.and_then(|path| rustix::fs::statvfs(path).ok());
    Found {
        files: lens.len() as u64,
        file_bytes: lens.iter().copied().max().unwrap_or(0),
        free: stat.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    const MIB: u64 = 1 << 20;

    fn told(journal_mib: u64, files: u64, free_mib: u64) -> Option<(Severity, String)> {
        let config = EngineConfig {
            journal_bytes: journal_mib * MIB,
            ..EngineConfig::default()
        };
        let found = Found {
            files,
            file_bytes: 8 * MIB,
            free: Some(free_mib * MIB),
        };
        found
            .room(&config, "data")
            .map(|(severity, message, _)| (severity, message))
    }

    #[test]
    fn a_journal_that_cannot_become_as_large_as_wished_is_told_before() {
        assert_eq!(told(512, 0, 512), None);
        assert_eq!(told(512, 4, 480), None, "what it has is not needed again");
        let text =
            "journal-size is 512MiB, and the disk of data has room for 511MiB only: the journal cannot grow to that";
        assert_eq!(told(512, 0, 511), Some((Severity::Warning, text.to_owned())));
        assert_eq!(told(512, 4, 479), Some((Severity::Warning, text.to_owned())));
        let text = "the journal begins with 16MiB, and the disk of data has room for 15MiB";
        assert_eq!(told(512, 0, 15), Some((Severity::Error, text.to_owned())));
    }

    #[test]
    fn a_journal_that_is_larger_than_wished_is_told() {
        assert_eq!(told(64, 8, 0), None);
        let text = "the journal in data takes 72MiB and does not shrink to journal-size (64MiB)";
        assert_eq!(told(64, 9, 0), Some((Severity::Warning, text.to_owned())));
    }

    #[test]
    fn the_ring_and_the_disk_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = look(&folder.path().join("data/that/is/not/there"));
        assert_eq!((nothing.files, nothing.bytes()), (0, 0));
        assert!(nothing.free.is_some_and(|free| free > 0));
        fs::create_dir(folder.path().join("journal")).unwrap();
        for name in ["0000.ring", "0001.ring", "0002.new"] {
            fs::write(folder.path().join("journal").join(name), vec![0; 1_024]).unwrap();
        }
        let found = look(folder.path());
        assert_eq!((found.files, found.bytes()), (2, 2_048));
    }
}
