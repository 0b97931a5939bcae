//! TLS, as the properties ask for it: whom to trust, and who we are. Files are read when a connector is made, not here.

use std::path::PathBuf;

use super::Protocol;
use super::read::Reader;
use super::secret::Secret;

/// How brokers are trusted, and who we are to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whose certificates are trusted: `ssl.ca.location`, `ssl.ca.pem`.
    pub authorities: Authorities,
    /// Our own certificate, if brokers want one.
    pub own: Option<Pair>,
    /// Whether a broker's certificate has to be signed by one of the authorities: `enable.ssl.certificate.verification`, yes.
    pub verify: bool,
    /// Whether it has to be made out to the broker's name: `ssl.endpoint.identification.algorithm`, yes (`https`).
    pub verify_name: bool,
}

/// Who signs certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Whom the system trusts.
    System,
    /// Those in a file in PEM, or in all files of a folder.
    Path(PathBuf),
    /// Those in a text in PEM.
    Text(String),
}

/// A certificate with those that lead to its authority, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `ssl.certificate.location`, `ssl.certificate.pem`.
    pub certificate: Pem,
    /// `ssl.key.location`, `ssl.key.pem`.
    pub key: Pem,
    /// Of the key: `ssl.key.password`.
    pub password: Option<Secret>,
}

/// Something in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// A file.
    Path(PathBuf),
    /// The text itself.
    Text(Secret),
}

pub(super) fn read(reader: &mut Reader<'_>, protocol: Protocol) -> Option<Tls> {
    if matches!(protocol, Protocol::Plaintext | Protocol::SaslPlaintext) {
        let given = [&reader.beginning("ssl.")[..], &reader.beginning("enable.ssl.")].concat();
        for name in given {
            let name_of_it = protocol.name();
            reader.wrong(
                name,
                format!("it has no effect with security.protocol {name_of_it}: use SSL or SASL_SSL, or leave it out"),
            );
        }
        return None;
    }
    let algorithms = [("https", true), ("none", false)];
    Some(Tls {
        authorities: authorities(reader, "ssl.ca.location", "ssl.ca.pem"),
        own: pair(reader),
        verify: reader.flag("enable.ssl.certificate.verification", true),
        verify_name: reader
            .choice("ssl.endpoint.identification.algorithm", &algorithms)
            .unwrap_or(true),
    })
}

pub(super) fn authorities(reader: &mut Reader<'_>, location: &'static str, pem: &'static str) -> Authorities {
    match (reader.text(location), reader.text(pem)) {
        (Some(_), Some(_)) => {
            reader.wrong(pem, format!("{location} is there too: leave one out"));
            Authorities::System
        }
        (None | Some("probe"), None) => Authorities::System,
        (Some(path), None) => Authorities::Path(path.into()),
        (None, Some(text)) => Authorities::Text(text.to_owned()),
    }
}

fn pair(reader: &mut Reader<'_>) -> Option<Pair> {
    let certificate = pem(reader, "ssl.certificate.location", "ssl.certificate.pem");
    let key = pem(reader, "ssl.key.location", "ssl.key.pem");
    let password = reader.secret("ssl.key.password");
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Pair {
            certificate,
            key,
            password,
        }),
        (Some(_), None) => {
            reader.wrong("ssl.key.location", "it is missing: the certificate needs its key");
            None
        }
        (None, Some(_)) => {
            reader.wrong(
                "ssl.certificate.location",
                "it is missing: the key needs its certificate",
            );
            None
        }
        (None, None) => {
            if password.is_some() {
                reader.wrong(
                    "ssl.key.password",
                    "there is no key: set ssl.key.location, or leave it out",
                );
            }
            None
        }
    }
}

fn pem(reader: &mut Reader<'_>, location: &'static str, text: &'static str) -> Option<Pem> {
    match (reader.text(location), reader.secret(text)) {
        (Some(_), Some(_)) => {
            reader.wrong(text, format!("{location} is there too: leave one out"));
            None
        }
        (Some(path), None) => Some(Pem::Path(path.into())),
        (None, text) => text.map(Pem::Text),
    }
}
