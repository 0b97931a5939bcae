//! Every bit and every length of every file of a small log: found at open, at read or by `verify`, never served.

use super::*;

/// All batches from the front, in small reads.
fn read_all(reader: &LogReader) -> Result<Vec<StoredBatch>, LogError> {
    let mut batches: Vec<StoredBatch> = Vec::new();
    loop {
        let from = batches.last().map_or(Offset::ZERO, |batch| batch.last().next());
        let more = reader.read(from, 400)?;
        if more.is_empty() {
            return Ok(batches);
        }
        batches.extend(more);
    }
}

/// Opens and reads everything; true if the damage in `file` was reported, with its name, somewhere.
fn reported(storage: &MemoryStorage, state: &LogState, expected: &[StoredBatch], file: &str) -> bool {
    let names = |error: LogError| {
        let text = error.to_string();
        assert!(text.contains(file), "{text} does not name {file}");
    };
    let writer = match open(storage, state) {
        Ok(writer) => writer,
        Err(error) => {
            names(error);
            return true;
        }
    };
    let reader = writer.reader();
    match read_all(&reader) {
        Ok(found) => assert_eq!(essence(&found), essence(expected), "damaged bytes were served"),
        Err(error) => names(error),
    }
    let report = reader.verify();
    let mut found = report.problems.iter().chain(&report.newer);
    found.any(|problem| problem.file == file)
}

#[test]
fn every_flipped_bit_is_reported() {
    let (storage, writer, batches) = filled(12);
    let state = writer.state();
    assert!(state.segments.len() > 1);
    drop(writer);
    let mut flips = 0;
    for path in storage.files() {
        for bit in 0..storage.contents(&path).len() * 8 {
            tamper(&storage, &path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            assert!(reported(&storage, &state, &batches, &path), "bit {bit} of {path}");
            tamper(&storage, &path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            flips += 1;
        }
    }
    assert!(flips > 10_000);
    check_all(&open(&storage, &state).unwrap().reader(), &batches);
}

#[test]
fn every_truncation_is_reported() {
    let (storage, writer, batches) = filled(12);
    let state = writer.state();
    drop(writer);
    for path in storage.files() {
        let whole = storage.contents(&path);
        for len in 0..whole.len() {
            tamper(&storage, &path, |bytes| bytes.truncate(len));
            assert!(reported(&storage, &state, &batches, &path), "{path} cut at {len}");
            tamper(&storage, &path, |bytes| bytes.clone_from(&whole));
        }
    }
}

#[test]
fn a_missing_file_is_reported() {
    let (storage, writer, batches) = filled(12);
    let state = writer.state();
    drop(writer);
    for path in storage.files() {
        let aside = format!("{DIRECTORY}/aside");
        storage.rename(&path, &aside).unwrap();
        assert!(reported(&storage, &state, &batches, &path), "{path} missing");
        storage.rename(&aside, &path).unwrap();
    }
}

#[test]
fn a_damaged_log_is_left_as_it_was_found() {
    let (storage, mut writer, _) = filled(12);
    let state = writer.state();
    writer.append(&[batch(1000, 9)]).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let first = format!("{DIRECTORY}/00000000000000000000.log");
    tamper(&storage, &first, |bytes| bytes.truncate(100));
    let contents =
        |storage: &MemoryStorage| -> Vec<_> { storage.files().iter().map(|path| storage.contents(path)).collect() };
    let before = contents(&storage);
    let error = open(&storage, &state).err().unwrap();
    assert!(matches!(error, LogError::Corrupt { position: 100, .. }), "{error}");
    assert_eq!(contents(&storage), before);
}

#[test]
fn damage_names_the_place() {
    let (storage, writer, _) = filled(12);
    let reader = writer.reader();
    let batches = reader.read(Offset::ZERO, usize::MAX).unwrap();
    let path = format!("{DIRECTORY}/00000000000000000000.log");
    let second = batches[0].bytes().len();
    tamper(&storage, &path, |bytes| bytes[second + 70] ^= 4);
    let error = reader.read(Offset::ZERO, 1).unwrap_err();
    let LogError::Corrupt { file, position, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((file, position), (path, second as u64));
}

#[test]
fn other_versions_and_directories_are_refused() {
    let (storage, writer, _) = filled(3);
    let state = writer.state();
    let path = format!("{DIRECTORY}/00000000000000000000.sums");
    let change = |at: usize, value: u8| {
        tamper(&storage, &path, |bytes| {
            bytes[at] = value;
            let crc = crc32c::crc32c(&bytes[..36]);
            bytes[36..40].copy_from_slice(&crc.to_le_bytes());
        });
    };
    change(8, 2);
    let error = open(&storage, &state).err().unwrap();
    assert!(matches!(
        error,
        LogError::Version {
            found: 2,
            supported: 1,
            ..
        }
    ));
    change(8, 1);
    change(12, 0xD2);
    let error = open(&storage, &state).err().unwrap();
    assert!(matches!(
        error,
        LogError::ForeignDirectory {
            found: 0xD2,
            expected: 0xD1,
            ..
        }
    ));
}

#[test]
fn behind_damage_lies_the_next_interval_or_segment() {
    let (storage, writer, batches) = filled(12);
    let reader = writer.reader();
    let next = reader.behind(Offset::ZERO);
    let first = reader.read(Offset::ZERO, 1).unwrap();
    assert_eq!(next, first.last().unwrap().last().next());
    let segment = reader.segments()[0];
    assert!(next <= segment.end);
    storage
        .remove(&format!("{DIRECTORY}/00000000000000000000.sums"))
        .unwrap();
    assert_eq!(reader.behind(Offset::ZERO), segment.end);
    let end = batches.last().unwrap().last().next();
    assert_eq!(reader.behind(end), end.next());
}
