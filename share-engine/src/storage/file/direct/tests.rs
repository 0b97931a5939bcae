//! That what is written past the cache, around it, or half this way and half the other, is what was given.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::collections::VecDeque;
use std::path::Path;

use rustix::io::Errno;

use super::super::OpenFile;
use super::*;
use crate::entropy::Entropy as _;
use crate::storage::{File as _, FileStorage, OpenMode, Storage as _};
use crate::testing::SeededEntropy;

#[test]
fn both_ways_of_writing_make_one_file() {
    let place = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_or_create(place.path()).unwrap();
    let file = storage.open("x", OpenMode::CreateNew).unwrap();
    let entropy = SeededEntropy::new(7);
    let mut model: Vec<u8> = Vec::new();
    for turn in 0..300_usize {
        let draw = |below: usize| (entropy.next_u64() % below as u64) as usize;
        let unit = [1, 512, 4096][draw(3)];
        let len = (1 + draw([600, 5_000, 300_000][draw(3)])).next_multiple_of(unit);
        // Mostly behind the end, as a log grows; else over what is there, as a ring.
        let position = if draw(2) == 0 {
            model.len()
        } else {
            draw(model.len() + 1)
        }
        .next_multiple_of(unit);
        let data: Vec<u8> = (0..len).map(|at| (at as u8) ^ (turn as u8)).collect();
        if draw(4) == 0 {
            file.write_all_at(&data, position as u64).unwrap();
        } else {
            file.write_through_at(&data, position as u64).unwrap();
        }
        model.resize(model.len().max(position + len), 0);
        model[position..position + len].copy_from_slice(&data);
        if draw(8) == 0 {
            file.sync_data().unwrap();
            let mut found = vec![0; model.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            assert!(found == model, "turn {turn}: the file is not what was written");
        }
    }
    assert_eq!(file.len().unwrap(), model.len() as u64);
}

/// A file that is written as always, by writes that go as they are told to: so many bytes, or an error. All of it when they
/// are told nothing more.
#[derive(Debug)]
struct Told {
    file: fs::File,
    script: Mutex<VecDeque<Result<usize, Errno>>>,
}

impl WriteAt for Told {
    fn write_at(&self, data: &[u8], position: u64) -> io::Result<usize> {
        let told = self.script.lock().unwrap().pop_front().unwrap_or(Ok(data.len()))?;
        let part = &data[..told.min(data.len())];
        sys::write_all_at(&self.file, part, position)?;
        Ok(part.len())
    }
}

/// How each write ends; it goes on as it should when there is no more.
type Script = &'static [Result<usize, Errno>];

const ALL: usize = usize::MAX;

/// A file of `len` ones that is open for writes as they are told.
fn told(path: &Path, len: usize, script: Script) -> OpenFile {
    fs::write(path, vec![1; len]).unwrap();
    let open = || fs::File::options().read(true).write(true).open(path).unwrap();
    let writer = Told {
        file: open(),
        script: Mutex::new(script.iter().copied().collect()),
    };
    OpenFile {
        file: open(),
        direct: Some(Direct {
            staging: Arc::default(),
            way: Mutex::new(Way::Open(Arc::new(writer))),
        }),
    }
}

fn is_refused(file: &OpenFile) -> bool {
    matches!(*file.direct.as_ref().unwrap().way(), Way::Refused)
}

fn is_open(file: &OpenFile) -> bool {
    matches!(*file.direct.as_ref().unwrap().way(), Way::Open(_))
}

/// Nothing that differs from piece to piece, block to block or sector to sector is taken for something else.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at / SECTOR * 7 + at / PIECE + at + 3) as u8)
        .collect()
}

#[test]
fn what_goes_another_way_than_was_tried_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x");
    let scripts: &[(&str, Script, bool)] = &[
        ("refused at the first piece", &[Err(Errno::INVAL)], true),
        ("refused at the second piece", &[Ok(ALL), Err(Errno::INVAL)], true),
        ("unknown to the file system", &[Err(Errno::OPNOTSUPP)], true),
        ("interrupted", &[Err(Errno::INTR), Ok(ALL), Err(Errno::INTR)], false),
        (
            "short by sectors",
            &[Ok(SECTOR), Ok(3 * SECTOR), Ok(ALL), Ok(SECTOR)],
            false,
        ),
        ("short in a sector", &[Ok(SECTOR + 100)], false),
        ("short in a sector of the second piece", &[Ok(ALL), Ok(100)], false),
        (
            "short, and no further from there",
            &[Ok(SECTOR), Err(Errno::INVAL)],
            false,
        ),
    ];
    for (what, script, refused) in scripts {
        for (len, position) in [(2 * PIECE + 3 * SECTOR, SECTOR), (2 * PIECE + 5_000, 77)] {
            let file = told(&path, position + len + 10, script);
            let data = pattern(len);
            file.write_through_at(&data, position as u64).unwrap();
            let found = fs::read(&path).unwrap();
            assert!(found[position..position + len] == data, "{what} at {position}");
            assert!(found[..position].iter().all(|byte| *byte == 1), "{what}: before");
            assert!(found[position + len..].iter().all(|byte| *byte == 1), "{what}: behind");
            assert_eq!(is_refused(&file), *refused, "{what}");
            // And the next one.
            file.write_through_at(&data[..SECTOR], 0).unwrap();
            assert!(fs::read(&path).unwrap()[..SECTOR] == data[..SECTOR], "{what}: the next");
        }
    }
}

#[test]
fn an_error_of_the_disk_is_the_callers_to_know() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x");
    for script in [
        &[Err(Errno::IO)][..],
        &[Ok(PIECE), Err(Errno::IO)],
        &[Ok(SECTOR), Err(Errno::IO)],
        &[Ok(PIECE), Err(Errno::NOSPC)],
    ] {
        let file = told(&path, 10, script);
        let Err(error) = script.last().unwrap() else { continue };
        let found = file.write_through_at(&pattern(3 * PIECE), 0).unwrap_err();
        assert_eq!(found.raw_os_error(), Some(error.raw_os_error()));
        assert!(is_open(&file), "an error is no refusal");
    }
    let file = told(&path, 10, &[Ok(0)]);
    let error = file.write_through_at(&pattern(SECTOR), 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn what_opening_the_way_says() {
    let direct = Direct::new(&Arc::default());
    let open = |error: Errno| direct.write_by(|| Err(error.into()), &[2; SECTOR], 0);
    for error in [Errno::MFILE, Errno::NFILE] {
        assert_eq!(open(error).unwrap(), 0..0, "{error}");
        assert!(matches!(*direct.way(), Way::Closed), "{error}: asked again");
    }
    assert_eq!(
        open(Errno::IO).unwrap_err().raw_os_error(),
        Some(Errno::IO.raw_os_error())
    );
    let unasked = direct.write_by(|| unreachable!("nothing goes this way"), &[2; 100], 0);
    assert_eq!(unasked.unwrap(), 0..0);
    for error in [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOENT, Errno::ACCESS] {
        let direct = Direct::new(&Arc::default());
        let open = || direct.write_by(|| Err(error.into()), &[2; SECTOR], 0);
        assert_eq!(open().unwrap(), 0..0, "{error}");
        assert!(matches!(*direct.way(), Way::Refused), "{error}");
        direct.close();
        assert!(matches!(*direct.way(), Way::Refused), "{error}: not asked again");
    }
}

/// Whether this directory lies where the cache can be passed, found out in another way than the product has; says so if not.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stderr, reason = "for whoever reads why so little was tested")]
fn has_direct_writes(place: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let mut options = fs::File::options();
    options.write(true).create_new(true).custom_flags(flags);
    let piece = vec![0; BLOCK];
    let wrote = options
        .open(place.join("probe"))
        .and_then(|file| Staging::default().with(&piece, |aligned| sys::write_at(&file, aligned, 0)));
    if let Err(error) = &wrote {
        let kind = rustix::fs::statfs(place).unwrap().f_type;
        eprintln!(
            "skipped: no direct writes in {} (file system {kind:#x}): {error}",
            place.display()
        );
    }
    wrote.is_ok()
}

#[cfg(target_os = "linux")]
#[test]
fn the_way_is_taken_where_there_is_one_and_holds_a_descriptor_while_it_is_used() {
    let place = tempfile::tempdir().unwrap();
    if !has_direct_writes(place.path()) {
        return;
    }
    let storage = FileStorage::open_or_create(place.path().join("data")).unwrap();
    let file = storage.open_file("x", OpenMode::CreateNew).unwrap();
    assert!(!is_open(&file), "before the first write");
    file.write_all_at(&[1; 100], 0).unwrap();
    file.write_through_at(&[1; 100], 100).unwrap();
    assert!(!is_open(&file), "what cannot go that way asks for no descriptor");
    // The name may change before the first write, and lead elsewhere then.
    storage.rename("x", "y").unwrap();
    fs::write(storage.root().join("x"), b"another's").unwrap();
    let data = pattern(PIECE + BLOCK);
    file.write_through_at(&data, 0).unwrap();
    assert!(is_open(&file), "whole blocks go past the cache here");
    assert!(fs::read(storage.root().join("y")).unwrap() == data);
    assert_eq!(fs::read(storage.root().join("x")).unwrap(), b"another's");
    file.pause();
    assert!(!is_open(&file));
    file.write_through_at(&data[..BLOCK], 0).unwrap();
    assert!(is_open(&file), "and opens again");
    let read_only = storage.open_file("y", OpenMode::Read).unwrap();
    read_only.write_through_at(&data, 0).unwrap_err();
}

#[test]
fn pieces_begin_where_devices_want_them() {
    let staging = Staging::default();
    for len in [512, 4096, PIECE, 512] {
        let piece = vec![7; len];
        staging.with(&piece, |aligned| {
            assert_eq!(aligned.as_ptr().align_offset(BLOCK), 0);
            assert!(aligned == piece);
        });
    }
    assert_eq!(staging.buffers().len(), 1);
}
