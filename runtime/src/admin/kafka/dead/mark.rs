//! That a letter was redriven: a record behind it, in the same partition, so that it is kept at least as long. It has no key and no value, and
//! two headers: which letter, and where its record is now. Pure.

use bytes::Bytes;

use super::super::read::Taken;
use crate::admin::DeadLetterId;

/// Names the letter, as `TOPIC/PARTITION/OFFSET`.
const REDRIVEN: &str = "sharemill.redriven";
/// Names the record that was produced for it.
const NOW: &str = "sharemill.redriven-to";

/// The offset of the letter that a record marks, if it marks one of its partition.
pub(super) fn read(topic: &str, taken: &Taken) -> Option<u64> {
    let mut headers = taken.headers.iter();
    let (_, value) = headers.find(|(name, _)| name.as_ref() == REDRIVEN.as_bytes())?;
    let id: DeadLetterId = std::str::from_utf8(value.as_ref()?).ok()?.parse().ok()?;
    let is_here = id.topic == topic && i32::try_from(id.partition) == Ok(taken.partition);
    (is_here && id.offset < taken.offset).then_some(id.offset)
}

/// The headers of the mark.
pub(super) fn headers(letter: &DeadLetterId, now: &DeadLetterId) -> Vec<(Bytes, Option<Bytes>)> {
    let header = |name: &'static str, place: &DeadLetterId| {
        (
            Bytes::from_static(name.as_bytes()),
            Some(Bytes::from(place.to_string())),
        )
    };
    vec![header(REDRIVEN, letter), header(NOW, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_where_it_belongs() {
        let id = |text: &str| text.parse::<DeadLetterId>().unwrap();
        let at = |partition, offset| Taken {
            partition,
            offset,
            timestamp: 0,
            key: None,
            value: None,
            headers: headers(&id("jobs.dead/1/7"), &id("jobs/0/9")),
        };
        assert_eq!(read("jobs.dead", &at(1, 8)), Some(7));
        // Copied from elsewhere.
        assert_eq!(read("other.dead", &at(1, 8)), None);
        assert_eq!(read("jobs.dead", &at(0, 8)), None);
        assert_eq!(read("jobs.dead", &at(1, 7)), None);
        let letter = Taken {
            headers: Vec::new(),
            ..at(1, 8)
        };
        assert_eq!(read("jobs.dead", &letter), None);
    }
}
