//! What is not the engine's doing: a disk that is full or fails, a machine that gives too little. Known by the number of the
//! system's error, which stands in the words of whatever fails because of it.

use rustix::io::Errno;
use share_engine::engine::NEARLY_FULL;

/// Who failed, if it was not the engine.
pub(super) fn at_fault(why: &str) -> Option<&'static str> {
    // Found out before the system would say so.
    if why.contains(NEARLY_FULL) {
        return Some(FULL);
    }
    if why.contains(OPEN_FILES) {
        return Some(SHORT);
    }
    why.split(NUMBER).skip(1).find_map(|rest| {
        let (number, _) = rest.split_once(')')?;
        who(number.parse().ok()?)
    })
}

/// As `std::io::Error` says it.
const NUMBER: &str = "(os error ";

/// As `OpenError::OpenFiles` says it.
const OPEN_FILES: &str = " files, and this process may have ";

const FULL: &str = "the disk is full";
const SHORT: &str = "the machine ran short";

const CAUSES: [(&[Errno], &str); 4] = [
    (&[Errno::NOSPC, Errno::DQUOT], FULL),
    (
        &[Errno::IO, Errno::ROFS, Errno::NXIO, Errno::NODEV, Errno::STALE],
        "the disk failed",
    ),
    (&[Errno::ACCESS, Errno::PERM], "the data directory may not be used"),
    (&[Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::AGAIN], SHORT),
];

fn who(number: i32) -> Option<&'static str> {
    let is = |errors: &[Errno]| errors.iter().any(|error| error.raw_os_error() == number);
    CAUSES.iter().find(|(errors, _)| is(errors)).map(|(_, who)| *who)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_failing_engine() {
        let says = |number: Errno| {
            let error = io::Error::from_raw_os_error(number.raw_os_error());
            format!("the journal is fenced since it failed to write journal/0000.ring: {error}")
        };
        assert_eq!(at_fault(&says(Errno::NOSPC)), Some("the disk is full"));
        assert_eq!(
            at_fault(&format!("it does not grow: {NEARLY_FULL}")),
            Some("the disk is full")
        );
        assert_eq!(at_fault(&says(Errno::IO)), Some("the disk failed"));
        assert_eq!(at_fault(&says(Errno::MFILE)), Some("the machine ran short"));
        let (files, limit, spare) = (4, 64, 64);
        let few = share_engine::error::OpenError::OpenFiles { files, limit, spare };
        assert_eq!(at_fault(&few.to_string()), Some("the machine ran short"));
        assert_eq!(
            at_fault(&says(Errno::ACCESS)),
            Some("the data directory may not be used")
        );
        // A file that is missing was there, and a call that makes no sense was made by the engine.
        assert_eq!(at_fault(&says(Errno::NOENT)), None);
        assert_eq!(at_fault(&says(Errno::INVAL)), None);
        assert_eq!(at_fault("thread shard panicked at journal/0028.rs"), None);
        let both = format!("{}, then {}", says(Errno::NOENT), says(Errno::NOSPC));
        assert_eq!(at_fault(&both), Some("the disk is full"));
    }
}
