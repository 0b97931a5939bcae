//! Connections to real brokers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use kafka_cluster::{Cluster, Options, Version};
use share_client::config::ClientConfig;
use share_client::net::{Connector, Failure};
use share_wire::kafka::MetadataRequest;

fn connector(properties: &[(&str, &str)]) -> Connector {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties: BTreeMap<String, String> = properties.iter().map(owned).collect();
    Connector::new(&ClientConfig::new(&properties).unwrap()).unwrap()
}

#[tokio::test]
async fn a_broker_answers() {
    if !kafka_cluster::runs_here(Version::default(), "connect::a_broker_answers") {
        return;
    }
    let cluster = Cluster::start(Options::default()).unwrap();
    let plain = connector(&[("bootstrap.servers", &cluster.bootstrap())]);
    let mut connection = plain.connect(&plain.bootstrap()[0]).await.unwrap();
    assert_eq!(connection.versions().feature("share.version"), 1);
    for _ in 0..2 {
        let answer = connection.call(&MetadataRequest::default()).await.unwrap();
        assert_eq!(answer.brokers.len(), 1);
    }
    drop(cluster);
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Lost { .. }), "{error}");
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Broken { .. }), "{error}");
    let error = plain.connect(&plain.bootstrap()[0]).await.unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
}
