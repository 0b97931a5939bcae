//! Asks any broker of the cluster, whichever answers first in turn.

use std::time::Duration;

use share_wire::call::Call;

use crate::config::Address;
use crate::net::{Connector, Failure, NetError};

/// Whom to ask next.
#[derive(Debug)]
pub(super) struct Anybody {
    connector: Connector,
    turn: usize,
}

impl Anybody {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, turn: 0 }
    }

    /// Asks one after another until one answers: brokers that are known, then those of the configuration. The connection is not kept:
    /// this is asked seldom.
    pub(super) async fn call<C: Call>(&mut self, request: &C, known: &[Address]) -> Result<C::Response, NetError> {
        let mut addresses: Vec<Address> = known.to_vec();
        let bootstrap = self.connector.bootstrap();
        addresses.extend(bootstrap.iter().filter(|address| !known.contains(address)).cloned());
        let count = addresses.len().max(1);
        addresses.rotate_left(self.turn % count);
        let mut last = None;
        for address in addresses {
            match self.ask(request, &address).await {
                Ok(response) => return Ok(response),
                Err(error) => last = Some(error),
            }
            self.turn = self.turn.wrapping_add(1);
        }
        Err(last.unwrap_or_else(nobody))
    }

    async fn ask<C: Call>(&self, request: &C, address: &Address) -> Result<C::Response, NetError> {
        let asked = async {
            let mut connection = self.connector.connect(address).await?;
            connection.call(request).await
        };
        let waited = tokio::time::timeout(PATIENCE, asked).await;
        waited.unwrap_or_else(|_| {
            let doing = format!("asking for {}", C::API.name);
            let failure = Failure::Timeout { doing, limit: PATIENCE };
            Err(NetError {
                address: address.clone(),
                failure,
            })
        })
    }
}

/// The configuration names at least one broker.
fn nobody() -> NetError {
    NetError {
        address: Address {
            host: String::new(),
            port: 0,
        },
        failure: Failure::Connect {
            reason: "no broker is known".to_owned(),
        },
    }
}

/// So long one broker may keep the others from being asked.
const PATIENCE: Duration = Duration::from_secs(10);
