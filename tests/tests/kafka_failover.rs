//! `sharemill run` on three brokers, of which one after the other is killed (SIGKILL) and started again under load: what was produced is
//! what was accepted and the dead letters, and nothing comes again once its acceptance was confirmed. `SHAREMILL_FAILOVER=full` kills all
//! three, else only the one that keeps the group's state.
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kafka_cluster::{Options, Version};
use sharemill::source::{KafkaProducer, Produced, ToProduce};
use sharemill_tests::kafka::{Kafka, Stored, options};
use sharemill_tests::trail::{self, Place, Trail};
use sharemill_tests::{Folder, Host, until};

/// Every 20th order is malformed; the others have 1 to 3 lines.
const fn lines_of(number: u64) -> u64 {
    if number % 20 == 7 { 0 } else { 1 + number % 3 }
}

fn order(number: u64) -> String {
    let line = r#"{"sku":"a","quantity":1,"price_cents":250}"#;
    let lines = vec![line; usize::try_from(lines_of(number)).unwrap()].join(",");
    let end = if lines.is_empty() { "" } else { "]}" };
    format!(r#"{{"id":"{number}","customer":"c","lines":[{lines}{end}"#)
}

const PARTITIONS: u64 = 3;

/// Orders that are on their way to the brokers at a time.
const TOGETHER: u64 = 6;

/// Sends orders until it is told to end, one lot after the other. Returns where each stands; all of them were confirmed.
fn load(servers: &str, sent: &AtomicU64, ending: &AtomicBool) -> BTreeMap<u64, Produced> {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
    let producer = KafkaProducer::new(&properties).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut confirmed = BTreeMap::new();
    while !ending.load(Ordering::Relaxed) {
        let first = sent.load(Ordering::Relaxed);
        let records = (first..first + TOGETHER).map(|number| ToProduce {
            topic: "orders".to_owned(),
            partition: Some(i32::try_from(number % PARTITIONS).unwrap()),
            value: Some(order(number).into()),
            ..ToProduce::default()
        });
        let stored = runtime.block_on(producer.produce_all(records.collect()));
        for (number, stored) in (first..).zip(stored) {
            confirmed.insert(number, stored.unwrap_or_else(|error| panic!("order {number}: {error}")));
        }
        sent.store(first + TOGETHER, Ordering::Relaxed);
    }
    confirmed
}

/// Which broker leads a partition.
fn leader(kafka: &Kafka, topic: &str) -> u32 {
    let leader = until("somebody leads the partition", || {
        kafka.wait(kafka.admin.topic(topic)).unwrap().partitions[0].leader
    });
    u32::try_from(leader).unwrap()
}

#[test]
fn brokers_die_under_load() {
    let options = Options {
        brokers: 3,
        ..options(Version::default())
    };
    let Some(mut kafka) = Kafka::start("kafka_failover::brokers_die_under_load", options) else {
        return;
    };
    kafka.create("orders", i32::try_from(PARTITIONS).unwrap());
    let source = kafka.source("");
    let folder = Folder::with_host(
        trail::LOG,
        &format!(
            r#"{source}
[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
lock = "5s"
grants = {{ emit = ["order-lines"] }}
"#
        ),
    );
    let folder = folder.guest("enrich");
    let host = Host::start(&folder, &[]);
    let (sent, ending) = (AtomicU64::new(0), AtomicBool::new(false));
    let servers = kafka.cluster.bootstrap();
    let confirmed = std::thread::scope(|scope| {
        let load = scope.spawn(|| load(&servers, &sent, &ending));
        let accepted = || Trail::default().with(0, &host.said()).accepted().len();
        let grows = |what: &str, by: u64| {
            let wanted = sent.load(Ordering::Relaxed) + by;
            until(what, || {
                assert!(!load.is_finished(), "the load ended");
                (sent.load(Ordering::Relaxed) >= wanted).then_some(())
            });
            // Consumed, too: a broker that dies before the group has its partitions tries little.
            let wanted = accepted() + usize::try_from(by).unwrap() / 2;
            until(&format!("{what}, accepted"), || (accepted() >= wanted).then_some(()));
        };
        grows("orders before the kill", 300);
        let keeper = leader(&kafka, "__share_group_state");
        let full = std::env::var("SHAREMILL_FAILOVER").is_ok_and(|size| size == "full");
        let victims = if full {
            vec![keeper, keeper % 3 + 1, (keeper + 1) % 3 + 1]
        } else {
            vec![keeper]
        };
        for victim in victims {
            kafka.cluster.kill(victim).unwrap();
            grows("orders without a broker", 300);
            kafka.cluster.restart(victim).unwrap();
            grows("orders with the broker", 300);
            eprintln!(
                "broker {victim} was killed and is back, {} orders",
                sent.load(Ordering::Relaxed)
            );
        }
        ending.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    kafka.finished("enrich", "orders");
    let trail = Trail::default().with(0, &host.stop());
    check(&kafka, &confirmed, &trail);
}

/// Where a dead letter comes from.
fn origin(letter: &Stored) -> Place {
    let header = |name: &str| letter.header(name).unwrap();
    (
        header("__dlq.errors.partition").parse().unwrap(),
        header("__dlq.errors.offset").parse().unwrap(),
    )
}

fn check(kafka: &Kafka, confirmed: &BTreeMap<u64, Produced>, trail: &Trail) {
    let repeated = trail.repeated();
    assert!(repeated.is_empty(), "delivered after they were accepted: {repeated:?}");
    // What stands in the topic was produced, whatever the producer was told.
    let mut produced: BTreeMap<Place, u64> = BTreeMap::new();
    for (place, record) in kafka.read("orders").iter().map(|record| {
        let offset = u64::try_from(record.offset).unwrap();
        ((record.partition, offset), record)
    }) {
        let number = record.text().split('"').nth(3).unwrap().parse().unwrap();
        produced.insert(place, number);
    }
    for (number, at) in confirmed {
        let place = (at.partition, u64::try_from(at.offset).unwrap());
        assert_eq!(
            produced.get(&place),
            Some(number),
            "order {number} is not where it was confirmed"
        );
    }
    let mut lines: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut written = 0;
    for line in kafka.read("order-lines") {
        let number = String::from_utf8(line.key.clone().unwrap()).unwrap().parse().unwrap();
        lines.entry(number).or_default().insert(line.text());
        written += 1;
    }
    let letters = kafka.read("enrich.dead");
    let dead: BTreeSet<Place> = letters.iter().map(origin).collect();
    let unknown = trail.unknown();
    let mut accepted = 0;
    for (place, number) in &produced {
        let is_dead = dead.contains(place);
        // Of what nobody was told the broker knows the end: nothing is left.
        let is_accepted = trail.accepted().contains_key(place) || (unknown.contains(place) && !is_dead);
        assert!(
            is_accepted != is_dead,
            "order {number} at {place:?}: accepted {is_accepted}, dead {is_dead}"
        );
        assert_eq!(is_dead, lines_of(*number) == 0, "order {number} at {place:?}");
        assert!(
            !is_dead || trail.rejected().contains(place),
            "order {number} at {place:?}"
        );
        let found = lines.get(number).map_or(0, BTreeSet::len) as u64;
        assert_eq!(found, lines_of(*number), "lines of order {number}");
        accepted += u64::from(is_accepted);
    }
    assert_eq!(produced.len() as u64, accepted + dead.len() as u64);
    assert!(dead.iter().all(|place| produced.contains_key(place)));
    let once: u64 = produced.values().map(|number| lines_of(*number)).sum();
    let (pause, at) = trail.longest_pause();
    eprintln!(
        "{} produced ({} confirmed) = {accepted} accepted ({} of them for all that was answered) + {} dead ({} letters); {} records \
         delivered again, 0 after their confirmation; {written} lines for {once}; longest pause {} ms, {:.1} s after the first",
        produced.len(),
        confirmed.len(),
        unknown.len(),
        dead.len(),
        letters.len(),
        trail.redelivered().len(),
        pause.as_millis(),
        at.as_secs_f64(),
    );
}
