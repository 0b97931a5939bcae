//! What a message looks like on the wire, and a walk over bytes that holds them against it. The walk reads nothing out; it says
//! whether every length is true, so that what reads afterwards may believe them.

use bytes::Bytes;

use crate::error::WireError;
use crate::reader::Reader;

/// A message, in all versions that we speak.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    /// The first version with compact lengths and tagged fields.
    pub(crate) flexible: i16,
    pub(crate) fields: &'static [Field],
}

/// One field, by the name in Kafka's schema.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    shape: Shape,
    since: i16,
    until: i16,
    nullable_since: i16,
    tag: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// So many bytes.
    Fixed(usize),
    Text,
    /// Bytes whose length has four bytes before versions are flexible.
    Bytes,
    List(&'static [Field]),
    /// Elements of so many bytes.
    FixedList(usize),
    TextList,
    /// A struct that may be null, led by a byte that says so.
    Optional(&'static [Field]),
    /// A struct that is always there.
    Inner(&'static [Field]),
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        since: 0,
        until: i16::MAX,
        nullable_since: i16::MAX,
        tag: None,
    }
}

pub(crate) const fn bool(name: &'static str) -> Field {
    field(name, Shape::Fixed(1))
}

pub(crate) const fn int8(name: &'static str) -> Field {
    field(name, Shape::Fixed(1))
}

pub(crate) const fn int16(name: &'static str) -> Field {
    field(name, Shape::Fixed(2))
}

pub(crate) const fn int32(name: &'static str) -> Field {
    field(name, Shape::Fixed(4))
}

pub(crate) const fn int64(name: &'static str) -> Field {
    field(name, Shape::Fixed(8))
}

pub(crate) const fn uuid(name: &'static str) -> Field {
    field(name, Shape::Fixed(16))
}

pub(crate) const fn text(name: &'static str) -> Field {
    field(name, Shape::Text)
}

pub(crate) const fn bytes(name: &'static str) -> Field {
    field(name, Shape::Bytes)
}

pub(crate) const fn list(name: &'static str, of: &'static [Field]) -> Field {
    field(name, Shape::List(of))
}

pub(crate) const fn int32s(name: &'static str) -> Field {
    field(name, Shape::FixedList(4))
}

pub(crate) const fn texts(name: &'static str) -> Field {
    field(name, Shape::TextList)
}

pub(crate) const fn optional(name: &'static str, of: &'static [Field]) -> Field {
    field(name, Shape::Optional(of))
}

pub(crate) const fn inner(name: &'static str, of: &'static [Field]) -> Field {
    field(name, Shape::Inner(of))
}

impl Field {
    /// Only from this version on.
    pub(crate) const fn since(self, since: i16) -> Self {
        Self { since, ..self }
    }

    /// Only up to this version.
    pub(crate) const fn until(self, until: i16) -> Self {
        Self { until, ..self }
    }

    /// May be null, in all versions.
    pub(crate) const fn nullable(self) -> Self {
        self.nullable_since(0)
    }

    /// May be null from this version on.
    pub(crate) const fn nullable_since(self, nullable_since: i16) -> Self {
        Self { nullable_since, ..self }
    }

    /// Among the tagged fields.
    pub(crate) const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    const fn is_in(&self, version: i16) -> bool {
        version >= self.since && version <= self.until
    }
}

impl Layout {
    /// Whether `bytes` are one whole message of this version.
    pub(crate) fn check(&self, version: i16, bytes: &Bytes) -> Result<(), WireError> {
        let mut walk = Walk {
            version,
            is_flexible: version >= self.flexible,
            reader: Reader::new(self.name, bytes.clone()),
        };
        walk.fields(self.fields)?;
        walk.reader.finish()
    }
}

struct Walk {
    version: i16,
    is_flexible: bool,
    reader: Reader,
}

impl Walk {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), WireError> {
        let (version, is_flexible) = (self.version, self.is_flexible);
        let mut present = fields
            .iter()
            .filter(|field| field.tag.is_none() && field.is_in(version));
        present.try_for_each(|field| self.field(field))?;
        if !is_flexible {
            return Ok(());
        }
        self.reader.tags(|tag, reader| {
            let known = fields
                .iter()
                .find(|field| field.tag == Some(tag) && field.is_in(version));
            let Some(known) = known else { return Ok(()) };
            // The part is walked by itself, so that what follows it is not read as its own.
            let mut part = Walk {
                version,
                is_flexible,
                reader: reader.part(),
            };
            part.field(known)?;
            part.reader.finish()
        })
    }

    fn field(&mut self, field: &'static Field) -> Result<(), WireError> {
        let at = self.reader.at();
        match field.shape {
            Shape::Fixed(len) => self.reader.skip(field.name, len as u64).map(|_| ()),
            Shape::Inner(fields) => self.fields(fields),
            Shape::Optional(fields) => match self.reader.i8(field.name)? {
                ..0 => Ok(()),
                _ => self.fields(fields),
            },
            Shape::Text | Shape::Bytes => match self.len(field)? {
                None => self.null(field, at),
                Some(len) => self.reader.skip(field.name, len).map(|_| ()),
            },
            Shape::FixedList(len) => match self.count(field, at, len)? {
                None => self.null(field, at),
                Some(count) => self.reader.skip(field.name, (count * len) as u64).map(|_| ()),
            },
            Shape::TextList => match self.count(field, at, if self.is_flexible { 1 } else { 2 })? {
                None => self.null(field, at),
                Some(count) => (0..count).try_for_each(|_| match self.text_len(field.name)? {
                    None => Err(self.reader.null(field.name, at)),
                    Some(len) => self.reader.skip(field.name, len).map(|_| ()),
                }),
            },
            Shape::List(fields) => match self.count(field, at, self.least(fields))? {
                None => self.null(field, at),
                Some(count) => (0..count).try_for_each(|_| self.fields(fields)),
            },
        }
    }

    fn null(&self, field: &Field, at: usize) -> Result<(), WireError> {
        if self.version >= field.nullable_since {
            Ok(())
        } else {
            Err(self.reader.null(field.name, at))
        }
    }

    /// Bytes of a text or of bytes; `None` is null.
    fn len(&mut self, field: &Field) -> Result<Option<u64>, WireError> {
        match field.shape {
            Shape::Bytes if !self.is_flexible => self.long_len(field.name),
            _ => self.text_len(field.name),
        }
    }

    fn text_len(&mut self, name: &'static str) -> Result<Option<u64>, WireError> {
        if self.is_flexible {
            return self.reader.compact_len(name);
        }
        let at = self.reader.at();
        match self.reader.i16(name)? {
            -1 => Ok(None),
            len => u64::try_from(len)
                .map(Some)
                .map_err(|_| self.reader.invalid(name, at, "a negative length")),
        }
    }

    fn long_len(&mut self, name: &'static str) -> Result<Option<u64>, WireError> {
        let at = self.reader.at();
        match self.reader.i32(name)? {
            -1 => Ok(None),
            len => u64::try_from(len)
                .map(Some)
                .map_err(|_| self.reader.invalid(name, at, "a negative length")),
        }
    }

    /// Elements of an array of which each takes at least `least` bytes; `None` is null.
    fn count(&mut self, field: &Field, at: usize, least: usize) -> Result<Option<usize>, WireError> {
        let claimed = if self.is_flexible {
            self.reader.compact_len(field.name)?
        } else {
            self.long_len(field.name)?
        };
        claimed
            .map(|claimed| self.reader.count(field.name, at, claimed, least))
            .transpose()
    }

    /// The fewest bytes that a struct of these fields takes.
    fn least(&self, fields: &[Field]) -> usize {
        let present = fields
            .iter()
            .filter(|field| field.tag.is_none() && field.is_in(self.version));
        let of = |field: &Field| match field.shape {
            Shape::Fixed(len) => len,
            Shape::Inner(fields) => self.least(fields),
            Shape::Optional(_) => 1,
            _ if self.is_flexible => 1,
            Shape::Text => 2,
            _ => 4,
        };
        usize::from(self.is_flexible) + present.map(of).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
