//! TLS: certificates and keys from files, the handshake, and what its failures mean.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig as Rustls, DigitallySignedStruct, DistinguishedName, Error,
    RootCertStore, SignatureScheme,
};

use super::error::Failure;
use crate::config::{Address, Authorities, Pair, Pem, Problem, Tls};

/// Makes the connections of a connector secret.
#[derive(Clone)]
pub(super) struct Secure {
    connector: TlsConnector,
    /// For messages: whom we trust.
    trusted: String,
    /// For messages: whether we have a certificate.
    has_own: bool,
}

impl Secure {
    /// Reads what the properties name.
    pub(super) fn new(tls: &Tls) -> Result<Self, Problem> {
        Self::build(tls, "ssl.ca")
    }

    /// For a server of tokens.
    pub(super) fn https(authorities: &Authorities) -> Result<Self, Problem> {
        let tls = Tls {
            authorities: authorities.clone(),
            own: None,
            verify: true,
            verify_name: true,
        };
        Self::build(&tls, "https.ca")
    }

    fn build(tls: &Tls, property: &str) -> Result<Self, Problem> {
        let provider = Arc::new(crypto::ring::default_provider());
        let wrong = |error: Error| problem(&format!("{property}.location"), error.to_string());
        let builder = Rustls::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
        let trusted = match &tls.authorities {
            Authorities::System => format!("the system trusts (name another in {property}.location)"),
            Authorities::Path(path) => format!("{property}.location ({}) names", path.display()),
            Authorities::Text(_) => format!("{property}.pem names"),
        };
        let chain = if tls.verify {
            let roots = Arc::new(roots(&tls.authorities, property)?);
            let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Some(built.map_err(|error| problem(&format!("{property}.location"), error.to_string()))?)
        } else {
            None
        };
        let builder = match chain {
            Some(chain) if tls.verify_name => builder.with_webpki_verifier(chain),
            chain => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient { chain, provider })),
        };
        let config = match &tls.own {
            Some(pair) => {
                let (certificates, key) = own(pair)?;
                let with = builder.with_client_auth_cert(certificates, key);
                with.map_err(|error| {
                    problem(
                        &key_name(pair),
                        format!("the key does not go with the certificate: {error}"),
                    )
                })?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            trusted,
            has_own: tls.own.is_some(),
        })
    }

    /// The handshake.
    pub(super) async fn handshake(
        &self,
        address: &Address,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(address.host.clone()).map_err(|_| Failure::Tls {
            reason: format!("{:?} is no name that a certificate can be made out to", address.host),
        })?;
        let connected = self.connector.connect(name, stream).await;
        connected.map_err(|error| {
            self.explain(&error).unwrap_or_else(|| Failure::Lost {
                doing: "during the TLS handshake".to_owned(),
                reason: format!(
                    "{error}; a listener without TLS does so: is security.protocol PLAINTEXT or SASL_PLAINTEXT meant?"
                ),
            })
        })
    }

    /// What an error means if it is one of TLS.
    pub(super) fn explain(&self, error: &std::io::Error) -> Option<Failure> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        let reason = match error {
            Error::InvalidCertificate(error) => self.explain_certificate(error),
            Error::InvalidMessage(_) => {
                return Some(Failure::NotKafka {
                    reason: "it does not speak TLS: is security.protocol PLAINTEXT or SASL_PLAINTEXT meant, or another port?".to_owned(),
                });
            }
            Error::AlertReceived(alert) => self.explain_alert(*alert),
            other => other.to_string(),
        };
        Some(Failure::Tls { reason })
    }

    fn explain_certificate(&self, error: &CertificateError) -> String {
        let days = |from: UnixTime, to: UnixTime| from.as_secs().saturating_sub(to.as_secs()) / 86_400;
        match error {
            CertificateError::UnknownIssuer => format!("the certificate is signed by nobody whom {}", self.trusted),
            CertificateError::BadSignature => {
                format!(
                    "the certificate is signed by another one of the same name than {}; was the authority made anew?",
                    self.trusted
                )
            }
            CertificateError::ExpiredContext { time, not_after } => {
                format!("the certificate has expired, {} days ago", days(*time, *not_after))
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                format!(
                    "the certificate is not valid before {} days from now; are the clocks right?",
                    days(*not_before, *time)
                )
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let mut names: Vec<&str> = presented.iter().take(NAMES_MAX).map(String::as_str).collect();
                names.sort_unstable();
                format!(
                    "the certificate is not made out to {}, but to {}; use such a name, or set ssl.endpoint.identification.algorithm to none",
                    expected.to_str(),
                    names.join(", ")
                )
            }
            other => Error::InvalidCertificate(other.clone()).to_string(),
        }
    }

    fn explain_alert(&self, alert: AlertDescription) -> String {
        match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure
                if !self.has_own =>
            {
                format!(
                    "the broker refuses ({alert:?}); one that wants a certificate of its clients does so: see ssl.certificate.location"
                )
            }
            AlertDescription::UnknownCA | AlertDescription::CertificateUnknown | AlertDescription::BadCertificate
                if self.has_own =>
            {
                format!(
                    "the broker refuses the certificate of ssl.certificate.* ({alert:?}): it may not trust who signed it"
                )
            }
            other => format!("the broker refuses: {other:?}"),
        }
    }
}

/// Trusts any certificate, or any that is signed well, whatever name it is made out to.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

fn roots(authorities: &Authorities, property: &str) -> Result<RootCertStore, Problem> {
    let (location, pem) = (format!("{property}.location"), format!("{property}.pem"));
    let mut roots = RootCertStore::empty();
    match authorities {
        Authorities::System => {
            let found = rustls_native_certs::load_native_certs();
            // Some systems trust certificates that no other program can read.
            if roots.add_parsable_certificates(found.certs).0 == 0 {
                let why = found
                    .errors
                    .first()
                    .map_or_else(String::new, |error| format!(" ({error})"));
                let reason = format!(
                    "the system's certificates are not there{why}: name a file in PEM, or install ca-certificates"
                );
                return Err(problem(&location, reason));
            }
        }
        Authorities::Path(path) => {
            for bytes in files(path).map_err(|reason| problem(&location, reason))? {
                add(&mut roots, &bytes)
                    .map_err(|reason| problem(&location, format!("{}: {reason}", path.display())))?;
            }
        }
        Authorities::Text(text) => add(&mut roots, text.as_bytes()).map_err(|reason| problem(&pem, reason))?,
    }
    if roots.is_empty() {
        let (name, place) = match authorities {
            Authorities::Path(path) => (&location, path.display().to_string()),
            _ => (&pem, "the text".to_owned()),
        };
        return Err(problem(name, format!("{place} holds no certificate in PEM")));
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, bytes: &[u8]) -> Result<(), String> {
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate = certificate.map_err(|error| format!("a certificate that cannot be read: {error}"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("a certificate that cannot be trusted: {error}"))?;
    }
    Ok(())
}

/// A file, or all files of a folder.
fn files(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    if !path.is_dir() {
        return Ok(vec![file(path)?]);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut paths = Vec::new();
    for entry in path.read_dir().map_err(failed)?.take(FILES_MAX) {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort_unstable();
    paths
        .iter()
        .filter(|path| path.is_file())
        .map(|path| file(path))
        .collect()
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_MAX) {
        return Err(format!(
            "{}: more than the limit of {} MiB",
            path.display(),
            FILE_MAX >> 20
        ));
    }
    Ok(bytes)
}

fn own(pair: &Pair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Problem> {
    let name = match pair.certificate {
        Pem::Path(_) => "ssl.certificate.location",
        Pem::Text(_) => "ssl.certificate.pem",
    };
    let bytes = pem(&pair.certificate).map_err(|reason| problem(name, reason))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates =
        certificates.map_err(|error| problem(name, format!("a certificate that cannot be read: {error}")))?;
    if certificates.is_empty() {
        return Err(problem(name, "it holds no certificate in PEM"));
    }
    let name = key_name(pair);
    let bytes = pem(&pair.key).map_err(|reason| problem(&name, reason))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("4,ENCRYPTED") {
            let way = "keys with a password are not read; take the password off (openssl pkey -in KEY -out PLAIN) and let nobody else read it";
            return problem(&name, way);
        }
        problem(&name, format!("it holds no private key in PEM: {error}"))
    })?;
    Ok((certificates, key))
}

fn pem(pem: &Pem) -> Result<Vec<u8>, String> {
    match pem {
        Pem::Path(path) => file(path),
        Pem::Text(text) => Ok(text.reveal().as_bytes().to_vec()),
    }
}

fn key_name(pair: &Pair) -> String {
    match pair.key {
        Pem::Path(_) => "ssl.key.location".to_owned(),
        Pem::Text(_) => "ssl.key.pem".to_owned(),
    }
}

fn problem(property: &str, reason: impl Into<String>) -> Problem {
    Problem {
        property: property.to_owned(),
        reason: reason.into(),
    }
}

/// Names in a certificate that are shown.
const NAMES_MAX: usize = 10;

/// Of a folder of certificates.
const FILES_MAX: usize = 10_000;

/// Of a file, in bytes.
const FILE_MAX: u64 = 16 << 20;
