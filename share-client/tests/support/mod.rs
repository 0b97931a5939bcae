//! What the tests of connections share: properties, certificates, and servers that are not brokers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use share_client::config::{Address, ClientConfig};
use share_client::net::{Connection, Connector, NetError};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub fn config(properties: &[(&str, &str)]) -> ClientConfig {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties: BTreeMap<String, String> = properties.iter().map(owned).collect();
    ClientConfig::new(&properties).unwrap_or_else(|error| panic!("{error}"))
}

/// Connects to the first broker.
pub async fn connect(properties: &[(&str, &str)]) -> Result<Connection, NetError> {
    let connector = Connector::new(&config(properties)).unwrap_or_else(|error| panic!("{error}"));
    let address: Address = connector.bootstrap()[0].clone();
    connector.connect(&address).await
}

/// What is said when it cannot be.
pub async fn refused(properties: &[(&str, &str)]) -> NetError {
    connect(properties).await.expect_err("a connection")
}

/// An authority and those whom it names.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
pub struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

pub fn pem(label: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: pem("CERTIFICATE", certificate.der()),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn names(&self, name: &str) -> Identity {
        self.signs(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub fn signs(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        }
    }
}

impl Identity {
    pub fn certificate(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub fn key(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone().into()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server on loopback that does this with each connection, as long as the test goes on.
pub async fn server<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// A file in a folder.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
