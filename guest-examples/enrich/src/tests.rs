//! A handler is a function: its tests are native and need no host.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use sharemill_handler::testing::{RecordBuilder, with_host};
use sharemill_handler::{IntoOutcome, Outcome, ProducerError};

use super::handle;

fn outcome_of(order: &str) -> Outcome {
    handle(RecordBuilder::new(order).build()).into_outcome()
}

#[test]
fn an_order_becomes_its_lines() {
    let order = r#"{"id": "o-1", "customer": "ada", "lines": [
        {"sku": "nail", "quantity": 3, "price_cents": 250}, {"sku": "\"hook\"", "quantity": 1, "price_cents": 0}]}"#;
    assert_eq!(outcome_of(order), Outcome::Accept);
    with_host(|host| {
        assert_eq!(host.emitted.len(), 2);
        let first = &host.emitted[0];
        assert_eq!(
            (first.topic.as_str(), first.key.as_deref()),
            ("order-lines", Some(&b"o-1"[..]))
        );
        let value = r#"{"order":"o-1","line":1,"sku":"nail","quantity":3,"price_cents":250,"total_cents":750}"#;
        assert_eq!(first.value.as_deref(), Some(value.as_bytes()));
    });
}

#[test]
fn what_is_no_order_is_rejected_with_its_place() {
    let line = |quantity: &str, price: &str| {
        let line = format!(r#"{{"sku": "s", "quantity": {quantity}, "price_cents": {price}}}"#);
        format!(r#"{{"id": "o", "customer": "c", "lines": [{line}]}}"#)
    };
    let cases = [
        (
            r#"{"id": x}"#.to_owned(),
            "malformed JSON in the value at line 1 column 8: expected value",
        ),
        (
            r#"{"id": "o"}"#.to_owned(),
            "malformed JSON in the value at line 1 column 11: missing field `customer`",
        ),
        (
            r#"{"id": "o", "customer": "c", "lines": []}"#.to_owned(),
            "order \"o\": there are no lines",
        ),
        (line("0", "1"), "order \"o\": line 1: quantity 0 is not above 0"),
        (line("-2", "1"), "order \"o\": line 1: quantity -2 is not above 0"),
        (line("1", "-1"), "order \"o\": line 1: price_cents -1 is below 0"),
        (
            line("9223372036854775807", "2"),
            "order \"o\": line 1: the total is too large",
        ),
    ];
    for (order, reason) in cases {
        assert_eq!(outcome_of(&order), Outcome::reject(reason));
    }
    with_host(|host| assert!(host.emitted.is_empty()));
}

#[test]
fn without_the_grant_the_order_comes_back() {
    with_host(|host| host.produce = Err(ProducerError::NotPermitted("order-lines".to_owned())));
    let order = r#"{"id": "o", "customer": "c", "lines": [{"sku": "s", "quantity": 1, "price_cents": 1}]}"#;
    let reason = "producing to topic order-lines is not granted to this deployment: add it to `emit` in its grants";
    assert_eq!(outcome_of(order), Outcome::release(reason));
}
