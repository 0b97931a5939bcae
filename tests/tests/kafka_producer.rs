//! What a host writes to a cluster, over every way to log in, and with the settings that a manifest may have for it.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use kafka_cluster::{Options, PASSWORD, Version};
use sharemill::source::{KafkaProducer, ProduceFailure, ToProduce};
use sharemill_tests::kafka::{Kafka, options};

fn record(topic: &str, value: &str) -> ToProduce {
    ToProduce {
        topic: topic.to_owned(),
        value: Some(value.as_bytes().to_vec().into()),
        ..ToProduce::default()
    }
}

fn owned(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    properties.iter().map(owned).collect()
}

#[test]
fn every_login_produces_and_a_wrong_one_does_not() {
    let options = Options {
        tls_sasl: true,
        ..options(Version::default())
    };
    let Some(kafka) = Kafka::start("kafka_producer::every_login_produces_and_a_wrong_one_does_not", options) else {
        return;
    };
    kafka.create("out", 1);
    let servers = kafka.cluster.bootstrap_tls_sasl().unwrap();
    let authority = kafka.cluster.authority().unwrap().display().to_string();
    let line = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", authority.as_str()),
        ("compression.type", "lz4"),
        ("message.timeout.ms", "10000"),
    ];
    let login = |mechanism, password| {
        [
            ("sasl.mechanism", mechanism),
            ("sasl.username", "admin"),
            ("sasl.password", password),
        ]
    };
    let token = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=admin"),
    ];
    let logins = [
        ("plain", login("PLAIN", PASSWORD)),
        ("scram-256", login("SCRAM-SHA-256", PASSWORD)),
        ("scram-512", login("SCRAM-SHA-512", PASSWORD)),
        ("token", token),
    ];
    for (value, login) in logins {
        let properties = owned(&[&line[..], &login].concat());
        let stored = kafka.wait(async {
            let producer = KafkaProducer::new(&properties).unwrap();
            producer.produce_all(vec![record("out", value)]).await
        });
        assert!(stored[0].is_ok(), "{value}: {stored:?}");
    }
    let properties = owned(&[&line[..], &login("PLAIN", "a-wrong-one")].concat());
    let stored = kafka.wait(async {
        let producer = KafkaProducer::new(&properties).unwrap();
        producer.produce_all(vec![record("out", "nothing")]).await
    });
    assert!(
        matches!(stored[0], Err(ProduceFailure::Unavailable { .. })),
        "{stored:?}"
    );
    let values: Vec<String> = kafka
        .read("out")
        .iter()
        .map(sharemill_tests::kafka::Stored::text)
        .collect();
    assert_eq!(values, ["plain", "scram-256", "scram-512", "token"]);
}

#[test]
fn properties_that_make_no_producer_are_named() {
    let wrong = owned(&[("bootstrap.servers", "localhost:9092"), ("compression.type", "zip")]);
    let error = KafkaProducer::new(&wrong).err().unwrap().to_string();
    // A value may be a secret.
    assert!(error.contains("compression.type") && !error.contains("zip"), "{error}");
}
