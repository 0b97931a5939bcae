//! Where a broker listens.

use std::fmt;

/// A host's name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port, from 1.
    pub port: u16,
}

impl Address {
    /// Reads `host`, `host:port` or `[ip]:port`; the port is 9092 unless it is named. `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (
                    host,
                    if rest.is_empty() {
                        None
                    } else {
                        Some(rest.strip_prefix(':')?)
                    },
                )
            }
            // More than one colon is an IP address of version 6 without a port.
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        let valid = !host.is_empty() && host.len() <= HOST_MAX && host.chars().all(is_plain) && port > 0;
        valid.then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// Of brokers, where none is named.
const PORT: u16 = 9092;

/// Of a name in DNS, in bytes.
const HOST_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, written) in [
            ("kafka-1.example.com:19092", "kafka-1.example.com:19092"),
            ("kafka", "kafka:9092"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:9093", "[::1]:9093"),
            ("[::1]", "[::1]:9092"),
            ("fe80::1%eth0", "[fe80::1%eth0]:9092"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), written);
        }
        for text in [
            "",
            ":9092",
            "kafka:",
            "kafka:0",
            "kafka:65536",
            "kaf ka:1",
            "[::1",
            "[::1]9092",
            "http://kafka:1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        assert_eq!(Address::parse(&"a".repeat(256)), None);
    }
}
