//! Requests as they go over the wire, and answers in and out of turn.

use super::*;
use crate::frame::FRAME_MAX;
use crate::kafka::{ApiVersionsRequest, SaslHandshakeRequest, ShareGroupHeartbeatRequest, StrBytes};

fn heartbeat() -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_member_id(StrBytes::from_static_str("m"))
        .with_member_epoch(0)
}

fn conversation() -> Conversation {
    Conversation::new("me", FRAME_MAX)
}

/// A response frame: number, header rest, body.
fn feed(conversation: &mut Conversation, correlation_id: i32, rest: &[u8]) {
    let len = 4 + u32::try_from(rest.len()).unwrap();
    let buffer = conversation.buffer();
    buffer.extend_from_slice(&len.to_be_bytes());
    buffer.extend_from_slice(&correlation_id.to_be_bytes());
    buffer.extend_from_slice(rest);
}

/// Request header v2 (KIP-482): the client id keeps its length of two bytes, tagged fields follow.
#[test]
fn a_flexible_request_has_a_flexible_header() {
    let mut out = BytesMut::new();
    let mut conversation = conversation();
    assert_eq!(conversation.ask(&heartbeat(), 1, &mut out).unwrap(), 0);
    let expected = [
        &[0, 0, 0, 24][..],
        &[0, 76, 0, 1, 0, 0, 0, 0, 0, 2, b'm', b'e', 0],
        &[2, b'g', 2, b'm', 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(out, expected.concat());
    assert_eq!(conversation.ask(&heartbeat(), 1, &mut out).unwrap(), 1);
    assert_eq!(conversation.unanswered(), 2);
}

/// Request header v1: no tagged fields. `SaslHandshake` is never flexible.
#[test]
fn an_inflexible_request_has_an_inflexible_header() {
    let mut out = BytesMut::new();
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    conversation().ask(&request, 1, &mut out).unwrap();
    let expected = [
        &[0, 0, 0, 19][..],
        &[0, 17, 0, 1, 0, 0, 0, 0, 0, 2, b'm', b'e'],
        &[0, 5],
        b"PLAIN",
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn a_refused_request_leaves_no_trace() {
    let mut out = BytesMut::from(&b"before"[..]);
    let mut conversation = conversation();
    let error = conversation.ask(&heartbeat(), 0, &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ShareGroupHeartbeat (76) version 0 is not one of 1 to 1, which are spoken here"
    );
    assert_eq!((&out[..], conversation.unanswered()), (&b"before"[..], 0));
}

#[test]
fn answers_come_in_order() {
    let mut conversation = conversation();
    let mut out = BytesMut::new();
    conversation.ask(&heartbeat(), 1, &mut out).unwrap();
    conversation.ask(&ApiVersionsRequest::default(), 4, &mut out).unwrap();
    // A tagged field in the header, which means nothing to us.
    feed(&mut conversation, 0, &[1, 9, 2, 7, 7, 0xaa]);
    // The header of an ApiVersions response has none, whatever its version.
    feed(&mut conversation, 1, &[0xbb]);
    let first = conversation.next_answer().unwrap().unwrap();
    assert_eq!((first.api.key, &first.body[..]), (76, &[0xaa][..]));
    let second = conversation.next_answer().unwrap().unwrap();
    assert_eq!((second.api.key, &second.body[..]), (18, &[0xbb][..]));
    assert_eq!(conversation.next_answer().unwrap(), None);
    assert_eq!(conversation.unanswered(), 0);
    let error = second.read::<ShareGroupHeartbeatRequest>().unwrap_err();
    assert!(matches!(error, WireError::OtherCall { .. }), "{error}");
}

#[test]
fn an_answer_out_of_turn_is_an_error() {
    let mut talk = conversation();
    feed(&mut talk, 5, &[0]);
    assert_eq!(talk.next_answer(), Err(WireError::Unasked { found: 5 }));
    let mut talk = conversation();
    let mut out = BytesMut::new();
    talk.ask(&heartbeat(), 1, &mut out).unwrap();
    talk.ask(&heartbeat(), 1, &mut out).unwrap();
    feed(&mut talk, 1, &[0]);
    let expected = WireError::Correlation { expected: 0, found: 1 };
    assert_eq!(talk.next_answer(), Err(expected));
}

#[test]
fn a_header_that_is_cut_off_is_an_error() {
    let mut talk = conversation();
    talk.ask(&heartbeat(), 1, &mut BytesMut::new()).unwrap();
    talk.buffer().extend_from_slice(&[0, 0, 0, 3, 0, 0, 0]);
    assert!(matches!(talk.next_answer(), Err(WireError::Truncated { left: 3, .. })));
    for rest in [&[][..], &[1], &[1, 0], &[1, 0, 5, 1], &[0xff, 0xff, 0xff, 0xff, 0xff]] {
        let mut talk = conversation();
        talk.ask(&heartbeat(), 1, &mut BytesMut::new()).unwrap();
        feed(&mut talk, 0, rest);
        assert!(talk.next_answer().is_err(), "{rest:?}");
    }
}

#[test]
fn numbers_begin_again_after_the_last() {
    let mut talk = conversation();
    talk.next_id = i32::MAX;
    assert_eq!(talk.ask(&heartbeat(), 1, &mut BytesMut::new()).unwrap(), i32::MAX);
    assert_eq!(talk.ask(&heartbeat(), 1, &mut BytesMut::new()).unwrap(), 0);
}

#[test]
fn a_client_id_that_is_too_long_is_cut_between_letters() {
    let mut talk = Conversation::new(&"\u{e4}".repeat(20_000), FRAME_MAX);
    let mut out = BytesMut::new();
    talk.ask(&heartbeat(), 1, &mut out).unwrap();
    let len = i16::from_be_bytes([out[12], out[13]]);
    assert_eq!(len, 32_766);
    assert!(std::str::from_utf8(&out[14..14 + 32_766]).is_ok());
}
