//! That a ring is never larger than what a process can hold open, or than its names can count.

use super::*;

/// The files of the ring and those of everything else.
const ENOUGH: u64 = 4 + 64;

#[test]
fn a_ring_that_cannot_be_held_open_is_refused_before_anything_is_made() {
    let storage = storage();
    storage.set_open_files(ENOUGH - 1);
    let error = Journal::create(shared(&storage), small(), ID).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the journal may come to 4 files, and this process may have 67 open, 64 of them for other things"
    );
    assert!(storage.files().is_empty());
    storage.set_open_files(ENOUGH);
    let mut journal = create(&storage, small());
    for _ in 0..2 {
        let grown = journal.order_growth().unwrap().run().unwrap();
        journal.adopt(grown);
    }
    assert!(journal.order_growth().is_none());
    fill(&mut journal, 1..6);
    drop(journal);
    // What is there counts, whatever is wished now.
    let shrunk = JournalOptions {
        journal_size: 2 * FILE,
        ..small()
    };
    let open = |options| Journal::open(shared(&storage), options, ID, Position::ZERO, &mut |_, _| Ok(()));
    storage.set_open_files(ENOUGH - 1);
    let error = open(shrunk).unwrap_err();
    assert!(matches!(error, JournalError::OpenFiles { files: 4, .. }), "{error}");
    storage.set_open_files(ENOUGH);
    let (_, report) = open(small()).unwrap();
    assert_eq!(report.groups, 5);
}

/// A ring keeps the size of its files. Of smaller ones than are wished now it grew to more than four digits can name.
#[test]
fn a_ring_grows_to_as_many_files_as_have_names() {
    let storage = storage();
    drop(create(&storage, small()));
    let wished = JournalOptions {
        file_size: 1 << 20,
        journal_size: 1 << 30,
        ..small()
    };
    let opened = Journal::open(shared(&storage), wished, ID, Position::ZERO, &mut |_, _| Ok(()));
    assert_eq!(opened.unwrap().0.capacity_max(), 9999 * ROOM);
}
