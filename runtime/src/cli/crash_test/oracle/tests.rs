//! Short lives of children, word for word: each promise is broken once, and the oracle has to notice; what may be either is
//! never held against anybody.

use super::*;
use crate::cli::crash_test::said::{Span, State};

/// What a child that finds this says after its open.
fn look(start: u64, stands: &[(u64, State, u16)], lies: &[u64]) -> Vec<Said> {
    let stands = stands.iter().map(|(offset, state, count)| Said::Stands {
        run: Run::single(0, *offset),
        state: *state,
        count: *count,
    });
    let lies = lies.iter().map(|offset| Said::Lies {
        run: Run::single(0, *offset),
        number: 100 + offset,
    });
    let mut said = vec![Said::Opening, Said::Ready];
    said.extend(stands);
    said.push(Said::Start {
        partition: 0,
        offset: start,
    });
    said.extend(lies);
    said
}

fn looked() -> Said {
    grown(0, 0)
}

/// So many results and dead letters are there.
fn grown(results: u64, letters: u64) -> Said {
    let span = |end| Span { end, ..Span::default() };
    Said::Looked {
        results: span(results),
        letters: span(letters),
    }
}

/// What the accept of task 0 emitted at its first delivery.
fn emitted(at: u64) -> Said {
    Said::Emitted {
        at,
        partition: 0,
        offset: 0,
        count: 1,
    }
}

/// The dead letter of task 0.
fn letter(at: u64) -> Said {
    Said::Letter {
        at,
        partition: 0,
        offset: 0,
        number: 100,
    }
}

/// So many tasks, from offset 0 on.
fn produced(count: u64) -> Said {
    Said::Produced {
        run: Run {
            partition: 0,
            first: 0,
            last: count - 1,
        },
        number: 100,
    }
}

fn lease(offset: u64, count: u16, continuation: u32) -> Lease {
    Lease {
        run: Run::single(0, offset),
        count,
        continuation,
    }
}

fn got(offset: u64, count: u16, continuation: u32, checkpoint: Option<u32>) -> Said {
    Said::Got {
        lease: lease(offset, count, continuation),
        number: 100 + offset,
        checkpoint,
    }
}

fn first(verb: Verb) -> [Said; 3] {
    [
        got(0, 1, 0, None),
        Said::Tries(verb, lease(0, 1, 0)),
        Said::Done(verb, lease(0, 1, 0)),
    ]
}

/// Everything before the kill, and everything after it.
fn judged(before: &[Said], after: &[Said]) -> Oracle {
    let mut oracle = Oracle::default();
    for said in look(0, &[], &[])
        .into_iter()
        .chain([looked()])
        .chain(before.iter().cloned())
    {
        oracle.hear(said);
    }
    oracle.killed();
    after.iter().cloned().for_each(|said| oracle.hear(said));
    oracle
}

#[track_caller]
fn finds(before: &[Said], after: &[Said], kind: Kind, part: &str) {
    let oracle = judged(before, after);
    let found = &oracle.found().first;
    assert!(
        found.len() == 1 && found[0].kind == kind && found[0].text.contains(part),
        "{found:?}"
    );
}

#[track_caller]
fn finds_nothing(before: &[Said], after: &[Said]) -> Oracle {
    let oracle = judged(before, after);
    assert!(oracle.found().is_empty(), "{:?}", oracle.found());
    oracle
}

fn with(mut said: Vec<Said>, more: &[Said]) -> Vec<Said> {
    said.extend(more.iter().cloned());
    said
}

#[test]
fn what_is_as_it_was_is_no_finding() {
    let after = look(0, &[(0, State::Open, 0), (1, State::Open, 0)], &[0, 1]);
    let oracle = finds_nothing(&[produced(2)], &with(after, &[looked(), got(0, 1, 0, None)]));
    assert_eq!(oracle.counts().produced, 2);
}

#[test]
fn a_produce_that_is_gone_is_found() {
    let short = look(0, &[(0, State::Open, 0)], &[0]);
    finds(
        &[produced(2)],
        &with(short, &[looked()]),
        Kind::Lost,
        "task 0/1 (number 101)",
    );
    let unread = look(0, &[(0, State::Open, 0), (1, State::Open, 0)], &[0]);
    finds(
        &[produced(2)],
        &with(unread, &[looked()]),
        Kind::Lost,
        "not in the topic",
    );
}

/// What a restart has shown is as good as acknowledged.
#[test]
fn what_was_seen_once_stays() {
    let seen = look(0, &[(0, State::Open, 0)], &[0]);
    let mut oracle = judged(&[], &with(seen, &[looked()]));
    oracle.killed();
    for said in with(look(0, &[], &[]), &[looked()]) {
        oracle.hear(said);
    }
    assert_eq!(oracle.found().lost, 1, "{:?}", oracle.found());
}

#[test]
fn another_record_in_the_same_place_is_found() {
    let other = Said::Lies {
        run: Run::single(0, 0),
        number: 7,
    };
    let after = with(look(0, &[(0, State::Open, 0)], &[]), &[other, looked()]);
    finds(&[produced(1)], &after, Kind::Other, "was number 100 and is number 7");
}

#[test]
fn an_accepted_record_that_comes_again_is_found() {
    let before = with(vec![produced(1)], &first(Verb::Accept));
    let stands = look(0, &[(0, State::Open, 1)], &[0]);
    finds(&before, &stands, Kind::Redelivered, "to be delivered again");
    finds(&before, &[got(0, 2, 0, None)], Kind::Redelivered, "comes again");
    let passed = with(look(1, &[], &[]), &[looked(), got(0, 2, 0, None)]);
    finds(&before, &passed, Kind::Redelivered, "before it was finished");
    let racing = [
        got(0, 1, 0, None),
        got(0, 2, 0, None),
        Said::Done(Verb::Accept, lease(0, 1, 0)),
    ];
    finds(
        &with(vec![produced(1)], &racing),
        &[],
        Kind::Redelivered,
        "while its accept",
    );
    let stale = [
        got(0, 1, 1, Some(checkpoint(1, 0))),
        Said::Tries(Verb::Accept, lease(0, 1, 0)),
        Said::Done(Verb::Accept, lease(0, 1, 0)),
    ];
    let parked = with(vec![produced(1)], &first(Verb::Park));
    finds(&parked, &stale, Kind::Redelivered, "while its accept");
}

#[test]
fn an_accept_without_an_answer_may_be_either() {
    let before = [
        produced(1),
        got(0, 1, 0, None),
        Said::Tries(Verb::Accept, lease(0, 1, 0)),
    ];
    let done = with(look(0, &[(0, State::Acknowledged, 0)], &[]), &[looked()]);
    let mut oracle = finds_nothing(&before, &done);
    // From now on it is the one.
    oracle.hear(got(0, 2, 0, None));
    assert_eq!(oracle.found().redelivered, 1);
    finds_nothing(&before, &with(look(1, &[], &[]), &[looked()]));
    let open = with(look(0, &[(0, State::Open, 1)], &[0]), &[looked(), got(0, 2, 0, None)]);
    finds_nothing(&before, &open);
}

#[test]
fn an_accept_that_nobody_made_is_found() {
    let done = with(look(0, &[(0, State::Acknowledged, 0)], &[]), &[looked()]);
    finds(
        &[produced(1), got(0, 1, 0, None)],
        &done,
        Kind::Lost,
        "nobody accepted it",
    );
}

#[test]
fn a_delivery_count_that_falls_is_found() {
    let before = [produced(1), got(0, 1, 0, None), got(0, 2, 0, None)];
    let fallen = look(0, &[(0, State::Open, 1)], &[0]);
    finds(&before, &fallen, Kind::Other, "fell from 2 to 1");
    finds(
        &before,
        &[got(0, 2, 0, None)],
        Kind::Other,
        "twice as delivery number 2",
    );
    finds(
        &before,
        &[got(0, 1, 0, None)],
        Kind::Other,
        "its next delivery is number 1",
    );
    finds_nothing(&before, &[got(0, 4, 0, None)]);
}

#[test]
fn a_parked_delivery_goes_on_with_its_checkpoint() {
    let before = with(vec![produced(1)], &first(Verb::Park));
    let left = checkpoint(1, 0);
    finds_nothing(&before, &[got(0, 1, 1, Some(left))]);
    finds_nothing(&before, &[got(0, 2, 0, Some(left + 1))]);
    finds(&before, &[got(0, 1, 1, None)], Kind::Lost, "without the checkpoint");
    let unanswered = [produced(1), got(0, 1, 0, None), Said::Tries(Verb::Park, lease(0, 1, 0))];
    finds_nothing(&unanswered, &[got(0, 1, 1, Some(left))]);
    finds_nothing(&unanswered, &[got(0, 2, 0, None)]);
}

#[test]
fn what_was_emitted_is_there_once() {
    let before = with(vec![produced(1)], &first(Verb::AcceptAndEmit));
    let after = look(1, &[], &[]);
    finds_nothing(&before, &with(after.clone(), &[emitted(0), grown(1, 0)]));
    finds(
        &before,
        &with(after.clone(), &[looked()]),
        Kind::Lost,
        "emitted when it was accepted",
    );
    let twice = with(after, &[emitted(0), emitted(1), grown(2, 0)]);
    finds(&before, &twice, Kind::Other, "emitted twice");
    // Without an answer both are there, or none.
    let asked = [
        produced(1),
        got(0, 1, 0, None),
        Said::Tries(Verb::AcceptAndEmit, lease(0, 1, 0)),
    ];
    let done = look(0, &[(0, State::Acknowledged, 0)], &[]);
    finds_nothing(&asked, &with(done.clone(), &[emitted(0), grown(1, 0)]));
    finds(
        &asked,
        &with(done, &[looked()]),
        Kind::Lost,
        "emitted when it was accepted",
    );
    let open = look(0, &[(0, State::Open, 1)], &[0]);
    finds_nothing(&asked, &with(open.clone(), &[looked()]));
    finds(
        &asked,
        &with(open, &[emitted(0), grown(1, 0)]),
        Kind::Other,
        "without being accepted",
    );
}

#[test]
fn what_is_put_aside_has_a_dead_letter() {
    let before = with(vec![produced(1)], &first(Verb::Reject));
    let after = look(0, &[(0, State::Archived, 0)], &[]);
    finds_nothing(&before, &with(after.clone(), &[letter(0), grown(0, 1)]));
    finds(
        &before,
        &with(after.clone(), &[looked()]),
        Kind::Lost,
        "its dead letter is gone",
    );
    let twice = with(after.clone(), &[letter(0), letter(1), grown(0, 2)]);
    finds(&before, &twice, Kind::Other, "two dead letters");
    finds(&before, &[got(0, 2, 0, None)], Kind::Other, "put aside and comes again");
    // Held at two kills.
    let held = [produced(1), got(0, 1, 0, None)];
    finds_nothing(&held, &with(after, &[letter(0), grown(0, 1)]));
    finds_nothing(&held, &with(look(1, &[], &[]), &[letter(0), grown(0, 1)]));
    finds(
        &held,
        &with(look(1, &[], &[]), &[looked()]),
        Kind::Lost,
        "its dead letter is gone",
    );
    let open = look(0, &[(0, State::Open, 1)], &[0]);
    finds(
        &held,
        &with(open, &[letter(0), grown(0, 1)]),
        Kind::Other,
        "is to be delivered again and has a dead letter",
    );
}

/// It had to fit to some number, whichever.
#[test]
fn a_dead_letter_with_the_content_of_another_is_found() {
    let other = Said::Letter {
        at: 0,
        partition: 0,
        offset: 0,
        number: 7,
    };
    let before = with(vec![produced(1)], &first(Verb::Reject));
    for after in [look(0, &[(0, State::Archived, 0)], &[]), look(1, &[], &[])] {
        let after = with(after, &[other.clone(), grown(0, 1)]);
        finds(&before, &after, Kind::Lost, "holds number 7, not 100");
    }
}

/// The two topics that only grow were read once: what went after its first look was not missed.
#[test]
fn what_was_seen_in_a_topic_that_only_grows_is_missed() {
    let accepted = with(vec![produced(1)], &first(Verb::AcceptAndEmit));
    let rejected = with(vec![produced(1)], &first(Verb::Reject));
    let spans = |results, letters| Said::Looked { results, letters };
    let none = Span::default();
    let one = Span { end: 1, ..none };
    let passed = || look(1, &[], &[]);
    for (before, there, again) in [
        (&accepted, emitted(0), grown(1, 0)),
        (&rejected, letter(0), grown(0, 1)),
    ] {
        let seen = with(passed(), &[there.clone(), again.clone()]);
        let whole = with(with(seen.clone(), &passed()), &[there, again.clone()]);
        finds_nothing(before, &whole);
        let gone = with(with(seen.clone(), &passed()), &[again]);
        finds(before, &gone, Kind::Lost, "was there and is gone");
        // An end that has moved back is noticed by every look.
        let shorter = Span { from: 1, ..none };
        let shorter = with(with(seen, &passed()), &[spans(shorter, shorter)]);
        finds(before, &shorter, Kind::Lost, "was there and is gone");
    }
    // A look at what is new only says nothing of the rest.
    let rest = Span { from: 1, ..one };
    let seen = with(passed(), &[emitted(0), spans(one, none)]);
    finds_nothing(&accepted, &with(with(seen.clone(), &passed()), &[spans(rest, none)]));
    // Results are dropped when there are too many; dead letters never.
    let full = Span {
        start: 1,
        bytes: 16 << 20,
        ..one
    };
    finds_nothing(&accepted, &with(with(seen.clone(), &passed()), &[spans(full, none)]));
    let early = Span { bytes: 1 << 20, ..full };
    let early = with(with(seen, &passed()), &[spans(early, none)]);
    finds(&accepted, &early, Kind::Lost, "was there and is gone");
    let seen = with(passed(), &[letter(0), spans(none, one)]);
    let dropped = with(with(seen, &passed()), &[spans(none, full)]);
    finds(&rejected, &dropped, Kind::Lost, "was there and is gone");
}

/// An engine that opens with an end below the start of its group takes records that it never hands out.
#[test]
fn a_produce_that_nobody_is_given_is_found() {
    let before = with(vec![produced(1)], &first(Verb::Accept));
    let again = Said::Produced {
        run: Run::single(0, 0),
        number: 200,
    };
    let after = with(look(1, &[], &[]), &[looked(), again]);
    finds(
        &before,
        &after,
        Kind::Lost,
        "(number 200) was acknowledged and lies where",
    );
}

/// Who got it waited for standard output for longer than its lease, and another got it, and said so, meanwhile.
#[test]
fn a_delivery_that_is_told_late_is_no_finding() {
    let before = [produced(1), got(0, 2, 0, None)];
    finds_nothing(&before, &[]);
    let late = with(before.to_vec(), &[got(0, 1, 0, None)]);
    finds_nothing(&late, &[]);
    let accepted = with(
        before.to_vec(),
        &[Said::Done(Verb::Accept, lease(0, 2, 0)), got(0, 1, 0, None)],
    );
    finds_nothing(&accepted, &[]);
    // The last delivery is the last still.
    let fallen = look(0, &[(0, State::Open, 1)], &[0]);
    finds(&late, &fallen, Kind::Other, "fell from 2 to 1");
    let twice = with(late, &[got(0, 1, 0, None)]);
    finds(&twice, &[], Kind::Other, "its next delivery is number 1");
    // After a restart nothing of before is on its way.
    let restarted = with(look(0, &[(0, State::Open, 2)], &[0]), &[looked(), got(0, 1, 0, None)]);
    finds(&before, &restarted, Kind::Other, "its next delivery is number 1");
}

/// What is given back comes with the same count, and may be settled before the one who gave it back hears that it did.
#[test]
fn an_answer_that_is_told_late_belongs_to_its_own_settlement() {
    let before = [
        produced(1),
        got(0, 1, 0, None),
        Said::Tries(Verb::GiveBack, lease(0, 1, 0)),
        got(0, 1, 0, None),
        Said::Tries(Verb::Accept, lease(0, 1, 0)),
        Said::Done(Verb::GiveBack, lease(0, 1, 0)),
    ];
    let done = with(look(0, &[(0, State::Acknowledged, 0)], &[]), &[looked()]);
    finds_nothing(&before, &done);
    finds_nothing(&before, &with(look(1, &[], &[]), &[looked()]));
}

#[test]
fn a_start_that_moves_back_is_found() {
    let before = with(vec![produced(1)], &first(Verb::Accept));
    let passed = with(look(1, &[], &[]), &[looked()]);
    let back = Said::Start {
        partition: 0,
        offset: 0,
    };
    finds(
        &before,
        &with(passed, &[back]),
        Kind::Other,
        "finished up to 1 and is up to 0 now",
    );
}

#[test]
fn a_look_that_a_kill_cut_off_counts_for_nothing() {
    let before = with(vec![produced(1)], &first(Verb::AcceptAndEmit));
    let mut oracle = judged(&before, &with(look(1, &[], &[]), &[emitted(0)]));
    oracle.killed();
    for said in with(look(1, &[], &[]), &[emitted(0), grown(1, 0)]) {
        oracle.hear(said);
    }
    assert!(oracle.found().is_empty(), "{:?}", oracle.found());
}

#[test]
fn work_that_is_left_at_the_end_is_found() {
    let mut oracle = judged(
        &[produced(1)],
        &with(look(0, &[(0, State::Open, 0)], &[0]), &[looked()]),
    );
    oracle.finished();
    assert_eq!(oracle.found().lost, 1, "{:?}", oracle.found());
}

#[test]
fn a_kill_tells_how_much_was_held() {
    let mut oracle = Oracle::default();
    for said in [
        produced(2),
        got(0, 1, 0, None),
        got(1, 1, 0, None),
        Said::Done(Verb::Release, lease(1, 1, 0)),
    ] {
        oracle.hear(said);
    }
    assert_eq!(oracle.killed(), 1);
    assert_eq!(oracle.killed(), 0);
}

/// More was accepted than produced, without a word.
#[test]
fn what_had_no_answer_is_counted_when_it_is_found() {
    let tried = [
        produced(2),
        got(0, 1, 0, None),
        Said::Tries(Verb::Accept, lease(0, 1, 0)),
    ];
    let after = look(1, &[(1, State::Open, 0), (2, State::Open, 0)], &[1, 2]);
    let oracle = finds_nothing(&tried, &with(after.clone(), &[looked()]));
    let counts = oracle.counts();
    assert_eq!((counts.produced, counts.produced_unanswered), (2, 1));
    assert_eq!((counts.accepted, counts.accepted_unanswered, counts.dead), (0, 1, 0));
    // Finished by a dead letter instead.
    let counts = finds_nothing(&tried, &with(after, &[letter(0), grown(0, 1)])).counts();
    assert_eq!((counts.accepted_unanswered, counts.dead), (0, 1));
    // Not finished with everything before it, but accepted.
    let after = look(0, &[(0, State::Acknowledged, 1), (1, State::Open, 0)], &[0, 1]);
    let counts = finds_nothing(&tried, &with(after, &[looked()])).counts();
    assert_eq!((counts.produced_unanswered, counts.accepted_unanswered), (0, 1));
    // Delivered before its producer could say so, and finished before the next look.
    let told = [got(0, 1, 0, None), Said::Done(Verb::Accept, lease(0, 1, 0))];
    let counts = finds_nothing(&told, &with(look(1, &[], &[]), &[looked()])).counts();
    assert_eq!(
        (counts.produced, counts.produced_unanswered, counts.accepted),
        (0, 1, 1)
    );
}
