//! A member of a share group that works so many milliseconds on what it is given, accepts it, and tells on standard error what it was given
//! and what it was answered: `share-member BOOTSTRAP-SERVERS GROUP TOPIC CREDIT MILLISECONDS`, until SIGTERM.
#![allow(clippy::disallowed_methods, reason = "lines bear the time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use share_client::config::ClientConfig;
use share_client::consumer::{Acquisition, Credit, Event, JoinOptions, Lease, Outcome, ShareConsumer, Verb};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, group, topic, credit, work] = &arguments[..] else {
        return Err("usage: share-member BOOTSTRAP-SERVERS GROUP TOPIC CREDIT MILLISECONDS".into());
    };
    let credit = Credit {
        records: credit.parse()?,
        bytes: 1 << 20,
    };
    let work = Duration::from_millis(work.parse()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers.clone())]);
    let config = ClientConfig::new(&properties)?;
    let consumer = ShareConsumer::join(&config, JoinOptions::new(group, &[topic])).await?;
    loop {
        let acquisitions = tokio::select! {
            acquired = consumer.acquire(credit) => acquired?,
            event = consumer.event() => {
                if let Event::AssignmentChanged { partitions } = event {
                    tell(&format!("assigned partitions={partitions}\n"))?;
                }
                continue;
            }
            _ = terminated.recv() => break,
        };
        let held: Vec<Lease> = acquisitions.iter().flat_map(Acquisition::leases).collect();
        tell(&lines("acquired", &held, |_| String::new())?)?;
        tokio::time::sleep(work).await;
        let accepted = held.iter().map(|lease| (*lease, Verb::Accept)).collect();
        let outcomes = consumer.settle(accepted).await;
        let outcome = |place: usize| {
            format!(
                " verb=Accept outcome={:?}",
                outcomes.get(place).unwrap_or(&Outcome::Unknown)
            )
        };
        tell(&lines("settled", &held, outcome)?)?;
    }
    consumer.close().await;
    Ok(())
}

/// One for each record, with the time at which it is told.
fn lines(what: &str, held: &[Lease], more: impl Fn(usize) -> String) -> Result<String, std::fmt::Error> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    let mut lines = String::new();
    for (place, lease) in held.iter().enumerate() {
        let (partition, offset, delivery) = (lease.place.partition, lease.offset, lease.delivery_count);
        let more = more(place);
        writeln!(
            lines,
            "{now} {what} partition={partition} offset={offset} delivery={delivery}{more}"
        )?;
    }
    Ok(lines)
}

/// In one write, before anything else is done: what is in the pipe outlives this process.
fn tell(lines: &str) -> std::io::Result<()> {
    std::io::stderr().lock().write_all(lines.as_bytes())
}
