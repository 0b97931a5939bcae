//! A handler is a function: its tests run natively, by `cargo test`, and need no host. What the built component makes of whole records
//! is tested by `sharemill test`.
use sharemill_handler::testing::{RecordBuilder, with_host};
use sharemill_handler::{IntoOutcome, Outcome};

use super::handle;

fn outcome_of(value: &str) -> Outcome {
    handle(RecordBuilder::new(value).build()).into_outcome()
}

#[test]
fn a_hot_room_raises_an_alert() {
    assert_eq!(
        outcome_of(r#"{"sensor": "roof", "unit": "C", "value": 41.5}"#),
        Outcome::Accept
    );
    with_host(|host| {
        assert_eq!(host.emitted.len(), 1);
        assert_eq!(
            host.emitted[0].value.as_deref(),
            Some(&b"roof has 41.5 C"[..])
        );
    });
}

#[test]
fn the_limit_is_a_setting() {
    with_host(|host| host.settings = vec![("limit".to_owned(), "50".to_owned())]);
    assert_eq!(
        outcome_of(r#"{"sensor": "roof", "unit": "C", "value": 41.5}"#),
        Outcome::Accept
    );
    with_host(|host| assert!(host.emitted.is_empty()));
}

#[test]
fn an_unknown_unit_is_rejected() {
    let expected = Outcome::reject("shed reports in F");
    assert_eq!(
        outcome_of(r#"{"sensor": "shed", "unit": "F", "value": 102.2}"#),
        expected
    );
}
