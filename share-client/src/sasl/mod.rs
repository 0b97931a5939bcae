//! Logins as exchanges of messages, without a connection: what to send first, and what to answer. Every exchange ends after a few
//! messages, whatever the broker sends.

mod bearer;
mod scram;

use std::collections::BTreeMap;

pub(crate) use bearer::unsecured;
pub(crate) use scram::{Hash, Scram};

/// A login that is going on.
pub(crate) enum Exchange {
    /// RFC 4616: one message, and whatever answers it is a yes.
    Plain,
    /// RFC 5802 and RFC 7677.
    Scram(Box<Scram>),
    /// RFC 7628: one message, and an empty answer is a yes.
    Bearer,
}

/// What to do after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this.
    Send(Vec<u8>),
    /// Nothing: we are in, and the broker is who it has to be.
    Done,
    /// Send this, which ends the exchange, and take the reason from here whatever the answer is.
    Refused(Vec<u8>, String),
}

/// Why a login cannot go on. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslError {
    /// The broker sent what is not part of the exchange.
    #[error("the broker's {message} is not as it has to be: {reason}")]
    Invalid {
        message: &'static str,
        reason: &'static str,
    },
    /// A work factor that is too low to be safe, or so high that it would stop us.
    #[error("the broker asks for {asked} iterations; {least} to {most} are done")]
    Iterations { asked: String, least: u32, most: u32 },
    /// The broker says no.
    #[error("the broker refuses: {reason}")]
    Refused { reason: String },
    /// The broker does not know the password that it let us in with: it is not who it says.
    #[error("the broker does not prove that it knows the password: it is another one, or somebody is in between")]
    Impostor,
}

impl Exchange {
    /// `PLAIN`, and its message.
    pub(crate) fn plain(user: &str, password: &str) -> (Self, Vec<u8>) {
        (Self::Plain, format!("\0{user}\0{password}").into_bytes())
    }

    /// `SCRAM`, and its first message. The nonce is used once: printable, without a comma.
    pub(crate) fn scram(hash: Hash, user: &str, password: &str, nonce: &str) -> (Self, Vec<u8>) {
        let (scram, first) = Scram::start(hash, user, password, nonce);
        (Self::Scram(Box::new(scram)), first)
    }

    /// `OAUTHBEARER`, and its message. Names and values of extensions are as RFC 7628 has them.
    pub(crate) fn bearer(token: &str, extensions: &BTreeMap<String, String>) -> (Self, Vec<u8>) {
        (Self::Bearer, bearer::first(token, extensions))
    }

    /// Takes the broker's answer.
    pub(crate) fn answered(&mut self, answer: &[u8]) -> Result<Step, SaslError> {
        match self {
            Self::Plain => Ok(Step::Done),
            Self::Scram(scram) => scram.answered(answer),
            Self::Bearer => Ok(bearer::answered(answer)),
        }
    }
}
