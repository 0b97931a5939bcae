//! Tokens for `OAUTHBEARER`: written here, or given by a server and kept as long as they are good for a login.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::dial::Dial;
use super::error::{Failure, late};
use super::http;
use super::tls::Secure;
use crate::config::{OAuth, Oidc, Problem, Secret, Unsecured};
use crate::sasl;

/// Where tokens come from.
pub(super) enum Tokens {
    Unsecured(Unsecured),
    /// Whoever comes first asks the server, the others wait.
    Server {
        server: Oidc,
        tls: Secure,
        kept: Mutex<Option<Kept>>,
    },
}

/// A token that a login can be made with, for other clients of the same cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As the broker is given it.
    pub value: Secret,
    /// As whom it logs in, as far as that is known: the principal of an unsecured token, the client's id at a server.
    pub user: String,
    /// How long it may be used for a login.
    pub life: Duration,
}

pub(super) struct Kept {
    token: Secret,
    /// It is not used for a login after that.
    until: Instant,
}

impl Tokens {
    pub(super) fn new(source: &OAuth) -> Result<Self, Problem> {
        Ok(match source {
            OAuth::Unsecured(token) => Self::Unsecured(token.clone()),
            OAuth::Oidc(server) => Self::Server {
                server: server.clone(),
                tls: Secure::https(&server.authorities)?,
                kept: Mutex::new(None),
            },
        })
    }

    pub(super) fn extensions(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Unsecured(token) => &token.extensions,
            Self::Server { server, .. } => &server.extensions,
        }
    }

    /// One that a login can be made with.
    pub(super) async fn get(&self, dial: Dial, deadline: Instant) -> Result<Secret, Failure> {
        Ok(self.token(dial, deadline).await?.value)
    }

    /// The same, with what is known of it.
    pub(super) async fn token(&self, dial: Dial, deadline: Instant) -> Result<Token, Failure> {
        let (server, tls, kept) = match self {
            Self::Unsecured(token) => {
                let (principal, scope) = (
                    (&*token.principal_claim, &*token.principal),
                    (&*token.scope_claim, &*token.scope),
                );
                let text = sasl::unsecured(principal, scope, now_s(), token.life_s.into());
                return Ok(Token {
                    value: Secret::new(text),
                    user: token.principal.clone(),
                    life: Duration::from_secs(token.life_s.into()),
                });
            }
            Self::Server { server, tls, kept } => (server, tls, kept),
        };
        let got = timeout_at(deadline, async {
            let mut kept = kept.lock().await;
            let good = kept.as_ref().filter(|kept| Instant::now() < kept.until);
            let token = |kept: &Kept| Token {
                value: kept.token.clone(),
                user: server.client_id.clone(),
                life: kept.until.saturating_duration_since(Instant::now()),
            };
            if let Some(good) = good {
                return Ok(token(good));
            }
            let asked = Instant::now();
            let (fetched, life) = fetch(server, tls, dial, deadline).await?;
            // A login that begins late in a token's life is soon over.
            let until = asked + life.mul_f64(USED_OF_LIFE);
            let fresh = Kept { token: fetched, until };
            let told = token(&fresh);
            *kept = Some(fresh);
            Ok(told)
        });
        let got = got
            .await
            .map_err(|_| late(&format!("asking {} for a token", server.url), dial.limit))?;
        got.map_err(|reason| Failure::Token {
            url: server.url.clone(),
            reason,
        })
    }
}

/// Asks for a token, and says how long it lives.
async fn fetch(server: &Oidc, tls: &Secure, dial: Dial, deadline: Instant) -> Result<(Secret, Duration), String> {
    let credentials = format!("{}:{}", server.client_id, server.client_secret.reveal());
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let scope = server
        .scope
        .as_deref()
        .map(|scope| format!("&scope={}", encoded(scope)));
    let form = format!("grant_type=client_credentials{}", scope.unwrap_or_default());
    let answer = http::post(dial, tls, &server.url, &authorization, form, deadline).await?;
    read(answer.status, &answer.body, now_s())
}

/// Reads the answer of a server of tokens (RFC 6749, sections 5.1 and 5.2).
fn read(status: u16, body: &[u8], now_s: u64) -> Result<(Secret, Duration), String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if status != 200 {
        let said = [text("error"), text("error_description")]
            .into_iter()
            .flatten()
            .map(shown);
        let said: Vec<String> = said.collect();
        return Err(format!(
            "it answers with status {status}: {}",
            if said.is_empty() {
                "no reason".to_owned()
            } else {
                said.join(", ")
            }
        ));
    }
    let token = text("access_token").ok_or("its answer has no access_token")?;
    // RFC 6750, section 2.1.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_plain) {
        return Err("its access_token holds what no token may".to_owned());
    }
    let named = value.get("expires_in").and_then(Value::as_u64);
    let life = named
        .or_else(|| Some(expiry(token)?.saturating_sub(now_s)))
        .unwrap_or(0);
    Ok((Secret::new(token), Duration::from_secs(life.min(LIFE_S_MAX))))
}

/// When a token expires, in seconds since 1970, if it says so.
fn expiry(token: &str) -> Option<u64> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?.get("exp")?.as_u64()
}

/// As forms have it.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        _ if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What a stranger wrote, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "brokers compare a token's times with their own wall clock"
)]
fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Less than the part of a session after which a connection logs in anew, so that it does so with a new token.
const USED_OF_LIFE: f64 = 0.75;

/// Thirty days: none is kept for longer.
const LIFE_S_MAX: u64 = 30 * 86_400;

const SHOWN_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> String {
        read(status, body.as_bytes(), 0).unwrap_err()
    }

    #[test]
    fn answers_of_a_server_are_read() {
        let (token, life) = read(
            200,
            br#"{"access_token":"a.b.c","expires_in":300,"token_type":"Bearer"}"#,
            0,
        )
        .unwrap();
        assert_eq!((token.reveal(), life), ("a.b.c", Duration::from_mins(5)));
        // Without a time beside it, the token's own: {"exp":1000}.
        let (_, life) = read(200, br#"{"access_token":"e30.eyJleHAiOjEwMDB9."}"#, 400).unwrap();
        assert_eq!(life, Duration::from_mins(10));
        let (_, life) = read(200, br#"{"access_token":"opaque"}"#, 400).unwrap();
        assert_eq!(life, Duration::ZERO);
        let (_, life) = read(200, br#"{"access_token":"a","expires_in":18446744073709551615}"#, 0).unwrap();
        assert_eq!(life, Duration::from_secs(LIFE_S_MAX));
        assert_eq!(
            said(
                401,
                r#"{"error":"invalid_client","error_description":"wrong\u0007 secret"}"#
            ),
            "it answers with status 401: invalid_client, wrong secret"
        );
        assert_eq!(said(502, "<html>"), "it answers with status 502: no reason");
        assert_eq!(said(200, "{}"), "its answer has no access_token");
        assert_eq!(
            said(200, r#"{"access_token":"a b"}"#),
            "its access_token holds what no token may"
        );
        assert_eq!(encoded("api://EXAMPLE y/.default"), "api%3A%2F%2FEXAMPLE+y%2F.default");
    }
}
