//! Likely causes: what a peer is that is not what it has to be. Pure: from what it sent, or that it closed the connection when.

use crate::config::{ClientConfig, Protocol};

/// What speaks there, by the first bytes it sent, if they are no frame of Kafka's.
pub(super) fn peer(bytes: &[u8]) -> String {
    // A record of TLS: an alert or a handshake, and 3 for every version there has been.
    if let [0x15 | 0x16, 3, ..] = bytes {
        return "it speaks TLS: security.protocol has to be SSL or SASL_SSL".to_owned();
    }
    let shown: String = bytes.escape_ascii().take(SHOWN_MAX).map(char::from).collect();
    if bytes.starts_with(b"HTTP/") {
        return format!("it is a web server, not a Kafka broker; is the port right? It sent \"{shown}\"");
    }
    format!("it is not a Kafka broker; is the port right? It sent \"{shown}\"")
}

/// What is likely if the peer closes the connection, after so many answers on it.
pub(super) fn closed(config: &ClientConfig, answers: u64) -> &'static str {
    match (config.protocol(), answers) {
        (Protocol::Plaintext | Protocol::SaslPlaintext, 0) => {
            "the broker closed it at the first request; a listener with TLS does so: is security.protocol SSL or SASL_SSL meant?"
        }
        (Protocol::Ssl | Protocol::SaslSsl, 0) if config.tls().is_some_and(|tls| tls.own.is_none()) => {
            "the broker closed it at the first request; one that wants a certificate of its clients does so: see ssl.certificate.location"
        }
        (Protocol::Plaintext | Protocol::Ssl, 1) => {
            "the broker closed it after the first request; a listener that wants a login does so: is security.protocol SASL_PLAINTEXT or \
             SASL_SSL meant?"
        }
        _ => "the broker closed it",
    }
}

/// Characters of what a stranger sent.
const SHOWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_known_by_their_first_words() {
        for (bytes, words) in [
            (&b"\x15\x03\x03\x00\x02\x02\x50"[..], "it speaks TLS"),
            (b"HTTP/1.1 400 Bad Request\r\n", "web server"),
            (
                b"-ERR unknown command\r\n\x00",
                "It sent \"-ERR unknown command\\r\\n\\x00\"",
            ),
            (b"", "It sent \"\""),
        ] {
            assert!(peer(bytes).contains(words), "{}", peer(bytes));
        }
        assert!(peer(&[b'a'; 10_000]).len() < 200);
    }
}
