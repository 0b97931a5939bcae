//! Every form of the attribute, through the same calls that a component's exports make.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

use sharemill_handler::testing::{Level, RecordBuilder, with_host};
use sharemill_handler::{IntoOutcome, Outcome, Record, Renew, Result, Settings};

mod one {
    use super::{Outcome, Record};

    #[sharemill_handler::handler]
    pub(super) fn handle(record: Record) -> Outcome {
        let _ = record;
        Outcome::accept()
    }
}

mod configured {
    use super::Record;

    #[sharemill_handler::handler(configure = super::refuse)]
    fn handle(_: Record) {}
}

fn refuse(settings: Settings) -> Result<(), String> {
    settings.require::<u32>("limit").map(drop)
}

mod batch {
    use super::{Outcome, Record, Settings};
    use std::num::ParseIntError;

    #[sharemill_handler::handler(batch, configure = prepare,)]
    fn handle(records: Vec<Record>) -> Vec<Outcome> {
        records.into_iter().map(|_| Outcome::accept()).collect()
    }

    fn prepare(settings: Settings) -> Result<(), ParseIntError> {
        settings.get("limit").unwrap_or("1").parse::<u32>().map(drop)
    }
}

#[test]
fn the_function_stays_a_function() {
    assert_eq!(one::handle(RecordBuilder::new("x").build()), Outcome::Accept);
}

#[test]
fn settings_are_refused_with_a_text() {
    let refused = sharemill_handler::__private::run_configure(Vec::new(), refuse);
    assert_eq!(refused, Err("setting limit is missing".to_owned()));
}

#[test]
fn the_threshold_of_the_host_holds_for_each_call() {
    fn handle(record: Record) {
        log::debug!("value {}", record.text().unwrap());
        log::warn!("careful");
    }
    let call = |value: &str| {
        let record: sharemill_handler::__private::Delivery = RecordBuilder::new(value).build().into();
        sharemill_handler::__private::run(record, handle)
    };
    with_host(|host| host.threshold = Level::Warn);
    call("first");
    with_host(|host| host.threshold = Level::Debug);
    call("second");
    let texts: Vec<_> = with_host(|host| host.logged.iter().map(|(_, text)| text.clone()).collect());
    assert_eq!(texts, ["careful", "value second", "careful"]);
}

#[test]
fn a_checkpoint_comes_back_as_it_was_left() {
    fn handle(record: Record) -> Result {
        let calls = record.checkpoint_json::<u32>()?.unwrap_or(0);
        Ok(Renew::now().checkpoint_json(&(calls + 1))?.into())
    }
    with_host(|host| host.checkpoint = Some(b"41".to_vec()));
    let Outcome::Renew(renew) = handle(RecordBuilder::null().build()).into_outcome() else {
        panic!("not renewed")
    };
    assert_eq!(renew.state(), Some(&b"42"[..]));

    with_host(|host| host.checkpoint = Some(b"{".to_vec()));
    let Outcome::Release(release) = handle(RecordBuilder::null().build()).into_outcome() else {
        panic!("not released")
    };
    assert!(
        release
            .text()
            .unwrap()
            .starts_with("malformed JSON in the checkpoint at line 1"),
        "{release:?}"
    );
}
