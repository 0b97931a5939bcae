//! The two small text files that Kafka keeps in a partition's directory.

use super::error::LogError;
use crate::ids::TopicId;
use crate::storage::{OpenMode, Storage};

/// Name and content of each file.
pub(super) fn files(topic_id: TopicId) -> [(&'static str, String); 2] {
    [
        (
            "partition.metadata",
            format!("version: 0\ntopic_id: {}", base64_url(topic_id)),
        ),
        ("leader-epoch-checkpoint", "0\n1\n0 0\n".to_owned()),
    ]
}

/// Writes both anew and syncs them, not the directory.
pub(super) fn write(storage: &dyn Storage, directory: &str, topic_id: TopicId) -> Result<(), LogError> {
    for (name, content) in files(topic_id) {
        let path = format!("{directory}/{name}");
        remove_if_there(storage, &path)?;
        let file = storage
            .open(&path, OpenMode::CreateNew)
            .map_err(LogError::io(&path, "create"))?;
        file.write_all_at(content.as_bytes(), 0)
            .map_err(LogError::io(&path, "write"))?;
        file.sync_data().map_err(LogError::io(&path, "sync"))?;
    }
    Ok(())
}

/// Compares both with what [`write`] wrote.
pub(super) fn check(storage: &dyn Storage, directory: &str, topic_id: TopicId) -> Result<(), LogError> {
    let mut files = files(topic_id).into_iter();
    files.try_for_each(|(name, content)| check_file(storage, &format!("{directory}/{name}"), &content))
}

/// Compares one of them with what should be in it.
pub(super) fn check_file(storage: &dyn Storage, path: &str, content: &str) -> Result<(), LogError> {
    let file = match storage.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LogError::corrupt(path, 0, "the file is missing"));
        }
        Err(error) => return Err(LogError::io(path, "open")(error)),
    };
    let len = file.len().map_err(LogError::io(path, "measure"))?;
    if len != content.len() as u64 {
        let what = format!("the file has {len} bytes, {} expected", content.len());
        return Err(LogError::corrupt(path, len.min(content.len() as u64), what));
    }
    let mut found = vec![0; content.len()];
    file.read_exact_at(&mut found, 0).map_err(LogError::read(path, 0))?;
    if let Some(position) = found.iter().zip(content.bytes()).position(|(a, b)| *a != b) {
        let what = format!("{content:?} expected");
        return Err(LogError::corrupt(path, position as u64, what));
    }
    Ok(())
}

pub(super) fn remove_if_there(storage: &dyn Storage, path: &str) -> Result<(), LogError> {
    match storage.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// 22 characters, as Kafka prints topic ids: 128 bits, first bit first, padded with 4 zero bits.
fn base64_url(topic_id: TopicId) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..22_u32)
        .map(|index| {
            let bits = match 122_u32.checked_sub(6 * index) {
                Some(shift) => topic_id.0 >> shift,
                None => topic_id.0 << 4,
            };
            let sextet = (bits & 63) as usize;
            ALPHABET.get(sextet).copied().map_or('?', char::from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_look_as_kafka_prints_them() {
        assert_eq!(base64_url(TopicId(0)), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(base64_url(TopicId(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(base64_url(TopicId(u128::MAX)), "_____________________w");
    }
}
