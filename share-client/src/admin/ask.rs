//! How questions reach brokers: one connection to each, opened when it is needed, and once more when it turns out to be closed.
//! Who coordinates, leads or answers at all is found out here; what may have an answer a moment later is asked again.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use share_wire::call::Call;
use share_wire::code::ErrorCode;
use share_wire::kafka::{BrokerId, FindCoordinatorRequest, MetadataRequest, MetadataResponse, StrBytes};
use tokio::time::Instant;

use super::error::{AdminError, Question, Resource};
use crate::config::Address;
use crate::net::{Connection, Connector, Failure, NetError};
use crate::tools::{Operation, Who};

/// The connections, and what is known of the cluster.
#[derive(Debug)]
pub(super) struct Asker {
    connector: Connector,
    /// Those that nobody uses at the moment, at most one for each broker. Never locked while anything is waited for.
    idle: Mutex<BTreeMap<Address, Connection>>,
    /// Where brokers are, by their numbers, as the cluster said last.
    brokers: Mutex<BTreeMap<i32, Address>>,
}

/// An answer and who gave it.
pub(super) struct Answered<T> {
    pub(super) broker: Address,
    pub(super) response: T,
}

impl Asker {
    pub(super) const fn new(connector: Connector) -> Self {
        Self {
            connector,
            idle: Mutex::new(BTreeMap::new()),
            brokers: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// As whom we are logged in, in Kafka's words; brokers may be told to call us otherwise.
    pub(super) fn who(&self) -> Who {
        Who::of(self.connector.config())
    }

    /// Asks this broker. A connection that was closed while nobody used it is made anew.
    pub(super) async fn ask<C: Call>(
        &self,
        at: &Address,
        request: &C,
        limit: Option<Duration>,
    ) -> Result<C::Response, NetError> {
        let kept = lock(&self.idle).remove(at);
        if let Some(connection) = kept {
            let asked = self.ask_over(connection, request, limit).await;
            // The answer did not come since the connection was no more; that of a slow broker may come yet.
            match asked {
                Err(error) if matches!(error.failure, Failure::Lost { .. } | Failure::Broken { .. }) => {}
                other => return other,
            }
        }
        self.ask_anew(at, request, limit).await
    }

    /// Asks this broker over a new connection, so that whatever goes wrong, it was asked once.
    pub(super) async fn ask_anew<C: Call>(
        &self,
        at: &Address,
        request: &C,
        limit: Option<Duration>,
    ) -> Result<C::Response, NetError> {
        let connection = self.connector.connect(at).await?;
        self.ask_over(connection, request, limit).await
    }

    async fn ask_over<C: Call>(
        &self,
        connection: Connection,
        request: &C,
        limit: Option<Duration>,
    ) -> Result<C::Response, NetError> {
        let mut connection = connection;
        let asked = match limit {
            Some(limit) => connection.call_within(request, limit).await,
            None => connection.call(request).await,
        };
        if !connection.is_broken() {
            lock(&self.idle).insert(connection.address().clone(), connection);
        }
        asked
    }

    /// Asks whoever answers. `change`: it changes something, and is asked once.
    pub(super) async fn ask_any<C: Call>(
        &self,
        request: &C,
        change: bool,
    ) -> Result<Answered<C::Response>, AdminError> {
        let mut tried = Vec::new();
        for broker in self.candidates() {
            let asked = if change {
                self.ask_anew(&broker, request, None).await
            } else {
                self.ask(&broker, request, None).await
            };
            match asked {
                Ok(response) => return Ok(Answered { broker, response }),
                Err(error) => {
                    let last = error.is_final() || (change && !matches!(error.failure, Failure::Connect { .. }));
                    tried.push(error);
                    if last {
                        break;
                    }
                }
            }
        }
        Err(AdminError::Unreachable {
            asking: C::API.name,
            tried,
        })
    }

    /// Who may be asked: those that we are connected to first, then those that the cluster named, then those of the configuration.
    fn candidates(&self) -> Vec<Address> {
        let idle: Vec<Address> = lock(&self.idle).keys().cloned().collect();
        let known: Vec<Address> = lock(&self.brokers).values().cloned().collect();
        let mut all = Vec::new();
        for address in idle.iter().chain(&known).chain(self.connector.bootstrap()) {
            if !all.contains(address) && all.len() < CANDIDATES_MAX {
                all.push(address.clone());
            }
        }
        all
    }

    /// Asks for brokers and topics, and learns where the brokers are.
    pub(super) async fn metadata(&self, request: &MetadataRequest) -> Result<Answered<MetadataResponse>, AdminError> {
        let answered = self.ask_any(request, false).await?;
        let question = Question::new("Metadata", Operation::Describe, Resource::Cluster);
        self.check(&question, &answered.broker, answered.response.error_code, None)?;
        let brokers = answered.response.brokers.iter().take(BROKERS_MAX);
        let brokers: BTreeMap<i32, Address> = brokers
            .filter_map(|broker| Some((broker.node_id.0, address(&broker.host, broker.port)?)))
            .collect();
        lock(&self.idle)
            .retain(|address, _| brokers.values().any(|known| known == address) || self.is_bootstrap(address));
        *lock(&self.brokers) = brokers;
        Ok(answered)
    }

    fn is_bootstrap(&self, address: &Address) -> bool {
        self.connector.bootstrap().contains(address)
    }

    /// Where a broker listens. `None`: the cluster has no such broker at present.
    pub(super) async fn address_of(&self, broker: i32) -> Result<Option<Address>, AdminError> {
        let known = lock(&self.brokers).get(&broker).cloned();
        if known.is_some() {
            return Ok(known);
        }
        self.metadata(&MetadataRequest::default().with_topics(Some(Vec::new())))
            .await?;
        Ok(lock(&self.brokers).get(&broker).cloned())
    }

    /// After a broker could not be reached: it may be elsewhere now.
    pub(super) fn forget_brokers(&self) {
        lock(&self.brokers).clear();
    }

    /// Asks the group's coordinator, which is looked for each time. `change`: it changes something, and is asked once.
    pub(super) async fn ask_coordinator<C: Call>(
        &self,
        question: &Question,
        group: &str,
        request: &C,
        change: bool,
    ) -> Result<Answered<C::Response>, AdminError> {
        let (_, broker) = self.coordinator(group).await?;
        let asked = if change {
            self.ask_anew(&broker, request, None).await
        } else {
            self.ask(&broker, request, None).await
        };
        let response = asked.map_err(|source| question.net(source))?;
        Ok(Answered { broker, response })
    }

    /// The number and the place of the broker that coordinates the group.
    pub(super) async fn coordinator(&self, group: &str) -> Result<(i32, Address), AdminError> {
        let question = Question::new(
            "FindCoordinator",
            Operation::Describe,
            Resource::Group(group.to_owned()),
        );
        let request = FindCoordinatorRequest::default()
            .with_key_type(0)
            .with_coordinator_keys(vec![text(group)]);
        let Answered { broker, response } = self.ask_any(&request, false).await?;
        let found = response.coordinators.first().ok_or_else(|| question.no_word(&broker))?;
        self.check(&question, &broker, found.error_code, found.error_message.as_deref())?;
        let place = address(&found.host, found.port).ok_or_else(|| question.no_word(&broker))?;
        Ok((found.node_id.0, place))
    }

    /// Whether an answer is one.
    pub(super) fn check(
        &self,
        question: &Question,
        broker: &Address,
        code: i16,
        said: Option<&str>,
    ) -> Result<(), AdminError> {
        let code = ErrorCode(code);
        if code.is_error() {
            return Err(question.refused(broker, &self.who(), code, said));
        }
        Ok(())
    }

    /// Asks again, later and later, until there is an answer, it is clear that there is none, or `socket.timeout.ms` have passed.
    pub(super) async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, AdminError>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        let deadline = Instant::now() + self.connector.config().times().request;
        let mut pause = PAUSE;
        loop {
            match attempt().await {
                Err(error) if error.is_retriable() && Instant::now() + pause < deadline => {
                    if matches!(error, AdminError::Net { .. }) {
                        self.forget_brokers();
                    }
                }
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Where a broker says that one listens; `None` if that is no place.
pub(super) fn address(host: &StrBytes, port: i32) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then(|| Address {
        host: host.to_string(),
        port,
    })
}

/// As messages hold it.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A number of a broker, if it is one: -1 stands for nobody.
pub(super) fn broker(id: BrokerId) -> Option<i32> {
    (id.0 >= 0).then_some(id.0)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside is whole after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between the first two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two attempts, at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Brokers that are tried before it is said that none answers.
const CANDIDATES_MAX: usize = 16;

/// Brokers that are remembered.
const BROKERS_MAX: usize = 10_000;
