//! Snapshots of a share partition as bytes: everything comes back, each field is taken up to its limit and refused
//! beyond it, and the place of the first wrong field is named.

use bytes::{Bytes, BytesMut};
use share_engine::ids::{DeliveryCount, ShareKey, StateEpoch};
use share_engine::share::{
    Change, DecodeError, MAX_CHECKPOINT_BYTES, MAX_NOTE_BYTES, Persisted, RecordView, ShareOptions, SharePartition,
    Window,
};
use share_engine::time::Delay;

use crate::rig::*;

/// Farthest that an offset may lie from the start offset.
const SPAN: u64 = 64 << 20;

const AVAILABLE: u8 = 1;
const ACQUIRED: u8 = 2;
const PARKED: u8 = 3;
const ACKNOWLEDGED: u8 = 4;
const STRUCK: u8 = 0x10;
const BEGAN: u8 = 0x20;
const CHECKPOINT: u8 = 1;
const PARK: u8 = 2;
const CONTINUES: u8 = 4;

/// A snapshot in the making.
#[derive(Clone)]
struct Say(Vec<u8>);

impl Say {
    fn number(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn bytes(self, len: usize) -> Self {
        let mut all = self.number(len as u64);
        all.0.resize(all.0.len() + len, 7);
        all
    }
}

/// Epoch 1, start 100 and the number of runs.
fn begin(runs: u64) -> Say {
    Say(vec![1]).number(1).number(100).number(runs)
}

/// One run of one record at 100 and one side entry for it, up to its flags.
fn side(state: u8, flags: u8) -> Say {
    let say = begin(1).number(0).number(0).byte(state).number(1);
    let say = if state & BEGAN == 0 { say } else { say.number(9) };
    say.number(1).number(0).byte(flags)
}

fn decode(bytes: &[u8]) -> Result<SharePartition, DecodeError> {
    let rig = rig(5, 200);
    let share = SharePartition::decode(ShareKey(1), *rig.share.options(), bytes, rig.now)?;
    share.check();
    Ok(share)
}

/// The first is read and is written again as it was, the second is refused for this field with this value.
fn limit(field: &'static str, fine: &Say, wrong: &Say, said: u64) {
    let share = decode(&fine.0).unwrap_or_else(|error| panic!("{field}: {error}"));
    let mut again = BytesMut::new();
    share.encode(&mut again);
    assert_eq!(again, fine.0, "{field}");
    match decode(&wrong.0) {
        Err(DecodeError::Field {
            field: named, value, ..
        }) => assert_eq!((named, value), (field, said)),
        other => panic!("{field}: {other:?}"),
    }
}

#[test]
fn each_field_has_its_limit() {
    let none = |say: Say| say.number(0);
    let header = |epoch: u64, start: u64| none(none(Say(vec![1]).number(epoch).number(start)));
    let epochs = u64::from(u32::MAX);
    limit("epoch", &header(epochs, 5), &header(epochs + 1, 5), epochs + 1);
    let last = share_engine::ids::Offset::MAX.get() - 2 * SPAN;
    limit("start", &header(1, last), &header(1, last + 1), last + 1);
    // What is far is far from the start offset.
    let far = none(
        Say(vec![1])
            .number(1)
            .number(last)
            .number(1)
            .number(70)
            .number(3)
            .byte(AVAILABLE)
            .number(1),
    );
    assert_eq!(decode(&far.0).unwrap().counts().available, 74);
    let run = |tag: u8, count: u64| none(begin(1).number(0).number(0).byte(tag).number(count));
    limit(
        "delivery count",
        &run(AVAILABLE, 0xffff),
        &run(AVAILABLE, 0x1_0000),
        0x1_0000,
    );
    limit("delivery count", &run(AVAILABLE, 1), &run(AVAILABLE, 0), 0);
    let second = |second: u64| {
        none(
            begin(1)
                .number(0)
                .number(0)
                .byte(ACQUIRED | BEGAN)
                .number(1)
                .number(second),
        )
    };
    limit("second", &second(epochs), &second(epochs + 1), epochs + 1);
    let continuation = |number: u64| side(AVAILABLE, 0).number(number).number(0);
    limit(
        "continuation",
        &continuation(epochs),
        &continuation(epochs + 1),
        epochs + 1,
    );
    let checkpoint = |len: usize| side(AVAILABLE, CHECKPOINT).number(0).bytes(len).number(0);
    let most = MAX_CHECKPOINT_BYTES;
    limit("checkpoint", &checkpoint(most), &checkpoint(most + 1), most as u64 + 1);
    let note = |len: usize| side(AVAILABLE, 0).number(0).number(1).bytes(len);
    limit(
        "note",
        &note(MAX_NOTE_BYTES),
        &note(MAX_NOTE_BYTES + 1),
        MAX_NOTE_BYTES as u64 + 1,
    );
    let notes = |count: u64| (0..count).fold(side(AVAILABLE, 0).number(0).number(count), |say, _| say.bytes(1));
    limit("notes", &notes(32), &notes(33), 33);
    let park = |from: u64| side(PARKED | BEGAN, PARK).number(0).number(0).number(from).number(5);
    limit("park", &park(i64::MAX.unsigned_abs()), &park(1 << 63), 1 << 63);
    let trailing = |say: Say| say.byte(0);
    let length = run(AVAILABLE, 1).0.len() as u64 + 1;
    limit("length", &run(AVAILABLE, 1), &trailing(run(AVAILABLE, 1)), length);
}

#[test]
fn each_tag_and_flag_is_known() {
    let run = |tag: u8| {
        let say = begin(1).number(0).number(0).byte(tag);
        let say = if tag & 0xf <= 3 { say.number(1) } else { say };
        let say = if tag & BEGAN == 0 { say } else { say.number(9) };
        say.number(0)
    };
    let known = [
        AVAILABLE,
        AVAILABLE | STRUCK,
        ACQUIRED | BEGAN,
        ACQUIRED | BEGAN | STRUCK,
        ACKNOWLEDGED,
        5,
        6,
    ];
    for tag in (0..=255).filter(|tag| tag & 0xf != PARKED) {
        // What ends at the start offset is passed.
        match decode(&run(tag).0) {
            Ok(_) => assert!(known.contains(&tag), "{tag}"),
            Err(DecodeError::Field { field, value, .. }) => {
                assert!(!known.contains(&tag), "{tag}");
                assert_eq!((field, value), ("run tag", u64::from(tag)));
            }
            Err(error) => panic!("{tag}: {error}"),
        }
    }
    for flags in 0..=255_u8 {
        let say = side(PARKED | BEGAN, flags).number(1);
        let say = if flags & CHECKPOINT == 0 { say } else { say.bytes(3) };
        let say = say.number(0);
        let say = if flags & PARK == 0 {
            say
        } else {
            say.number(1).number(5)
        };
        let fine = [PARK, PARK | CHECKPOINT, PARK | CONTINUES, PARK | CHECKPOINT | CONTINUES].contains(&flags);
        let read = decode(&say.0);
        assert_eq!(read.is_ok(), fine, "{flags}: {read:?}");
        if flags & !(CHECKPOINT | PARK | CONTINUES) != 0 || flags & (PARK | CONTINUES) == CONTINUES {
            assert!(
                matches!(read, Err(DecodeError::Field { field: "side flags", value, .. }) if value == u64::from(flags))
            );
        }
    }
}

/// The field that is blamed, and where.
fn blamed(say: &Say) -> (&'static str, u64, usize) {
    match decode(&say.0) {
        Err(DecodeError::Field { field, value, at }) => (field, value, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let to = |say: Say| say.0.len();
    // Runs that begin or end too far away.
    let at = to(begin(1));
    assert_eq!(blamed(&begin(1).number(SPAN + 1)), ("run offset", SPAN + 1, at));
    assert_eq!(
        blamed(&begin(1).number(0).number(SPAN + 1)),
        ("run length", SPAN + 1, at + 1)
    );
    assert_eq!(blamed(&begin(1).number(0).number(SPAN)), ("run end", 100 + SPAN, at));
    assert_eq!(blamed(&begin(1).number(SPAN).number(0)), ("run end", 100 + SPAN, at));
    // A side entry of what was never delivered, has ended, or does not exist.
    let run = |tag: u8| begin(1).number(1).number(0).byte(tag).number(1);
    for (say, offset) in [
        (run(AVAILABLE).number(1).number(0), 100),
        (run(AVAILABLE).number(1).number(2), 102),
        (begin(1).number(1).number(0).byte(ACKNOWLEDGED).number(1).number(1), 101),
    ] {
        let (field, value, _) = blamed(&say.byte(0).number(1).number(0));
        assert_eq!((field, value), ("side offset", offset));
    }
    let far = run(AVAILABLE).number(1).number(SPAN + 1);
    assert_eq!((blamed(&far).0, blamed(&far).1), ("side offset", SPAN + 1));
    // A second entry of the same record would have to go back.
    let two = run(AVAILABLE).number(2).number(1).byte(0).number(1).number(0);
    assert_eq!(blamed(&two.number(0).byte(0).number(1).number(0)).1, 102);
    let empty = side(AVAILABLE, 0).number(0).number(0);
    assert_eq!(blamed(&empty), ("empty side entry", 100, to(side(AVAILABLE, 0)) - 1));
    let parked = begin(1)
        .number(0)
        .number(0)
        .byte(PARKED | BEGAN)
        .number(1)
        .number(9)
        .number(0);
    assert_eq!(blamed(&parked).0, "parked record without a time");
    let free = side(AVAILABLE, PARK).number(0).number(0).number(1).number(1);
    assert_eq!(blamed(&free).0, "park of a record that is not parked");
    let struck = begin(1)
        .number(0)
        .number(1)
        .byte(ACQUIRED | BEGAN | STRUCK)
        .number(1)
        .number(9)
        .number(0);
    assert_eq!(blamed(&struck).0, "second struck record");
    // Numbers of more than 64 bits, and the largest that has no more.
    let at = to(Say(vec![1]));
    let long = |last: u8| Say([&[1][..], &[0xff; 9], &[last]].concat());
    assert_eq!(blamed(&long(2)), ("number", u64::MAX >> 1, at));
    assert_eq!(blamed(&long(0x81)), ("number", u64::MAX, at));
    assert_eq!(blamed(&long(1)), ("epoch", u64::MAX, at));
}

#[test]
fn what_is_cut_short_says_by_how_much() {
    let cut = |say: Say| match decode(&say.0) {
        Err(DecodeError::Truncated { at, missing }) => (at, missing),
        other => panic!("{other:?}"),
    };
    assert_eq!(cut(Say(vec![])), (0, 1));
    let before = side(AVAILABLE, CHECKPOINT).number(0);
    let at = before.0.len();
    assert_eq!(cut(before.clone()), (at, 1));
    let mut half = before.bytes(10);
    half.0.truncate(at + 4);
    assert_eq!(cut(half), (at + 1, 7));
}

/// As it is after a restart: nobody's, and how often a finished one was delivered may be forgotten.
fn durable(view: RecordView) -> RecordView {
    let done = ended(&view);
    RecordView {
        member: None,
        deadline: None,
        delivery_count: if done { DeliveryCount(0) } else { view.delivery_count },
        ..view
    }
}

#[test]
fn everything_comes_back_over_many_blocks() {
    let mut rig = rig_at(100, 5, 200);
    let options = ShareOptions {
        window: Window::Acquired(1_000),
        ..*rig.share.options()
    };
    rig.share = SharePartition::new(ShareKey(1), StateEpoch(3), at(100), options);
    assert_eq!(rig.fetch(M1, 500, &[(100, 599)]), [(100, 599, 1)]);
    // Blocks that are whole: accepted, archived, released; and one with everything in turn.
    rig.ack(M1, &[(128, 191, &[ACCEPT])]).unwrap();
    rig.ack(M1, &[(192, 255, &[REJECT])]).unwrap();
    rig.ack(M1, &[(256, 319, &[RELEASE])]).unwrap();
    rig.ack(M1, &[(448, 511, &[ACCEPT])]).unwrap();
    for offset in 320..384 {
        let kind = [ACCEPT, REJECT, RELEASE, GAP][usize::try_from(offset % 4).unwrap()];
        if offset % 5 != 0 {
            rig.ack(M1, &[(offset, offset, &[kind])]).unwrap();
        }
    }
    let delay = |seconds| Delay {
        from: rig.now.wall,
        length: std::time::Duration::from_secs(seconds),
    };
    for (offset, continuation) in [(400, true), (401, false), (420, true)] {
        let park = Change::Park {
            offset: at(offset),
            delay: delay(offset),
            continuation,
            untouched: offset == 420,
            checkpoint: continuation.then(|| Bytes::from(vec![3; 300])),
            note: (!continuation).then(|| Bytes::from_static(b"why")),
        };
        rig.share.apply(&park, rig.now).unwrap();
    }
    let all = |rig: &Rig| -> Vec<_> { rig.share.records(run(0, 1_000)).map(durable).collect() };
    let before = all(&rig);
    assert_eq!(before.len(), 500);
    let mut bytes = BytesMut::new();
    rig.share.encode(&mut bytes);
    rig.reload();
    assert_eq!((rig.share.epoch(), rig.offsets()), (StateEpoch(3), (100, 599, 256)));
    for (old, new) in before.iter().zip(all(&rig)) {
        assert_eq!(*old, new);
    }
    assert_eq!(rig.share.checkpoint(at(400)).unwrap().len(), 300);
    assert_eq!(rig.share.notes(at(401)), ["why"]);
    let mut again = BytesMut::new();
    rig.share.encode(&mut again);
    assert_eq!(bytes, again);
    // It goes on from there.
    let settled = rig.share.void_leases(false, rig.now);
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.share.counts().acquired, 0);
    let done = before.iter().filter(|view| ended(view)).count() as u64;
    assert_eq!(rig.share.counts().terminal, done);
}

fn ended(view: &RecordView) -> bool {
    matches!(view.state, Acknowledged | Archived)
}
