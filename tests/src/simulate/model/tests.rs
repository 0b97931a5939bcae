//! What the model must find, and what it must let pass, where seeds seldom come.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Drops, Found, LETTERS, Model, Origin, Redrive, Topic, value};

/// A topic's number, and its only partition.
const TOPIC: u8 = 1;
const PARTITION: u32 = 0;

fn at(offset: u64, id: value::Id) -> Found {
    Found {
        offset,
        id: Some(id),
        origin: None,
        letter: None,
    }
}

/// A dead letter went back, its record became a dead letter again, and so did that. The power took the second return, and the
/// model forgot the first with it: the first letter was said to be lost.
#[test]
fn a_return_that_is_lost_says_nothing_of_another_one() {
    let letters = LETTERS;
    let mut model = Model {
        fickle: true,
        ..Model::default()
    };
    model.topics.insert(TOPIC, Topic::new(1, Drops::Never));
    model.topics.insert(letters, Topic::new(1, Drops::Never));
    let id = model.new_id(10);
    for (letter, offset) in [(0, 3), (1, 6)] {
        model.redriven.insert((letters, letter), Redrive::new(id, TOPIC));
        model.sent_back((letters, letter), (PARTITION, offset)).unwrap();
        let log = model.log_mut(TOPIC, PARTITION).unwrap();
        log.put(offset, id, 0, 1).unwrap();
        log.end = offset + 1;
    }
    model.crash(|_| false, 2);
    model.drown(2);
    let mut back = at(3, id);
    back.origin = Some(Origin {
        topic: TOPIC,
        partition: PARTITION,
        offset: 0,
    });
    model.found(TOPIC, PARTITION, &back, 2).unwrap();
    model.read(TOPIC, PARTITION, 0, 5, &[3], 2).unwrap();
    model.decide().unwrap();
    let left: Vec<u64> = model.redriven.keys().map(|(_, letter)| *letter).collect();
    assert_eq!(left, [0]);
}

/// Two groups had a dead letter of the same record each, and both were sent back. One copy was found after a crash and taken for
/// that of the other letter, which then went back for the first time, and was said to have gone twice.
#[test]
fn a_copy_belongs_to_either_of_two_letters_and_to_no_third() {
    let mut model = Model::default();
    model.topics.insert(TOPIC, Topic::new(1, Drops::Never));
    let id = model.new_id(10);
    let letters = [(LETTERS, 1), (LETTERS + 1, 2)];
    for letter in letters {
        model.redriven.insert(letter, Redrive::new(id, TOPIC));
    }
    let mut copy = at(3, id);
    copy.origin = Some(Origin {
        topic: TOPIC,
        partition: PARTITION,
        offset: 0,
    });
    model.found(TOPIC, PARTITION, &copy, 1).unwrap();
    model.decide().unwrap();
    model.not_sent_back(letters[1]);
    assert_eq!(model.redriven.len(), 2);
    for (letter, offset) in letters.into_iter().zip([4, 3]) {
        model.sent_back(letter, (PARTITION, offset)).unwrap();
        let twice = model.sent_back(letter, (PARTITION, 9));
        assert!(twice.unwrap_err().starts_with("I13"));
    }
    copy.offset = 5;
    let third = model.found(TOPIC, PARTITION, &copy, 1);
    assert!(third.unwrap_err().starts_with("I13"));
}
