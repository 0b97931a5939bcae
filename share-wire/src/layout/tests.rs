//! Bytes made after a layout are read by the `kafka-protocol` crate, so that the two descriptions of a message agree; and no length, whatever
//! it says, gets past the layout.

#![expect(clippy::cast_possible_truncation, reason = "small numbers of the test's own")]

use bytes::{BufMut as _, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request};

use super::*;
use crate::call::{Call, Visit, each};
use crate::writer::Writer;

/// A source of choices (xorshift).
struct Choice(u64);

impl Choice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Makes a message, and notes where lengths stand.
struct Maker {
    version: i16,
    is_flexible: bool,
    out: BytesMut,
    choice: Choice,
    lengths: Vec<(usize, usize)>,
    has_tags: bool,
}

impl Maker {
    fn new(layout: &Layout, version: i16, seed: u64) -> Self {
        let mut maker = Self {
            version,
            is_flexible: version >= layout.flexible,
            out: BytesMut::new(),
            choice: Choice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            lengths: Vec::new(),
            has_tags: false,
        };
        maker.fields(layout.fields);
        maker
    }

    fn fields(&mut self, fields: &'static [Field]) {
        let version = self.version;
        let present = fields
            .iter()
            .filter(|field| field.tag.is_none() && field.is_in(version));
        present.for_each(|field| self.field(field));
        if !self.is_flexible {
            return;
        }
        let mut tagged: Vec<&Field> = fields
            .iter()
            .filter(|field| field.tag.is_some() && field.is_in(self.version))
            .collect();
        tagged.sort_by_key(|field| field.tag);
        tagged.retain(|_| self.choice.below(2) == 0);
        self.has_tags |= !tagged.is_empty();
        Writer(&mut self.out).uvarint(tagged.len() as u32);
        for field in tagged {
            Writer(&mut self.out).uvarint(field.tag.unwrap());
            // Its size is known behind it.
            let before = std::mem::take(&mut self.out);
            let noted = self.lengths.len();
            self.field(field);
            let part = std::mem::replace(&mut self.out, before);
            Writer(&mut self.out).uvarint(part.len() as u32);
            let start = self.out.len();
            self.lengths[noted..].iter_mut().for_each(|(at, _)| *at += start);
            self.out.put_slice(&part);
        }
    }

    fn field(&mut self, field: &'static Field) {
        let null = self.version >= field.nullable_since && self.choice.below(4) == 0;
        let count = self.choice.below(4);
        match field.shape {
            Shape::Fixed(1) => self.out.put_u8(u8::from(count == 0)),
            Shape::Fixed(len) => self.random(len),
            Shape::Inner(fields) => self.fields(fields),
            Shape::Optional(_) if count == 0 => self.out.put_i8(-1),
            Shape::Optional(fields) => {
                self.out.put_i8(1);
                self.fields(fields);
            }
            Shape::Text => self.text(null),
            Shape::Bytes => {
                self.long_len(null, count);
                if !null {
                    self.random(count as usize);
                }
            }
            Shape::FixedList(len) => {
                self.long_len(null, count);
                if !null {
                    self.random(count as usize * len);
                }
            }
            Shape::TextList => {
                self.long_len(null, count);
                (0..count).filter(|_| !null).for_each(|_| self.text(false));
            }
            Shape::List(fields) => {
                self.long_len(null, count);
                (0..count).filter(|_| !null).for_each(|_| self.fields(fields));
            }
        }
    }

    fn random(&mut self, len: usize) {
        for _ in 0..len {
            let byte = self.choice.below(256) as u8;
            self.out.put_u8(byte);
        }
    }

    fn text(&mut self, null: bool) {
        let len = self.choice.below(9);
        if self.is_flexible {
            self.long_len(null, len);
        } else {
            self.lengths.push((self.out.len(), 2));
            self.out.put_i16(if null { -1 } else { len as i16 });
        }
        for _ in (0..len).filter(|_| !null) {
            let letter = b'a' + self.choice.below(26) as u8;
            self.out.put_u8(letter);
        }
    }

    fn long_len(&mut self, null: bool, count: u64) {
        let size = if self.is_flexible { 1 } else { 4 };
        self.lengths.push((self.out.len(), size));
        if self.is_flexible {
            Writer(&mut self.out).uvarint(if null { 0 } else { count as u32 + 1 });
        } else {
            self.out.put_i32(if null { -1 } else { count as i32 });
        }
    }
}

/// Calls `run` with each response, version and a seed.
fn each_message(seeds: u64, run: impl Fn(&'static Layout, i16, u64)) {
    struct All<F>(u64, F, u32);
    impl<F: Fn(&'static Layout, i16, u64)> Visit for All<F> {
        fn visit<Q, A>(&mut self, layout: &'static Layout)
        where
            Q: Request + Call<Response = A>,
            A: Message + Encodable + Decodable + PartialEq + std::fmt::Debug,
        {
            for version in <Q as Call>::VERSIONS.0..=<Q as Call>::VERSIONS.1 {
                (1..=self.0).for_each(|seed| (self.1)(layout, version, seed));
            }
            self.2 += 1;
        }
    }
    let mut all = All(seeds, run, 0);
    each(&mut all);
    assert!(all.2 >= 25, "{} messages", all.2);
}

#[test]
fn the_crate_reads_what_is_made_after_our_layouts() {
    struct Agree;
    impl Visit for Agree {
        fn visit<Q, A>(&mut self, layout: &'static Layout)
        where
            Q: Request + Call<Response = A>,
            A: Message + Encodable + Decodable + PartialEq + std::fmt::Debug,
        {
            let ours = <Q as Call>::VERSIONS;
            for version in ours.0..=ours.1 {
                assert!(version >= <Q as Message>::VERSIONS.min && version <= <Q as Message>::VERSIONS.max);
                for seed in 1..300 {
                    let made = Maker::new(layout, version, seed);
                    let bytes = made.out.freeze();
                    let read = Q::take(version, bytes.clone()).unwrap_or_else(|error| panic!("{version}: {error}"));
                    let mut again = BytesMut::new();
                    read.encode(&mut again, version).unwrap();
                    // What is tagged and has its default is left out when it is written.
                    if !made.has_tags {
                        assert_eq!(again, bytes, "{} {version}", layout.name);
                    }
                    assert_eq!(Q::take(version, again.freeze()).unwrap(), read);
                }
            }
        }
    }
    each(&mut Agree);
}

#[test]
fn every_truncation_is_found() {
    each_message(12, |layout, version, seed| {
        let bytes = Maker::new(layout, version, seed).out.freeze();
        layout.check(version, &bytes).unwrap();
        for len in 0..bytes.len() {
            let error = layout.check(version, &bytes.slice(..len)).unwrap_err();
            assert!(
                matches!(error, WireError::Truncated { .. } | WireError::Count { .. }),
                "{len} of {}: {error}",
                bytes.len()
            );
        }
        let mut longer = BytesMut::from(&bytes[..]);
        longer.put_u8(0);
        let error = layout.check(version, &longer.freeze()).unwrap_err();
        assert!(matches!(error, WireError::Trailing { bytes: 1, .. }), "{error}");
    });
}

#[test]
fn every_length_that_is_a_lie_is_found() {
    each_message(40, |layout, version, seed| {
        let made = Maker::new(layout, version, seed);
        for (at, size) in &made.lengths {
            let lies: &[&[u8]] = match size {
                1 => &[
                    &[0xff, 0xff, 0xff, 0xff, 0x0f],
                    &[0xff, 0xff, 0xff, 0xff, 0xff],
                    &[0xff, 0x7f],
                ],
                2 => &[&[0x7f, 0xff], &[0x80, 0x00], &[0xff, 0xfe]],
                _ => &[&[0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0], &[0, 1, 0, 0]],
            };
            for lie in lies {
                let mut bytes = BytesMut::from(&made.out[..*at]);
                bytes.put_slice(lie);
                bytes.put_slice(&made.out[at + size..]);
                let error = layout.check(version, &bytes.freeze()).unwrap_err();
                assert!(
                    matches!(
                        error,
                        WireError::Truncated { .. } | WireError::Count { .. } | WireError::Invalid { .. }
                    ),
                    "{} {version} at {at}: {error}",
                    layout.name
                );
            }
        }
    });
}

/// Whatever single byte is wrong: an error, or a message; no panic, and no room for what is not there.
#[test]
fn nothing_breaks_over_a_wrong_byte() {
    struct Mangle;
    impl Visit for Mangle {
        fn visit<Q, A>(&mut self, layout: &'static Layout)
        where
            Q: Request + Call<Response = A>,
            A: Message + Encodable + Decodable + PartialEq + std::fmt::Debug,
        {
            for version in <Q as Call>::VERSIONS.0..=<Q as Call>::VERSIONS.1 {
                for seed in 1..12 {
                    let made = Maker::new(layout, version, seed).out;
                    for at in 0..made.len() {
                        for byte in [0, 1, 0x7f, 0x80, 0xff, made[at] ^ 1] {
                            let mut bytes = made.clone();
                            bytes[at] = byte;
                            drop(Q::take(version, bytes.freeze()));
                        }
                    }
                }
            }
        }
    }
    each(&mut Mangle);
}
