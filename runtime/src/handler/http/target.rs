//! Which server a request goes to, and whether its deployment may send it there.

use std::net::IpAddr;

use hyper::Request;

use super::address::not_public;
use super::refusal::Refusal;
use crate::config::{HttpGrant, Scheme, ServerName, WebOrigin};

/// A request's destination, granted.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) origin: WebOrigin,
    /// What `host` says.
    pub(super) host: String,
}

/// The destination of a request, if it has one and it is granted.
pub(super) fn target<B>(request: &Request<B>, grants: &[HttpGrant]) -> Result<Target, Refusal> {
    let uri = request.uri();
    let bad = |what: String| Refusal::NoTarget { what };
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        other => {
            return Err(bad(format!(
                "the scheme of a request is {:?}",
                short(other.unwrap_or_default())
            )));
        }
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let odd = || bad(format!("the authority of a request is {:?}", short(authority)));
    if authority.contains('@') {
        return Err(odd());
    }
    let parsed = uri.authority().ok_or_else(odd)?;
    let host = ServerName::parse(parsed.host()).ok_or_else(odd)?;
    let port = match (parsed.port_u16(), parsed.as_str().len() > parsed.host().len()) {
        (Some(0), _) | (None, true) => return Err(odd()),
        (Some(port), _) => port,
        (None, false) => scheme.port(),
    };
    let origin = WebOrigin { scheme, host, port };
    let method = request.method().as_str();
    let mut granted = Vec::new();
    for grant in grants.iter().filter(|grant| grant.url == origin) {
        granted.extend(grant.methods.iter().map(String::as_str));
    }
    if granted.is_empty() {
        let method = short(method).to_owned();
        return Err(Refusal::NotGranted { method, origin });
    }
    // A tunnel is not a request to this server.
    if !granted.contains(&method) || method == "CONNECT" {
        return Err(Refusal::Method {
            method: short(method).to_owned(),
            origin,
            granted: granted.join(", "),
        });
    }
    let host = if origin.port == scheme.port() {
        origin.host.to_string()
    } else {
        format!("{}:{}", origin.host, origin.port)
    };
    Ok(Target { origin, host })
}

/// Those of the addresses that `origin` may have under its grants; why the first is none of them, if none is.
pub(super) fn admitted(origin: &WebOrigin, found: &[IpAddr], grants: &[HttpGrant]) -> Result<Vec<IpAddr>, Refusal> {
    let mut refused = None;
    let mut admitted = Vec::new();
    for address in found {
        let Some(kind) = not_public(*address) else {
            admitted.push(*address);
            continue;
        };
        if is_named(origin, *address, grants) {
            admitted.push(*address);
        } else {
            refused.get_or_insert((*address, kind));
        }
    }
    match (admitted.is_empty(), refused) {
        (true, Some((address, kind))) => Err(Refusal::Address {
            origin: origin.clone(),
            address,
            kind,
        }),
        (true, None) => Err(Refusal::Unknown {
            origin: origin.clone(),
            why: "the name has none".to_owned(),
        }),
        (false, _) => Ok(admitted),
    }
}

/// Whether a grant names this address, or the loopback by its name.
fn is_named(origin: &WebOrigin, address: IpAddr, grants: &[HttpGrant]) -> bool {
    let is_itself = match &origin.host {
        ServerName::Address(named) => *named == address,
        ServerName::Name(name) => name == "localhost" && address.is_loopback(),
    };
    let mut of_origin = grants.iter().filter(|grant| grant.url == *origin);
    is_itself || of_origin.any(|grant| grant.addresses.iter().any(|network| network.contains(address)))
}

/// As much of what a guest wrote as a line can bear.
fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(100)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn grants(list: &[(&str, &[&str], &[&str])]) -> Vec<HttpGrant> {
        let grant = |(url, methods, addresses): &(&str, &[&str], &[&str])| HttpGrant {
            url: url.parse().unwrap(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            addresses: addresses.iter().map(|network| network.parse().unwrap()).collect(),
        };
        list.iter().map(grant).collect()
    }

    fn ask(method: &str, uri: &str, grants: &[HttpGrant]) -> String {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        match target(&request, grants) {
            Ok(target) => format!("{} as {}", target.origin, target.host),
            Err(refusal) => format!("{:?}: {refusal}", refusal.code()),
        }
    }

    #[test]
    fn a_request_goes_to_its_origin_or_nowhere() {
        let grants = grants(&[
            ("https://api.example.com", &["GET", "POST"], &[]),
            ("https://api.example.com", &["PUT"], &[]),
            ("http://127.0.0.1:8080", &["GET"], &[]),
            ("http://[::1]:80", &["CONNECT"], &[]),
        ]);
        for uri in [
            "https://api.example.com/a?b",
            "https://API.example.COM:443/",
            "https://api.example.com",
        ] {
            for method in ["GET", "POST", "PUT"] {
                assert_eq!(ask(method, uri, &grants), "https://api.example.com as api.example.com");
            }
        }
        assert_eq!(
            ask("GET", "http://127.0.0.1:8080/x", &grants),
            "http://127.0.0.1:8080 as 127.0.0.1:8080"
        );
        let refused = [
            ("GET", "http://api.example.com/"),
            ("GET", "https://api.example.com:444/"),
            ("GET", "https://api.example.com.evil.org/"),
            ("GET", "https://evil.org/?https://api.example.com"),
            ("GET", "https://api.example.com./"),
            ("DELETE", "https://api.example.com/"),
            ("get", "https://api.example.com/"),
            ("CONNECT", "http://[::1]/"),
            ("GET", "https://api.example.com@evil.org/"),
            ("GET", "https://evil.org@api.example.com/"),
            ("GET", "http://127.0.0.1:8081/"),
            ("GET", "http://127.1:8080/"),
            ("GET", "http://2130706433:8080/"),
            ("GET", "http://0x7f000001:8080/"),
            ("GET", "http://0177.0.0.1:8080/"),
            ("GET", "http://[::ffff:127.0.0.1]:8080/"),
            ("GET", "ftp://api.example.com/"),
        ];
        for (method, uri) in refused {
            let answer = ask(method, uri, &grants);
            assert!(
                answer.starts_with("HttpRequestDenied") || answer.starts_with("HttpRequestUriInvalid"),
                "{method} {uri}: {answer}"
            );
        }
        insta::assert_snapshot!(ask("GET", "https://evil.org/", &grants), @r#"HttpRequestDenied: GET https://evil.org is not granted: add { url = "https://evil.org", methods = ["GET"] } to `grants.http`"#);
        insta::assert_snapshot!(ask("DELETE", "https://api.example.com/", &grants), @"HttpRequestDenied: the method DELETE is not granted for https://api.example.com, but GET, POST, PUT: add it to `methods` in `grants.http`");
        insta::assert_snapshot!(ask("GET", "http://127.1:8080/", &grants), @r#"HttpRequestUriInvalid: the authority of a request is "127.1:8080": send a path, and as authority a name or an address with a port, if any"#);
    }

    #[test]
    fn an_address_that_is_not_public_needs_its_grant() {
        let grants = grants(&[
            ("https://api.example.com", &["GET"], &[]),
            ("http://inside.example.com", &["GET"], &["10.1.0.0/16"]),
            ("http://10.9.9.9", &["GET"], &[]),
            ("http://localhost:8080", &["GET"], &[]),
        ]);
        let ask = |origin: &str, found: &[&str]| {
            let found: Vec<IpAddr> = found.iter().map(|address| address.parse().unwrap()).collect();
            match admitted(&origin.parse().unwrap(), &found, &grants) {
                Ok(admitted) => format!("{admitted:?}"),
                Err(refusal) => format!("{:?}: {refusal}", refusal.code()),
            }
        };
        assert_eq!(ask("https://api.example.com", &["93.184.216.34"]), "[93.184.216.34]");
        assert_eq!(
            ask("https://api.example.com", &["10.0.0.1", "93.184.216.34", "::1"]),
            "[93.184.216.34]"
        );
        assert_eq!(
            ask("http://inside.example.com", &["10.1.2.3", "10.2.2.3"]),
            "[10.1.2.3]"
        );
        assert_eq!(ask("http://10.9.9.9", &["10.9.9.9"]), "[10.9.9.9]");
        assert_eq!(ask("http://localhost:8080", &["127.0.0.1", "::1"]), "[127.0.0.1, ::1]");
        assert!(ask("http://localhost:8080", &["10.0.0.1"]).starts_with("DestinationIpProhibited"));
        assert!(ask("https://api.example.com", &["::ffff:10.1.2.3"]).starts_with("DestinationIpProhibited"));
        assert!(ask("http://inside.example.com", &["::ffff:10.1.2.3"]).starts_with("DestinationIpProhibited"));
        insta::assert_snapshot!(ask("https://api.example.com", &["169.254.169.254"]), @"DestinationIpProhibited: https://api.example.com has the address 169.254.169.254, which is link-local: name it in `addresses` of its `grants.http` if that is meant");
        insta::assert_snapshot!(ask("https://api.example.com", &[]), @r#"DnsError { rcode: Some("the name has none"), info_code: None }: no address of https://api.example.com is known: the name has none"#);
    }
}
