//! The login: which mechanism is asked for, and the exchange carried out over a connection. The same again before the broker's patience
//! with it ends (KIP-368).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use share_wire::code::ErrorCode;
use share_wire::kafka::{SaslAuthenticateRequest, SaslHandshakeRequest, StrBytes};
use tokio::time::Instant;

use super::connection::Connection;
use super::dial::Dial;
use super::error::Failure;
use super::token::{Token, Tokens, shown};
use crate::config::{Login, Problem, Scram};
use crate::sasl::{Exchange, Hash, Step};

/// As whom connections log in.
pub(super) struct Credentials {
    login: Login,
    tokens: Option<Tokens>,
    dial: Dial,
}

impl Credentials {
    pub(super) fn new(login: &Login, dial: Dial) -> Result<Self, Problem> {
        let tokens = match login {
            Login::OAuthBearer(source) => Some(Tokens::new(source)?),
            _ => None,
        };
        Ok(Self {
            login: login.clone(),
            tokens,
            dial,
        })
    }

    /// Logs in, and says for how long, if the broker has set a limit.
    pub(super) async fn log_in(
        &self,
        connection: &mut Connection,
        deadline: Instant,
    ) -> Result<Option<Duration>, Failure> {
        // Before the handshake: a broker does not wait for long after it.
        let (mut exchange, mut message) = self.begin(deadline).await?;
        self.ask_for_mechanism(connection).await?;
        for _ in 0..ROUNDS_MAX {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
            let response = connection.exchange(&request).await?;
            let code = ErrorCode(response.error_code);
            if code.is_error() {
                let said = response.error_message.as_deref().map(shown);
                return Err(self.failed(said.unwrap_or_else(|| code.to_string())));
            }
            match exchange.answered(&response.auth_bytes) {
                Ok(Step::Send(next)) => message = next,
                Ok(Step::Done) => {
                    let life = u64::try_from(response.session_lifetime_ms).unwrap_or(0);
                    return Ok((life > 0).then(|| Duration::from_millis(life)));
                }
                Ok(Step::Refused(last, reason)) => {
                    // The broker says it again, in its own words.
                    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(last));
                    drop(connection.exchange(&request).await);
                    return Err(self.failed(shown(&reason)));
                }
                Err(error) => return Err(self.failed(error.to_string())),
            }
        }
        Err(self.failed("the broker goes on asking".to_owned()))
    }

    /// A token, if that is what logins are made with.
    pub(super) async fn token(&self, deadline: Instant) -> Option<Result<Token, Failure>> {
        Some(self.tokens.as_ref()?.token(self.dial, deadline).await)
    }

    async fn begin(&self, deadline: Instant) -> Result<(Exchange, Vec<u8>), Failure> {
        Ok(match (&self.login, &self.tokens) {
            (Login::Plain { user, password }, _) => Exchange::plain(user, password.reveal()),
            (Login::Scram { hash, user, password }, _) => {
                let hash = match hash {
                    Scram::Sha256 => Hash::Sha256,
                    Scram::Sha512 => Hash::Sha512,
                };
                let nonce = nonce().ok_or_else(|| self.failed("the system has no random numbers".to_owned()))?;
                Exchange::scram(hash, user, password.reveal(), &nonce)
            }
            (Login::OAuthBearer(_), Some(tokens)) => {
                let token = tokens.get(self.dial, deadline).await?;
                Exchange::bearer(token.reveal(), tokens.extensions())
            }
            (Login::OAuthBearer(_), None) => return Err(self.failed("there are no tokens".to_owned())),
        })
    }

    async fn ask_for_mechanism(&self, connection: &mut Connection) -> Result<(), Failure> {
        let mechanism = self.login.mechanism();
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let response = connection.exchange(&request).await?;
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => Ok(()),
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                let offered = response.mechanisms.iter().take(OFFERED_MAX).map(|name| shown(name));
                Err(Failure::Mechanism {
                    mechanism,
                    offered: offered.collect(),
                })
            }
            ILLEGAL_SASL_STATE if !connection.was_logged_in() => Err(self.failed(
                "this listener wants no login; is security.protocol PLAINTEXT or SSL meant, or another port?"
                    .to_owned(),
            )),
            code => Err(self.failed(code.to_string())),
        }
    }

    fn failed(&self, reason: String) -> Failure {
        Failure::Login {
            mechanism: self.login.mechanism(),
            user: self.login.user().to_owned(),
            reason,
        }
    }
}

/// Random, printable, without a comma.
fn nonce() -> Option<String> {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The request does not fit the state of the login: here that there is none.
const ILLEGAL_SASL_STATE: ErrorCode = ErrorCode(34);

/// The longest exchange that is known has two.
const ROUNDS_MAX: u32 = 4;

/// Mechanisms that are shown.
const OFFERED_MAX: usize = 10;
