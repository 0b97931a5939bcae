//! SASL, as the properties ask for it: by which mechanism, and as whom.

use std::collections::BTreeMap;

use super::Protocol;
use super::read::Reader;
use super::secret::Secret;
use super::trust::{Authorities, authorities};

/// How we log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// `PLAIN`: the broker gets the password.
    Plain {
        /// `sasl.username`.
        user: String,
        /// `sasl.password`.
        password: Secret,
    },
    /// `SCRAM-SHA-256` and `SCRAM-SHA-512`: the broker gets a proof that we know the password, and proves that it knows it.
    Scram {
        /// Which of them.
        hash: Scram,
        /// `sasl.username`.
        user: String,
        /// `sasl.password`.
        password: Secret,
    },
    /// `OAUTHBEARER`: the broker gets a token that somebody else has made.
    OAuthBearer(OAuth),
}

/// The hash of a `SCRAM` mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scram {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuth {
    /// We write them ourselves, and nobody signs them: for tests.
    Unsecured(Unsecured),
    /// A server gives them to whoever knows a secret.
    Oidc(Oidc),
}

/// What an unsecured token says: `sasl.oauthbearer.config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsecured {
    /// The claim that names us: `principalClaimName`, `sub`.
    pub principal_claim: String,
    /// `principal`.
    pub principal: String,
    /// The claim that lists scopes: `scopeClaimName`, `scope`.
    pub scope_claim: String,
    /// `scope`, a list with commas.
    pub scope: Vec<String>,
    /// How long it holds, in seconds: `lifeSeconds`, 3600.
    pub life_s: u32,
    /// `extension_NAME`.
    pub extensions: BTreeMap<String, String>,
}

/// A server that gives tokens for the client's own credentials (OAuth 2.0, RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// `sasl.oauthbearer.token.endpoint.url`.
    pub url: String,
    /// `sasl.oauthbearer.client.id`.
    pub client_id: String,
    /// `sasl.oauthbearer.client.secret`.
    pub client_secret: Secret,
    /// `sasl.oauthbearer.scope`.
    pub scope: Option<String>,
    /// `sasl.oauthbearer.extensions`.
    pub extensions: BTreeMap<String, String>,
    /// Who may have signed the server's certificate: `https.ca.location`, `https.ca.pem`.
    pub authorities: Authorities,
}

impl Login {
    /// The mechanism's name.
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram {
                hash: Scram::Sha256, ..
            } => "SCRAM-SHA-256",
            Self::Scram {
                hash: Scram::Sha512, ..
            } => "SCRAM-SHA-512",
            Self::OAuthBearer(_) => "OAUTHBEARER",
        }
    }

    /// As whom: the user, the principal, or the client's id.
    pub fn user(&self) -> &str {
        match self {
            Self::Plain { user, .. } | Self::Scram { user, .. } => user,
            Self::OAuthBearer(OAuth::Unsecured(token)) => &token.principal,
            Self::OAuthBearer(OAuth::Oidc(server)) => &server.client_id,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mechanism {
    Plain,
    Scram(Scram),
    OAuthBearer,
    Kerberos,
}

pub(super) fn read(reader: &mut Reader<'_>, protocol: Protocol) -> Option<Login> {
    if matches!(protocol, Protocol::Plaintext | Protocol::Ssl) {
        let given = ["sasl.", "enable.sasl.", "https."].map(|beginning| reader.beginning(beginning));
        for name in given.concat() {
            let name_of_it = protocol.name();
            let reason = format!(
                "it has no effect with security.protocol {name_of_it}: use SASL_PLAINTEXT or SASL_SSL, or leave it out"
            );
            reader.wrong(name, reason);
        }
        return None;
    }
    let choices = [
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::Scram(Scram::Sha256)),
        ("SCRAM-SHA-512", Mechanism::Scram(Scram::Sha512)),
        ("OAUTHBEARER", Mechanism::OAuthBearer),
        ("GSSAPI", Mechanism::Kerberos),
    ];
    let used = "use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
    if reader.text("sasl.mechanism").is_none() {
        reader.wrong(
            "sasl.mechanism",
            format!("it is missing, and security.protocol wants a login: {used}"),
        );
    }
    match reader.choice("sasl.mechanism", &choices)? {
        Mechanism::Plain => {
            let (user, password) = credentials(reader)?;
            Some(Login::Plain { user, password })
        }
        Mechanism::Scram(hash) => {
            let (user, password) = credentials(reader)?;
            Some(Login::Scram { hash, user, password })
        }
        Mechanism::OAuthBearer => {
            for name in ["sasl.username", "sasl.password"] {
                if reader.text(name).is_some() {
                    reader.wrong(name, "it has no effect with sasl.mechanism OAUTHBEARER: leave it out");
                }
            }
            oauth(reader).map(Login::OAuthBearer)
        }
        Mechanism::Kerberos => {
            reader.wrong("sasl.mechanism", format!("Kerberos (GSSAPI) is not supported: {used}"));
            None
        }
    }
}

fn credentials(reader: &mut Reader<'_>) -> Option<(String, Secret)> {
    let others = ["sasl.oauthbearer.", "enable.sasl.", "https."].map(|beginning| reader.beginning(beginning));
    for name in others.concat() {
        reader.wrong(
            name,
            "it has an effect with sasl.mechanism OAUTHBEARER only: leave it out",
        );
    }
    let user = needed(reader, "sasl.username");
    let password = needed(reader, "sasl.password");
    let (user, password) = (user?, Secret::new(password?));
    let has_nul = [user.as_str(), password.reveal()].map(|text| text.contains('\0'));
    for (name, _) in ["sasl.username", "sasl.password"]
        .iter()
        .zip(has_nul)
        .filter(|(_, has)| *has)
    {
        reader.wrong(name, "it holds a NUL, which no mechanism can send");
    }
    Some((user, password))
}

fn needed(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let text = reader.text(name).map(str::to_owned);
    if text.is_none() {
        reader.wrong(name, "it is missing or empty, and sasl.mechanism needs it");
    }
    text
}

fn oauth(reader: &mut Reader<'_>) -> Option<OAuth> {
    let methods = [("default", false), ("oidc", true)];
    let is_oidc = reader.choice("sasl.oauthbearer.method", &methods).unwrap_or(false);
    if is_oidc {
        return oidc(reader).map(OAuth::Oidc);
    }
    if !reader.flag("enable.sasl.oauthbearer.unsecure.jwt", false) {
        let reason = "method default writes tokens that nobody signs, which is for tests: set enable.sasl.oauthbearer.unsecure.jwt to true if \
                      that is meant, or use oidc";
        reader.wrong("sasl.oauthbearer.method", reason);
    }
    for name in [
        OIDC_ONLY,
        &["sasl.oauthbearer.grant.type", "https.ca.location", "https.ca.pem"],
    ]
    .concat()
    {
        if reader.text(name).is_some() {
            reader.wrong(name, "it has an effect with sasl.oauthbearer.method oidc only");
        }
    }
    let text = needed(reader, CONFIG)?;
    let parsed = unsecured(&text);
    parsed
        .map_err(|reason| reader.wrong(CONFIG, reason))
        .ok()
        .map(OAuth::Unsecured)
}

fn oidc(reader: &mut Reader<'_>) -> Option<Oidc> {
    let grants = [
        ("client_credentials", true),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", false),
    ];
    if reader.choice("sasl.oauthbearer.grant.type", &grants) == Some(false) {
        reader.wrong(
            "sasl.oauthbearer.grant.type",
            "tokens are not asked for by assertion: use client_credentials",
        );
    }
    if reader.text(CONFIG).is_some() {
        reader.wrong(
            CONFIG,
            "it has no effect with sasl.oauthbearer.method oidc: leave it out",
        );
    }
    let [url, client_id, client_secret] = [
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
    ]
    .map(|name| needed(reader, name));
    let mut extensions = BTreeMap::new();
    let listed = reader.text("sasl.oauthbearer.extensions").unwrap_or_default();
    for pair in listed.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        if let Err(reason) = extension(pair, &mut extensions) {
            reader.wrong("sasl.oauthbearer.extensions", reason);
        }
    }
    let url = url?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if !host.is_some_and(|host| host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')) {
        let reason = format!("{url:?} is not https://host/path");
        reader.wrong("sasl.oauthbearer.token.endpoint.url", reason);
    }
    Some(Oidc {
        url,
        client_id: client_id?,
        client_secret: Secret::new(client_secret?),
        scope: reader.text("sasl.oauthbearer.scope").map(str::to_owned),
        extensions,
        authorities: authorities(reader, "https.ca.location", "https.ca.pem"),
    })
}

/// Reads pairs with spaces between them.
fn unsecured(text: &str) -> Result<Unsecured, String> {
    let mut token = Unsecured {
        principal_claim: "sub".to_owned(),
        principal: String::new(),
        scope_claim: "scope".to_owned(),
        scope: Vec::new(),
        life_s: 3600,
        extensions: BTreeMap::new(),
    };
    for pair in text.split_whitespace() {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{pair:?} is not name=value"))?;
        match name {
            "principalClaimName" => value.clone_into(&mut token.principal_claim),
            "principal" => value.clone_into(&mut token.principal),
            "scopeClaimName" => value.clone_into(&mut token.scope_claim),
            "scope" => {
                token.scope = value
                    .split(',')
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            "lifeSeconds" => {
                let life = value.parse().ok().filter(|life| (1..=LIFE_S_MAX).contains(life));
                token.life_s = life.ok_or_else(|| format!("lifeSeconds {value:?} is not from 1 to {LIFE_S_MAX}"))?;
            }
            _ => {
                let named = pair.strip_prefix("extension_");
                let named = named.ok_or_else(|| {
                    format!("{name:?} is none of principal, principalClaimName, scope, scopeClaimName, lifeSeconds and extension_NAME")
                })?;
                extension(named, &mut token.extensions)?;
            }
        }
    }
    if token.principal.is_empty() || token.principal_claim.is_empty() {
        return Err("it names no principal: principal=NAME".to_owned());
    }
    if token.scope_claim.is_empty() || token.scope_claim == token.principal_claim {
        return Err("principalClaimName and scopeClaimName are the same, or empty".to_owned());
    }
    Ok(token)
}

/// Reads `name=value` as RFC 7628 (section 3.1) has it: names are letters, values are printable. `auth` is the token's.
fn extension(pair: &str, extensions: &mut BTreeMap<String, String>) -> Result<(), String> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && name != "auth";
    if !plain || value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(format!(
            "the extension {name:?} is not NAME=VALUE with a name of letters, other than auth"
        ));
    }
    extensions.insert(name.to_owned(), value.to_owned());
    Ok(())
}

pub(super) const CONFIG: &str = "sasl.oauthbearer.config";

const OIDC_ONLY: &[&str] = &[
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
];

/// A hundred years.
const LIFE_S_MAX: u32 = 3_155_760_000;
