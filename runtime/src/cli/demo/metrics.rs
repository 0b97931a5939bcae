//! The host's own counts, from its Prometheus text. Counts begin anew with every process; those of two are added here.
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Samples by their name with labels, as they were printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Asks a host for its counts now.
    pub(super) fn of(address: &str) -> Result<Self> {
        let mut stream =
            TcpStream::connect(address).with_context(|| format!("cannot reach the metrics at {address}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| line.starts_with("sharemill_"));
        let samples = samples.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Counts of two processes, one after the other.
    pub(super) fn plus(&self, later: &Self) -> Self {
        let mut sum = self.clone();
        for (name, value) in &later.0 {
            *sum.0.entry(name.clone()).or_default() += value;
        }
        sum
    }

    /// Settlements of a deployment that are durable, by verdict.
    pub(super) fn verdicts(&self, deployment: &str, verdict: &str) -> u64 {
        let name = format!("sharemill_records_total{{deployment=\"{deployment}\",verdict=\"{verdict}\"}}");
        count(self.0.get(&name).copied().unwrap_or(0.0))
    }

    /// Upper bound, in seconds, of the bucket that holds this share of the accepted records; of all deployments without
    /// one. `None` without records.
    pub(super) fn acknowledged_within(&self, deployment: Option<&str>, share: f64) -> Option<f64> {
        let mut buckets: BTreeMap<u64, f64> = BTreeMap::new();
        for (name, value) in &self.0 {
            let Some(labels) = name.strip_prefix("sharemill_acknowledged_seconds_bucket") else {
                continue;
            };
            if deployment.is_some_and(|one| label(labels, "deployment") != Some(one)) {
                continue;
            }
            let bound: f64 = label(labels, "le")?.replace("+Inf", "inf").parse().ok()?;
            // Bounds are positive: their bits are in their order.
            *buckets.entry(bound.to_bits()).or_default() += value;
        }
        let all = buckets.values().copied().fold(0.0, f64::max);
        let holds = |(_, value): &(&u64, &f64)| **value >= all * share;
        let (bound, _) = buckets.iter().find(holds)?;
        (all > 0.0).then_some(f64::from_bits(*bound))
    }
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// Counters of a demo are small whole numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 2^53, never negative"
)]
fn count(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "HTTP/1.0 200 OK\r\n\r\n# TYPE x counter\n\
        sharemill_records_total{deployment=\"poll\",verdict=\"renew\"} 5\n\
        sharemill_acknowledged_seconds_bucket{deployment=\"poll\",le=\"0.005\"} 1\n\
        sharemill_acknowledged_seconds_bucket{deployment=\"poll\",le=\"0.01\"} 2\n\
        sharemill_acknowledged_seconds_bucket{deployment=\"poll\",le=\"+Inf\"} 2\n";

    #[test]
    fn counts_of_two_processes_add_up() {
        let one = Scrape::parse(TEXT);
        let both = one.plus(&one);
        assert_eq!(both.verdicts("poll", "renew"), 10);
        assert_eq!(both.verdicts("poll", "accept"), 0);
        assert_eq!(both.acknowledged_within(Some("poll"), 0.5), Some(0.005));
        assert_eq!(both.acknowledged_within(None, 0.99), Some(0.01));
        assert_eq!(both.acknowledged_within(Some("enrich"), 0.5), None);
    }
}
