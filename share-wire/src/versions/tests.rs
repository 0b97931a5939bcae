//! Brokers that know the newest version, brokers that do not, and some that are no brokers.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::*;
use crate::kafka::{MetadataRequest, ShareGroupHeartbeatRequest};
use crate::message::ShareFetchRequest;

fn answer(version: i16, body: &[u8]) -> Answer {
    Answer {
        correlation_id: 0,
        api: ApiVersionsRequest::API,
        version,
        body: Bytes::copy_from_slice(body),
    }
}

/// The layout of version 0: an error, then rows of three numbers.
fn oldest(code: i16, rows: &[(i16, i16, i16)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i16(code);
    out.put_i32(i32::try_from(rows.len()).unwrap());
    for (key, least, newest) in rows {
        for number in [key, least, newest] {
            out.put_i16(*number);
        }
    }
    out.to_vec()
}

/// Version 4, with the feature `share.version` at 1.
fn newest() -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i16(0);
    out.put_u8(3);
    for (key, least, newest) in [(78, 1, 2), (3, 0, 13)] {
        for number in [key, least, newest] {
            out.put_i16(number);
        }
        out.put_u8(0);
    }
    out.put_i32(0);
    // One tagged field: finalized features.
    out.put_slice(&[1, 2, 20, 2, 14]);
    out.put_slice(b"share.version");
    out.put_slice(&[0, 1, 0, 1, 0]);
    out.to_vec()
}

#[test]
fn a_broker_that_knows_the_newest_version_says_what_it_speaks() {
    let mut negotiation = Negotiation::default();
    assert_eq!(negotiation.version(), 4);
    let versions = negotiation.answered(answer(4, &newest())).unwrap().unwrap();
    assert_eq!(versions.pick::<ShareFetchRequest>(), Ok(2));
    assert_eq!(versions.pick::<MetadataRequest>(), Ok(13));
    assert_eq!((versions.feature("share.version"), versions.feature("other")), (1, 0));
    let error = versions.pick::<ShareGroupHeartbeatRequest>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the broker has no ShareGroupHeartbeat (76); share groups need Apache Kafka 4.2.1 or newer"
    );
}

#[test]
fn a_broker_that_does_not_know_the_version_is_asked_in_its_own_newest() {
    let mut negotiation = Negotiation::default();
    let body = oldest(35, &[(18, 0, 3)]);
    assert_eq!(negotiation.answered(answer(4, &body)), Ok(None));
    assert_eq!(negotiation.version(), 3);
    // Without a row of its own: the oldest.
    assert_eq!(negotiation.answered(answer(3, &oldest(35, &[]))), Ok(None));
    assert_eq!(negotiation.version(), 0);
    let body = oldest(0, &[(78, 1, 1)]);
    let versions = negotiation.answered(answer(0, &body)).unwrap().unwrap();
    assert_eq!(versions.pick::<ShareFetchRequest>(), Ok(1));
}

#[test]
fn a_broker_that_always_refuses_is_not_asked_for_ever() {
    let mut negotiation = Negotiation::default();
    let body = oldest(35, &[(18, 0, 9)]);
    for version in (0..=4).rev() {
        assert_eq!(negotiation.version(), version);
        let answered = negotiation.answered(answer(version, &body));
        if version == 0 {
            let code = ErrorCode::UNSUPPORTED_VERSION;
            assert_eq!(answered, Err(VersionError::Refused { code }));
        } else {
            assert_eq!(answered, Ok(None));
        }
    }
}

#[test]
fn versions_that_do_not_meet_are_named() {
    let mut negotiation = Negotiation { version: 0 };
    let body = oldest(0, &[(78, 0, 0), (3, 14, 20)]);
    let versions = negotiation.answered(answer(0, &body)).unwrap().unwrap();
    assert_eq!(
        versions.pick::<ShareFetchRequest>().unwrap_err().to_string(),
        "the broker speaks ShareFetch (78) in versions 0 to 0, here 1 to 2 are spoken"
    );
    assert!(matches!(
        versions.pick::<MetadataRequest>(),
        Err(VersionError::Apart { least: 14, .. })
    ));
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let whole = newest();
    for len in 0..whole.len() {
        let answered = Negotiation::default().answered(answer(4, &whole[..len]));
        assert!(matches!(answered, Err(VersionError::Wire(_))), "{len}: {answered:?}");
    }
    let body = oldest(35, &[(18, 0, 3)]);
    for len in 2..body.len() {
        let answered = Negotiation::default().answered(answer(4, &body[..len]));
        assert!(matches!(answered, Err(VersionError::Wire(_))), "{len}: {answered:?}");
    }
}

/// Brokers refuse names of other letters with `INVALID_REQUEST`.
#[test]
fn the_client_names_itself_in_letters_that_brokers_take() {
    for (given, sent) in [
        ("sharemill", "sharemill"),
        ("a b/c", "a-b-c"),
        ("-.x-", "x"),
        ("", "unknown"),
        ("\u{e4}", "unknown"),
    ] {
        let request = Negotiation::request(given, "0.1.0");
        assert_eq!(&*request.client_software_name, sent);
        assert_eq!(&*request.client_software_version, "0.1.0");
    }
}
