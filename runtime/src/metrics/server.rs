//! Prometheus text over HTTP: `GET /metrics`. Installs the process's recorder; started before anything is counted.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::names::{BUCKETS, describe};

/// Serves until it is dropped or its future is.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    handle: PrometheusHandle,
}

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsServerError {
    /// The address is taken, or not ours.
    #[error("cannot serve metrics on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The process has a recorder already.
    #[error("cannot record metrics: {0}")]
    Recorder(#[from] BuildError),
}

impl MetricsServer {
    /// Binds `address` (port 0: any) and installs the recorder.
    pub async fn bind(address: SocketAddr) -> Result<Self, MetricsServerError> {
        let bind = |source| MetricsServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
        describe();
        Ok(Self {
            listener,
            address,
            handle,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves; ends only with an error of the listener.
    pub async fn run(self) -> std::io::Result<()> {
        let Self { listener, handle, .. } = self;
        let page = handle.clone();
        let text = move || std::future::ready(([(CONTENT_TYPE, "text/plain; version=0.0.4")], page.render()));
        let router = Router::new()
            .route("/", get(async || ELSEWHERE))
            .route("/metrics", get(text))
            .fallback(async || (StatusCode::NOT_FOUND, ELSEWHERE));
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                handle.run_upkeep();
            }
        };
        tokio::select! {
            served = axum::serve(listener, router) => served,
            () = upkeep => Ok(()),
        }
    }
}

/// The answer on every other path.
const ELSEWHERE: &str = "metrics of sharemill as Prometheus text are at /metrics\n";

/// Samples of histograms are folded this often, whether anybody asks or not.
const UPKEEP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::metrics::{DeploymentMetrics, Tally};

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    // The recorder is the process's: everything that needs one is in this test.
    #[tokio::test]
    async fn serves_what_was_counted() {
        let server = MetricsServer::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = server.address();
        assert_ne!(address.port(), 0);
        let taken = MetricsServer::bind(address).await.unwrap_err().to_string();
        assert!(
            taken.starts_with(&format!("cannot serve metrics on {address}: ")),
            "{taken}"
        );
        let metrics = DeploymentMetrics::new("metrics-test");
        let mut tally = Tally::default();
        tally.verdicts.add_many("accept", 3);
        tally.acknowledged.record(Duration::from_millis(2));
        tally.acknowledged.record(Duration::from_millis(4));
        metrics.add(0, &tally, [2, 0, 1]);
        let [text, root, other] = tokio::select! {
            texts = async { [get(address, "/metrics").await, get(address, "/").await, get(address, "/metric").await] } => texts,
            ended = server.run() => panic!("{ended:?}"),
        };
        for line in [
            "# TYPE sharemill_records_total counter",
            "# HELP sharemill_acknowledged_seconds From the append of a record to its durable acceptance;",
            "sharemill_records_total{deployment=\"metrics-test\",verdict=\"accept\"} 3",
            "sharemill_acknowledged_seconds_bucket{deployment=\"metrics-test\",le=\"0.0025\"} 1",
            "sharemill_acknowledged_seconds_count{deployment=\"metrics-test\"} 2",
            "sharemill_slots{deployment=\"metrics-test\",lane=\"0\",state=\"busy\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        for (answer, status) in [(root, "200 OK"), (other, "404 Not Found")] {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert!(answer.ends_with(ELSEWHERE), "{answer}");
        }
    }
}
