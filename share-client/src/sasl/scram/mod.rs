//! `SCRAM-SHA-256` and `SCRAM-SHA-512` (RFC 5802, RFC 7677) without channel binding, as Kafka has it: passwords are taken as they are
//! written, without `SASLprep`. The broker has to prove that it knows the password too.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};

use super::{SaslError, Step};

/// Of which mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// The client's side.
pub(crate) struct Scram {
    hash: Hash,
    password: Vec<u8>,
    nonce: String,
    first_bare: String,
    state: State,
}

enum State {
    /// The broker names salt, iterations and the rest of the nonce.
    First,
    /// The broker proves itself.
    Final {
        signature_key: hmac::Key,
        message: String,
    },
    Over,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn derive(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.hmac().digest_algorithm().output_len()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

impl Scram {
    pub(super) fn start(hash: Hash, user: &str, password: &str, nonce: &str) -> (Self, Vec<u8>) {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        let first = format!("{GS2}{first_bare}").into_bytes();
        let scram = Self {
            hash,
            password: password.as_bytes().to_vec(),
            nonce: nonce.to_owned(),
            first_bare,
            state: State::First,
        };
        (scram, first)
    }

    pub(super) fn answered(&mut self, answer: &[u8]) -> Result<Step, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.prove(answer).map(Step::Send),
            State::Final { signature_key, message } => check(answer, &signature_key, &message).map(|()| Step::Done),
            State::Over => Err(invalid("message", "the exchange is over")),
        }
    }

    /// What proves that we know the password.
    fn prove(&mut self, answer: &[u8]) -> Result<Vec<u8>, SaslError> {
        const NAME: &str = "first message";
        let server_first = text(NAME, answer)?;
        let mut fields = server_first.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let nonce = field("r=").ok_or_else(|| invalid(NAME, "it has no nonce"))?;
        let salt = field("s=").and_then(|salt| BASE64_STANDARD.decode(salt).ok());
        let salt = salt.filter(|salt| !salt.is_empty());
        let salt = salt.ok_or_else(|| invalid(NAME, "it has no salt"))?;
        let asked = field("i=").ok_or_else(|| invalid(NAME, "it has no iterations"))?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(invalid(NAME, "its nonce does not go on from ours"));
        }
        let iterations = asked
            .parse()
            .ok()
            .filter(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(count));
        let iterations = iterations
            .and_then(NonZeroU32::new)
            .ok_or_else(|| SaslError::Iterations {
                asked: asked.chars().take(20).collect(),
                least: ITERATIONS_MIN,
                most: ITERATIONS_MAX,
            })?;
        let salted = self.hash.derive(&self.password, &salt, iterations);
        self.password.clear();
        let salted = hmac::Key::new(self.hash.hmac(), &salted);
        let mut proof = hmac::sign(&salted, b"Client Key").as_ref().to_vec();
        let stored_key = digest::digest(self.hash.hmac().digest_algorithm(), &proof);
        let without_proof = format!("c={},r={nonce}", BASE64_STANDARD.encode(GS2));
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let stored_key = hmac::Key::new(self.hash.hmac(), stored_key.as_ref());
        let signature = hmac::sign(&stored_key, message.as_bytes());
        for (byte, other) in proof.iter_mut().zip(signature.as_ref()) {
            *byte ^= other;
        }
        let server_key = hmac::sign(&salted, b"Server Key");
        self.state = State::Final {
            signature_key: hmac::Key::new(self.hash.hmac(), server_key.as_ref()),
            message,
        };
        Ok(format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes())
    }
}

/// Whether the broker knows the password.
fn check(answer: &[u8], signature_key: &hmac::Key, message: &str) -> Result<(), SaslError> {
    const NAME: &str = "last message";
    let server_final = text(NAME, answer)?;
    let field = server_final.split(',').next().unwrap_or_default();
    if let Some(reason) = field.strip_prefix("e=") {
        let reason = reason.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(SaslError::Refused { reason });
    }
    let signature = field
        .strip_prefix("v=")
        .and_then(|field| BASE64_STANDARD.decode(field).ok());
    let signature = signature.ok_or_else(|| invalid(NAME, "it has no signature"))?;
    hmac::verify(signature_key, message.as_bytes(), &signature).map_err(|_| SaslError::Impostor)
}

fn text<'a>(message: &'static str, bytes: &'a [u8]) -> Result<&'a str, SaslError> {
    if bytes.len() > MESSAGE_MAX {
        return Err(invalid(message, "it is longer than 64 KiB"));
    }
    str::from_utf8(bytes).map_err(|_| invalid(message, "it is no text"))
}

const fn invalid(message: &'static str, reason: &'static str) -> SaslError {
    SaslError::Invalid { message, reason }
}

/// No channel binding, and nobody else's name.
const GS2: &str = "n,,";

/// What RFC 7677 asks for at least, and Kafka's own client.
const ITERATIONS_MIN: u32 = 4_096;

/// Some tens of milliseconds of a processor. Kafka makes no more than 16,384.
const ITERATIONS_MAX: u32 = 200_000;

const MESSAGE_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests;
