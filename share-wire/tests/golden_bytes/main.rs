//! What real brokers and Kafka's own clients said, byte by byte: `cargo run -p share-wire --example capture` wrote it down. Our code
//! reads it, writes the same bytes again, and finds in it what was asked for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod exchange;
mod plain;
mod share;

use std::collections::BTreeMap;

use exchange::{Exchange, check, file};
use share_wire::message::{ShareAcknowledgeRequest, ShareFetchRequest};

/// Both versions of Kafka, asked the same by us.
const OURS: [&str; 2] = ["ours-4.2.1.txt", "ours-4.4.0.txt"];
const LOGINS: &str = "logins-4.2.1.txt";
const JAVA: &str = "java-4.2.1.txt";

/// The exchange with this heading; the last one of several.
fn one<'a>(all: &'a [Exchange], what: &str) -> &'a Exchange {
    let found = all.iter().rfind(|exchange| exchange.what == what);
    found.unwrap_or_else(|| panic!("there is no `{what}`"))
}

#[test]
fn everything_comes_back_as_it_was() {
    let mut seen: BTreeMap<(i16, i16), usize> = BTreeMap::new();
    for name in OURS.into_iter().chain([LOGINS, JAVA]) {
        for exchange in file(name).iter().filter(|exchange| exchange.version() != 127) {
            check(exchange);
            *seen.entry((exchange.key(), exchange.version())).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 77, "requests in how many versions: {seen:?}");
}

/// The strongest check there is: requests that Kafka's own clients made.
#[test]
fn what_kafkas_clients_ask_is_what_we_would_ask() {
    let all = file(JAVA);
    let count = |key| all.iter().filter(|exchange| exchange.key() == key).count();
    assert!(
        count(76) >= 6 && count(78) >= 4 && count(79) >= 6,
        "{} in all",
        all.len()
    );
    let fetches: Vec<ShareFetchRequest> = of(&all, 78).map(Exchange::asked).collect();
    let opening = &fetches[0];
    assert_eq!(
        (opening.session_epoch, opening.max_records, opening.batch_size),
        (0, 4, 4)
    );
    assert!(
        fetches
            .iter()
            .all(|fetch| fetch.member_id.as_ref().unwrap().len() == 22)
    );
    let modes = |number| {
        fetches
            .iter()
            .filter(|fetch| fetch.acquire_mode as i8 == number)
            .count()
    };
    assert!(modes(0) > 0 && modes(1) > 0);
    let settled: Vec<ShareAcknowledgeRequest> = of(&all, 79).map(Exchange::asked).collect();
    let types = settled.iter().flat_map(|request| &request.topics);
    let types = types
        .flat_map(|topic| &topic.partitions)
        .flat_map(|partition| &partition.acknowledgements);
    let mut types: Vec<i8> = types.flat_map(|batch| &batch.types).copied().collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types, [1, 2, 3, 4], "accept, release, reject, renew");
    assert!(settled.iter().any(|request| request.is_renew_ack));
    assert!(settled.iter().any(|request| request.session_epoch == -1));
}

fn of(all: &[Exchange], key: i16) -> impl Iterator<Item = &Exchange> {
    all.iter().filter(move |exchange| exchange.key() == key)
}
