//! `OAUTHBEARER` (RFC 7628), and tokens that nobody signs (RFC 7515, appendix A.5), which brokers take in tests.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Step;

/// The one message of the client.
pub(super) fn first(token: &str, extensions: &BTreeMap<String, String>) -> Vec<u8> {
    let pairs = extensions.iter().map(|(name, value)| format!("{name}={value}\u{1}"));
    let pairs: String = pairs.collect();
    format!("n,,\u{1}auth=Bearer {token}\u{1}{pairs}\u{1}").into_bytes()
}

/// An empty answer is a yes. Anything else says what is wrong, and waits for one more byte.
pub(super) fn answered(answer: &[u8]) -> Step {
    if answer.is_empty() {
        return Step::Done;
    }
    let said: Option<Map<String, Value>> = serde_json::from_slice(answer).ok();
    let field = |name: &str| Some(said.as_ref()?.get(name)?.as_str()?.to_owned());
    let reason = field("status").unwrap_or_else(|| "no reason was given".to_owned());
    let wanted = field("scope").map(|scope| format!("; the scope {scope:?} is wanted"));
    Step::Refused(vec![1], reason + &wanted.unwrap_or_default())
}

/// Writes a token that nobody signs. `now` and `life` are in seconds, `now` since 1970.
pub(crate) fn unsecured(principal: (&str, &str), scope: (&str, &[String]), now: u64, life: u64) -> String {
    let header = json!({ "alg": "none" });
    let mut claims = Map::new();
    claims.insert(principal.0.to_owned(), principal.1.into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), now.saturating_add(life).into());
    if !scope.1.is_empty() {
        claims.insert(scope.0.to_owned(), scope.1.into());
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(&Value::Object(claims)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_token_and_extensions() {
        assert_eq!(first("abc", &BTreeMap::new()), b"n,,\x01auth=Bearer abc\x01\x01");
        let extensions = [("traceId", "1"), ("a", "b c")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            first("abc", &extensions.into()),
            b"n,,\x01auth=Bearer abc\x01a=b c\x01traceId=1\x01\x01"
        );
    }

    #[test]
    fn only_an_empty_answer_is_a_yes() {
        assert_eq!(answered(b""), Step::Done);
        let refused = |reason: &str| Step::Refused(vec![1], reason.to_owned());
        assert_eq!(answered(br#"{"status":"invalid_token"}"#), refused("invalid_token"));
        assert_eq!(
            answered(br#"{"status":"insufficient_scope","scope":"kafka"}"#),
            refused("insufficient_scope; the scope \"kafka\" is wanted")
        );
        assert_eq!(answered(b"\xff"), refused("no reason was given"));
        assert_eq!(answered(&b"[".repeat(100_000)), refused("no reason was given"));
    }

    #[test]
    fn a_token_without_a_signature_can_be_read() {
        let token = unsecured(("sub", "jobs"), ("scope", &["a".to_owned()]), 1000, 60);
        let parts: Vec<&str> = token.split('.').collect();
        let read =
            |part: &str| -> Value { serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        assert_eq!(read(parts[0]), json!({ "alg": "none" }));
        assert_eq!(
            read(parts[1]),
            json!({ "sub": "jobs", "iat": 1000, "exp": 1060, "scope": ["a"] })
        );
        assert_eq!(parts[2..], [""]);
    }
}
