//! What a deployment says about requests of its handler: servers by their origin, methods, private addresses, limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::section::Section;
use super::units::{format_duration, format_size};

/// One server that a handler may send requests to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpGrant {
    /// The server.
    pub url: WebOrigin,
    /// What may be sent; never empty.
    pub methods: Vec<String>,
    /// Addresses that its name may have although they are not public.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Network>,
}

/// Bounds of the requests of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpLimits {
    /// Connections at a time, over all its records in this process.
    pub connections: u32,
    /// Name, connection and TLS together, a free connection included.
    #[serde(serialize_with = "duration")]
    pub connect_timeout: Duration,
    /// From there to the head of the response.
    #[serde(serialize_with = "duration")]
    pub first_byte_timeout: Duration,
    /// Between two parts of its body.
    #[serde(serialize_with = "duration")]
    pub between_bytes_timeout: Duration,
    /// Of the head of a request, and of a response.
    #[serde(serialize_with = "size")]
    pub header_bytes: u64,
    /// Of a request's body.
    #[serde(serialize_with = "size")]
    pub request_bytes: u64,
    /// Of a response's body.
    #[serde(serialize_with = "size")]
    pub response_bytes: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 32,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(20),
            between_bytes_timeout: Duration::from_secs(10),
            header_bytes: 16 << 10,
            request_bytes: 4 << 20,
            response_bytes: 4 << 20,
        }
    }
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As URLs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that has none.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// An address.
    Address(IpAddr),
    /// A name, in small letters.
    Name(String),
}

impl ServerName {
    /// As it stands in a URL. Numbers that are no proper address are no name either: some resolvers take them for one.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_number = last.starts_with(|c: char| c.is_ascii_digit())
            && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X"));
        let is_name = text.len() <= 253 && text.split('.').all(is_label) && !is_number;
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Scheme, host and port. Printed without the port where that is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    /// How to speak.
    pub scheme: Scheme,
    /// To whom.
    pub host: ServerName,
    /// At which port.
    pub port: u16,
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.port() {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

impl Serialize for WebOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for WebOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme, such as https://")?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("has a scheme other than http and https"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("has a path: a grant holds for all paths of a server");
        }
        if authority.contains('@') {
            return Err("has a user: credentials belong in headers that the handler sends");
        }
        if authority.contains('*') {
            return Err("has a wildcard: each server is granted by its name");
        }
        let colon = authority
            .rfind(':')
            .filter(|at| !authority.get(*at..).unwrap_or_default().contains(']'));
        let (host, port) = match colon.and_then(|at| authority.split_at_checked(at)) {
            Some((host, port)) => (host, Some(port.get(1..).unwrap_or_default())),
            None => (authority, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or("has no port from 1 to 65535")?,
            Some(_) => return Err("has no port from 1 to 65535"),
            None => scheme.port(),
        };
        let host = ServerName::parse(host).ok_or("has neither a name nor an address of a server")?;
        Ok(Self { scheme, host, port })
    }
}

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let different = a.to_bits() ^ b.to_bits();
                different.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let different = a.to_bits() ^ b.to_bits();
                different.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.bits == bits_of(self.address) {
            return Ok(());
        }
        write!(f, "/{}", self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "is no address such as 10.1.2.3 or fd00::1")?;
        let most = bits_of(address);
        let bits = match bits {
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or("has too many bits behind its /")?,
            None => most,
        };
        let others = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(bits.into()).unwrap_or_default() != 0,
            IpAddr::V6(address) => address.to_bits().checked_shl(bits.into()).unwrap_or_default() != 0,
        };
        if others {
            return Err("is an address within a network: give it without the /, or the first address of the network");
        }
        Ok(Self { address, bits })
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// What is wrong is recorded; what is left of it is not used.
pub(super) fn read_grants(section: &Section<'_, '_>) -> Vec<HttpGrant> {
    let read = |item: &Section<'_, '_>| {
        let url = item.text("url")?;
        let origin = url.parse::<WebOrigin>();
        if let Err(objection) = origin {
            item.refuse(
                "url",
                &format!("is \"{url}\", which {objection}"),
                &format!("write url = \"{}\"", origin_in(&url)),
            );
        }
        let methods = item.names("methods");
        if methods.is_empty() {
            item.refuse(
                "methods",
                "names no method",
                "write methods = [\"GET\", \"POST\"], or what the handler sends",
            );
        }
        if let Some(at) = methods.iter().position(|method| method == "CONNECT") {
            item.refuse(
                &format!("methods[{at}]"),
                "is CONNECT, which makes a tunnel",
                "leave it out: each server is granted by its name",
            );
        }
        Some(HttpGrant {
            url: origin.ok()?,
            methods,
            addresses: read_addresses(item),
        })
    };
    section.items("http").iter().filter_map(read).collect()
}

/// Of a URL that says more, or an example.
fn origin_in(url: &str) -> String {
    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let is_one = origin.parse::<WebOrigin>().is_ok();
    if is_one {
        origin
    } else {
        "https://api.example.com".to_owned()
    }
}

fn read_addresses(item: &Section<'_, '_>) -> Vec<Network> {
    let texts = item.texts("addresses").into_iter().enumerate();
    let read = |(index, text): (usize, String)| {
        text.parse()
            .map_err(|objection| {
                let hint = "write addresses = [\"10.1.2.3\"], or a network such as \"10.1.0.0/16\"";
                item.refuse(
                    &format!("addresses[{index}]"),
                    &format!("is \"{text}\", which {objection}"),
                    hint,
                );
            })
            .ok()
    };
    texts.filter_map(read).collect()
}

pub(super) fn read_limits(section: &Section<'_, '_>) -> HttpLimits {
    HttpLimits {
        connections: super::load::small(section.integer("connections")),
        connect_timeout: section.duration("connect-timeout"),
        first_byte_timeout: section.duration("first-byte-timeout"),
        between_bytes_timeout: section.duration("between-bytes-timeout"),
        header_bytes: section.size("header-bytes"),
        request_bytes: section.size("request-bytes"),
        response_bytes: section.size("response-bytes"),
    }
}

fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn size<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_server_and_a_port() {
        let read = |text: &str| text.parse::<WebOrigin>().map(|origin| origin.to_string());
        for (text, printed) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.Example.com:443/", "https://api.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("https://[2001:db8:0::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://my_service.default.svc:80", "http://my_service.default.svc"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(printed), "{text}");
        }
        for text in [
            "",
            "api.example.com",
            "ftp://a",
            "HTTPS://a",
            "https://",
            "https://a/path",
            "https://a?q",
            "https://user@a",
            "https://*.a",
            "https://a:0",
            "https://a:65536",
            "https://a:",
            "https://a:+1",
            "https://[::1",
            "https://[fe80::1%eth0]",
            "https://a..b",
            "https://a.",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://b\u{fc}cher.example",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        let contains =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert!(!contains("10.1.2.3", "10.1.2.2"));
        assert!(contains("0.0.0.0/0", "127.0.0.1"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(!contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        for text in [
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0",
            "a",
            "",
            "::/129",
            "10.0.0.1/",
            "10.0.0.1/8",
            "fd00::1/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let printed = |text: &str| text.parse::<Network>().unwrap().to_string();
        assert_eq!(
            (printed("10.0.0.0/8"), printed("10.0.0.1/32")),
            ("10.0.0.0/8".to_owned(), "10.0.0.1".to_owned())
        );
    }
}
