//! What the model must find, and what it must let pass, where seeds seldom come.

#![allow(clippy::unwrap_used, reason = "tests")]

use share_engine::config::GroupConfig;

use super::{
    Begin, Drops, Found, Ghosts, Group, Kind, LETTERS, Limbo, Model, Origin, Record, Redrive, Rules, State, Topic,
    value,
};

/// A topic's number, and its only partition.
const TOPIC: u8 = 1;
const PARTITION: u32 = 0;

/// A record that was asked for, in a topic that drops its oldest.
fn asked_for(sure: bool) -> (Model, value::Id) {
    let mut model = Model::default();
    for topic in [TOPIC, TOPIC + 1] {
        model.topics.insert(topic, Topic::new(1, Drops::Above(1_000)));
    }
    let id = model.new_id(10);
    let limbo = Limbo {
        topic: TOPIC,
        asked: 1,
        sure,
        hidden: false,
    };
    model.limbo.insert(id, limbo);
    (model, id)
}

/// The engine is opened, and everything is read: each log holds nothing but an end and a start.
fn open_without(model: &mut Model, start: u64, end: u64) {
    model.crash(|_| false, 1);
    for topic in [TOPIC, TOPIC + 1] {
        model.read(topic, PARTITION, start, end, &[], 1).unwrap();
    }
    model.decide().unwrap();
}

fn at(offset: u64, id: value::Id) -> Found {
    Found {
        offset,
        id: Some(id),
        origin: None,
        letter: None,
    }
}

/// A topic's start had passed a record before anybody saw it, and the process died before that was in a snapshot. The record
/// was back, and was said never to have been produced.
#[test]
fn a_record_that_was_dropped_unseen_may_come_back_with_a_restart() {
    for sure in [false, true] {
        let (mut model, id) = asked_for(sure);
        open_without(&mut model, 5, 8);
        model.crash(|_| false, 2);
        model.found(TOPIC, PARTITION, &at(3, id), 2).unwrap();
        assert_eq!(model.back, 1);
        // Once.
        let again = model.found(TOPIC, PARTITION, &at(4, id), 2);
        assert!(again.unwrap_err().starts_with("I8"));
    }
}

/// Where it cannot have lain, or when it cannot have come back.
#[test]
fn a_record_that_was_dropped_unseen_comes_back_nowhere_else() {
    let check = |reopened: bool, topic: u8, offset: u64| {
        let (mut model, id) = asked_for(true);
        open_without(&mut model, 5, 8);
        if reopened {
            model.crash(|_| false, 2);
        }
        model.found(topic, PARTITION, &at(offset, id), 2)
    };
    assert_eq!(check(true, TOPIC, 7), Ok(()));
    for (reopened, topic, offset) in [
        (false, TOPIC, 7),
        (false, TOPIC, 3),
        (true, TOPIC, 8),
        (true, TOPIC + 1, 7),
    ] {
        let found = check(reopened, topic, offset);
        assert!(found.is_err_and(|error| error.starts_with("I8")), "{offset}");
    }
}

/// What was asked for and not there when everything was read, in a topic that drops nothing, was never produced.
#[test]
fn a_record_that_was_never_written_does_not_come_back() {
    let (mut model, id) = asked_for(false);
    model.topics.get_mut(&TOPIC).unwrap().drops = Drops::Never;
    open_without(&mut model, 0, 8);
    model.crash(|_| false, 2);
    let found = model.found(TOPIC, PARTITION, &at(3, id), 2);
    assert!(found.unwrap_err().starts_with("I8"));
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

/// A group was deleted by force, and its topic's start went behind the last record that it had settled: records before that, which
/// nobody had seen, were said to be lost.
#[test]
fn a_group_that_goes_may_take_along_what_nobody_has_seen() {
    for alone in [true, false] {
        let (mut model, _) = asked_for(true);
        let groups = if alone { 1 } else { 2 };
        for group in 0..groups {
            model.groups.insert(group, Group::new(&GroupConfig::default()));
            model.begin((group, TOPIC, PARTITION), 0, Begin::default());
        }
        let topic = model.topics.get_mut(&TOPIC).unwrap();
        topic.drops = Drops::Never;
        topic.logs[0].put(7, 99, 1, 1).unwrap();
        let mut record = Record::default();
        record.states[0] = State::FRESH.over(Kind::Accepted);
        model.share((0, TOPIC, PARTITION)).unwrap().records.insert(7, record);
        model.pass_settled(0, 2);
        model.groups.remove(&0);
        assert_eq!(model.decide().is_ok(), alone);
    }
}

/// The wall clock was set three times by an hour, and a group's longest attempt was shorter than that and longer than the run:
/// the engine ended an attempt, and was said to have no reason to.
#[test]
fn an_attempt_may_have_lasted_for_longer_than_the_run_once_the_clock_was_set() {
    let hour = 3_600_000_000_000;
    let rules = Rules {
        limit: 2,
        limit_high: 2,
        limits_ever: (2, 2),
        max_lease: 3 * hour,
        drops: false,
        ghosts: Ghosts::default(),
        fickle: false,
        now: 2 * hour,
    };
    let state = State {
        again: true,
        began: hour,
        ..State::FRESH
    };
    assert!(!state.is_exhausted(&rules));
    let mut model = Model::default();
    model.groups.insert(0, Group::new(&GroupConfig::default()));
    model.begin((0, TOPIC, PARTITION), 0, Begin::default());
    let mut record = Record::default();
    record.states[0] = state;
    model.share((0, TOPIC, PARTITION)).unwrap().records.insert(0, record);
    model.forget_times();
    let share = model.share((0, TOPIC, PARTITION)).unwrap();
    assert!(share.records[&0].states[0].is_exhausted(&rules));
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

/// A letter that went back for certain does not go again in the name of another of the same record; and where as many copies were
/// seen as letters were sent, one that is sent later has not gone before.
#[test]
fn a_letter_that_is_known_to_have_gone_back_stands_for_no_other() {
    let mut model = Model::default();
    model.topics.insert(TOPIC, Topic::new(1, Drops::Never));
    let id = model.new_id(10);
    let letters = [(LETTERS, 1), (LETTERS + 1, 2)];
    for letter in letters {
        model.redriven.insert(letter, Redrive::new(id, TOPIC));
    }
    model.sent_back(letters[0], (PARTITION, 3)).unwrap();
    let twice = model.sent_back(letters[0], (PARTITION, 4));
    assert!(twice.unwrap_err().starts_with("I13"));
    let mut model = Model::default();
    model.topics.insert(TOPIC, Topic::new(1, Drops::Never));
    for letter in letters {
        model.redriven.insert(letter, Redrive::new(id, TOPIC));
    }
    for offset in [3, 4] {
        assert!(model.copy_found(id, TOPIC, (PARTITION, offset)));
    }
    let third = (LETTERS, 5);
    model.redriven.insert(third, Redrive::new(id, TOPIC));
    model.not_sent_back(third);
    assert!(!model.redriven.contains_key(&third));
}
