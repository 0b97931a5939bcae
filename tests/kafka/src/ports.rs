//! Free ports on loopback, outside of the range that the system hands out: nobody gets one of them by chance while its
//! broker is down between a kill and a restart.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;

use crate::error::Error;

/// The first of so many neighbours on which nobody listens, from a random place on.
pub(crate) fn free(wanted: u16) -> Result<u16, Error> {
    let end = handed_out_from().saturating_sub(wanted).max(FIRST + 1);
    let mut last = String::new();
    for _ in 0..TRIES {
        let random = RandomState::new().build_hasher().finish();
        let place = u16::try_from(random % u64::from(end - FIRST)).unwrap_or_default();
        let first = FIRST + place;
        match check(first, wanted) {
            Ok(()) => return Ok(first),
            Err(error) => last = error.to_string(),
        }
    }
    Err(Error::NoPorts {
        wanted,
        tries: TRIES,
        last,
    })
}

/// Whether nobody listens on these neighbours.
pub(crate) fn check(first: u16, wanted: u16) -> Result<(), Error> {
    let mut ports = (0..wanted).map(|index| first.saturating_add(index));
    match ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()) {
        Some(port) => Err(Error::PortTaken { port }),
        None => Ok(()),
    }
}

/// A number that no other run has, in hexadecimal digits.
pub(crate) fn random_digits(count: usize) -> String {
    let parts = (0..count.div_ceil(16)).map(|_| format!("{:016x}", RandomState::new().build_hasher().finish()));
    let mut digits: String = parts.collect();
    digits.truncate(count);
    digits
}

/// Where the ports begin that connections get by themselves.
fn handed_out_from() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    first.unwrap_or(32_768)
}

const FIRST: u16 = 10_000;
const TRIES: u32 = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let error = check(taken - 1, 2).unwrap_err();
        assert!(error.to_string().ends_with(" is taken"), "{error}");
        let first = free(9).unwrap();
        assert!(first >= FIRST && first + 9 <= handed_out_from());
    }
}
