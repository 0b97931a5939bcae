//! Prometheus text over HTTP: `GET /metrics`. Installs the process's recorder; started before anything is counted.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
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
        let router = Router::new().route("/metrics", get(text));
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

/// Samples of histograms are folded this often, whether anybody asks or not.
const UPKEEP: Duration = Duration::from_secs(5);
