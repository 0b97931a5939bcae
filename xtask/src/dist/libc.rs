//! Which C library a program needs.

/// The oldest version of glibc that has everything that the program asks of it: the newest one that is named in it. None if it names none.
pub(super) fn oldest(program: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"GLIBC_";
    let versions = program.windows(NAME.len() + 8).filter_map(|window| {
        let rest = window.strip_prefix(NAME)?;
        let end = rest.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
        let (major, minor) = std::str::from_utf8(rest.get(..end)?).ok()?.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let (major, minor) = versions.max()?;
    Some(format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_the_c_library_counts() {
        let program = b"\0GLIBC_2.9\0\0\0\0\0\0GLIBC_2.34\0\0\0\0\0GLIBC_2.2.5\0\0\0\0\0GLIBC_PRIVATE\0";
        assert_eq!(oldest(program).as_deref(), Some("2.34"));
        assert_eq!(oldest(b"nothing of the kind, in many bytes"), None);
    }
}
