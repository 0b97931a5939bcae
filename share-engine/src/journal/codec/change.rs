//! Codec of `share::Change` lists. Offsets are written as the distance from where the previous change of the list
//! ended and wall times as the distance from the previous one, so that a run of acknowledgements costs three bytes
//! each. Used by journal entries; snapshots may use it too.

use std::time::Duration;

use bytes::Bytes;

use super::varint::{DecodeError, Measure, Sink, Source};
use crate::ids::{DeliveryCount, Offset, OffsetRange, StateEpoch};
use crate::share::{ArchiveCause, Change};
use crate::time::{Delay, WallTime};

/// Appends `changes` to `out`.
pub fn encode_changes(changes: &[Change], out: &mut Vec<u8>) {
    write_all(changes, out);
}

/// How many bytes [`encode_changes`] would append.
pub fn changes_len(changes: &[Change]) -> usize {
    let mut measure = Measure::default();
    write_all(changes, &mut measure);
    measure.0
}

/// Reads what [`encode_changes`] wrote; all of `bytes` must be changes.
pub fn decode_changes(bytes: &[u8]) -> Result<Vec<Change>, DecodeError> {
    let mut source = Source::new(bytes);
    let mut context = Context::default();
    let mut changes = Vec::new();
    while !source.is_empty() {
        changes.push(read(&mut source, &mut context)?);
    }
    Ok(changes)
}

/// What the distances of the next change are measured from.
#[derive(Default)]
struct Context {
    next: Offset,
    at: i64,
}

fn write_all(changes: &[Change], out: &mut impl Sink) {
    let mut context = Context::default();
    for change in changes {
        write(change, out, &mut context);
    }
}

fn write(change: &Change, out: &mut impl Sink, context: &mut Context) {
    match change {
        Change::Acquire {
            range,
            delivery_count,
            at,
        } => {
            out.byte(ACQUIRE);
            write_range(*range, out, context);
            out.unsigned(u64::from(delivery_count.get()));
            write_time(*at, out, context);
        }
        Change::Continue { offset, begins } => write_continue(*offset, *begins, out, context),
        Change::Acknowledge { range } => {
            out.byte(ACKNOWLEDGE);
            write_range(*range, out, context);
        }
        Change::Archive { range, cause } => {
            out.byte(ARCHIVE);
            write_range(*range, out, context);
            out.byte(cause_code(*cause));
        }
        Change::Release { range, note } => {
            out.byte(if note.is_some() { RELEASE_WITH_NOTE } else { RELEASE });
            write_range(*range, out, context);
            if let Some(note) = note {
                out.blob(note);
            }
        }
        Change::Park {
            offset,
            delay,
            continuation,
            untouched,
            checkpoint,
            note,
        } => {
            out.byte(PARK);
            write_offset(*offset, out, context);
            out.byte(
                (u8::from(*continuation) * PARK_CONTINUATION)
                    | (u8::from(*untouched) * PARK_UNTOUCHED)
                    | (u8::from(checkpoint.is_some()) * PARK_CHECKPOINT)
                    | (u8::from(note.is_some()) * PARK_NOTE),
            );
            write_time(delay.from, out, context);
            out.unsigned(delay.length.as_secs());
            out.unsigned(u64::from(delay.length.subsec_nanos()));
            for blob in [checkpoint, note].into_iter().flatten() {
                out.blob(blob);
            }
        }
        Change::Void { range } => {
            out.byte(VOID);
            write_range(*range, out, context);
        }
        Change::StartOffset { offset } => {
            out.byte(START_OFFSET);
            write_offset(*offset, out, context);
        }
        Change::Reset { epoch, start } => {
            out.byte(RESET);
            out.unsigned(u64::from(epoch.get()));
            write_offset(*start, out, context);
        }
    }
}

fn read(source: &mut Source<'_>, context: &mut Context) -> Result<Change, DecodeError> {
    let kind = source.byte()?;
    Ok(match kind {
        ACQUIRE => Change::Acquire {
            range: read_range(source, context)?,
            delivery_count: DeliveryCount(narrow(source.unsigned()?)?),
            at: read_time(source, context)?,
        },
        CONTINUE => Change::Continue {
            offset: read_offset(source, context)?,
            begins: None,
        },
        BEGIN => Change::Continue {
            offset: read_offset(source, context)?,
            begins: Some(read_time(source, context)?),
        },
        ACKNOWLEDGE => Change::Acknowledge {
            range: read_range(source, context)?,
        },
        ARCHIVE => Change::Archive {
            range: read_range(source, context)?,
            cause: cause_of(source.byte()?)?,
        },
        RELEASE => Change::Release {
            range: read_range(source, context)?,
            note: None,
        },
        RELEASE_WITH_NOTE => Change::Release {
            range: read_range(source, context)?,
            note: Some(Bytes::copy_from_slice(source.blob()?)),
        },
        PARK => read_park(source, context)?,
        VOID => Change::Void {
            range: read_range(source, context)?,
        },
        START_OFFSET => Change::StartOffset {
            offset: read_offset(source, context)?,
        },
        RESET => Change::Reset {
            epoch: StateEpoch(narrow(source.unsigned()?)?),
            start: read_offset(source, context)?,
        },
        kind => {
            return Err(DecodeError::UnknownKind {
                what: "a change of kind",
                kind,
                newest: BEGIN,
            });
        }
    })
}

fn read_park(source: &mut Source<'_>, context: &mut Context) -> Result<Change, DecodeError> {
    let offset = read_offset(source, context)?;
    let flags = source.byte()?;
    if flags & !PARK_FLAGS != 0 {
        return Err(DecodeError::UnknownKind {
            what: "a park with flags",
            kind: flags,
            newest: PARK_FLAGS,
        });
    }
    let from = read_time(source, context)?;
    let seconds = source.unsigned()?;
    let nanos: u32 = narrow(source.unsigned()?)?;
    if nanos >= 1_000_000_000 {
        return Err(DecodeError::Malformed("a fraction of a second is above one second"));
    }
    let mut blob = |flag: u8| -> Result<Option<Bytes>, DecodeError> {
        Ok(if flags & flag == 0 {
            None
        } else {
            Some(Bytes::copy_from_slice(source.blob()?))
        })
    };
    Ok(Change::Park {
        offset,
        delay: Delay {
            from,
            length: Duration::new(seconds, nanos),
        },
        continuation: flags & PARK_CONTINUATION != 0,
        untouched: flags & PARK_UNTOUCHED != 0,
        checkpoint: blob(PARK_CHECKPOINT)?,
        note: blob(PARK_NOTE)?,
    })
}

fn write_continue(offset: Offset, begins: Option<WallTime>, out: &mut impl Sink, context: &mut Context) {
    out.byte(if begins.is_some() { BEGIN } else { CONTINUE });
    write_offset(offset, out, context);
    if let Some(at) = begins {
        write_time(at, out, context);
    }
}

fn write_range(range: OffsetRange, out: &mut impl Sink, context: &mut Context) {
    write_offset(range.first(), out, context);
    out.unsigned(range.count() - 1);
    context.next = range.last().next();
}

fn read_range(source: &mut Source<'_>, context: &mut Context) -> Result<OffsetRange, DecodeError> {
    let first = read_offset(source, context)?;
    let last = source
        .unsigned()?
        .checked_add(first.get())
        .and_then(Offset::new)
        .ok_or(OUT_OF_RANGE)?;
    context.next = last.next();
    OffsetRange::new(first, last).ok_or(OUT_OF_RANGE)
}

fn write_offset(offset: Offset, out: &mut impl Sink, context: &mut Context) {
    // Both are at most 2^63 - 1, so that the difference fits.
    out.signed(offset.get().cast_signed() - context.next.get().cast_signed());
    context.next = offset.next();
}

fn read_offset(source: &mut Source<'_>, context: &mut Context) -> Result<Offset, DecodeError> {
    let offset = context
        .next
        .get()
        .checked_add_signed(source.signed()?)
        .and_then(Offset::new)
        .ok_or(OUT_OF_RANGE)?;
    context.next = offset.next();
    Ok(offset)
}

fn write_time(time: WallTime, out: &mut impl Sink, context: &mut Context) {
    out.signed(time.as_millis().wrapping_sub(context.at));
    context.at = time.as_millis();
}

fn read_time(source: &mut Source<'_>, context: &mut Context) -> Result<WallTime, DecodeError> {
    context.at = context.at.wrapping_add(source.signed()?);
    Ok(WallTime::from_millis(context.at))
}

fn narrow<T: TryFrom<u64>>(value: u64) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::Malformed("a number is out of its range"))
}

const fn cause_code(cause: ArchiveCause) -> u8 {
    match cause {
        ArchiveCause::Reject => 1,
        ArchiveCause::DeliveryLimit => 2,
        ArchiveCause::Retention => 3,
        ArchiveCause::Gap => 4,
        ArchiveCause::HostCrash => 5,
    }
}

const fn cause_of(code: u8) -> Result<ArchiveCause, DecodeError> {
    Ok(match code {
        1 => ArchiveCause::Reject,
        2 => ArchiveCause::DeliveryLimit,
        3 => ArchiveCause::Retention,
        4 => ArchiveCause::Gap,
        5 => ArchiveCause::HostCrash,
        kind => {
            return Err(DecodeError::UnknownKind {
                what: "an archive cause",
                kind,
                newest: 5,
            });
        }
    })
}

const OUT_OF_RANGE: DecodeError = DecodeError::Malformed("an offset is out of range");

const ACQUIRE: u8 = 1;
const CONTINUE: u8 = 2;
const ACKNOWLEDGE: u8 = 3;
const ARCHIVE: u8 = 4;
const RELEASE: u8 = 5;
const RELEASE_WITH_NOTE: u8 = 6;
const PARK: u8 = 7;
const VOID: u8 = 8;
const START_OFFSET: u8 = 9;
const RESET: u8 = 10;
const BEGIN: u8 = 11;

const PARK_CONTINUATION: u8 = 1;
const PARK_CHECKPOINT: u8 = 2;
const PARK_NOTE: u8 = 4;
const PARK_UNTOUCHED: u8 = 8;
const PARK_FLAGS: u8 = PARK_CONTINUATION | PARK_CHECKPOINT | PARK_NOTE | PARK_UNTOUCHED;
