//! Tries to reach what it was not granted: servers, sockets, files, randomness, and the log with a secret in it. The
//! record's value is the command; `README.md` lists them. What came of it is the reason of a rejection, so that a test
//! sees it. Servers are in `http`.
mod http;

use std::fs;
use std::io::Write as _;

use sharemill_handler::bindings::imports::sharemill::worker::logging;
use sharemill_handler::{Outcome, REASON_LIMIT, Record, Renew, Result, ResultExt, config, handler, metrics};
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

#[handler]
fn handle(record: Record) -> Result {
    let text = record.text().or_reject()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let came = match words.as_slice() {
        ["accept"] => return Ok(Outcome::accept()),
        ["panic"] => panic!("first\nsecond"),
        ["http", rest @ ..] => http::run(rest),
        ["tcp", port] => connect_tcp(port.parse()?),
        ["udp", port] => connect_udp(port.parse()?),
        ["name", name] => format!(
            "{:?}",
            ip_name_lookup::resolve_addresses(&instance_network::instance_network(), name).map(drop)
        ),
        ["random", bytes] => random(bytes.parse()?),
        ["read", path] => format!("{:?}", fs::read_to_string(path).map_err(|error| error.kind())),
        ["list", path] => format!(
            "{:?}",
            fs::read_dir(path).map(Iterator::count).map_err(|error| error.kind())
        ),
        ["write", path] => format!("{:?}", fs::write(path, "was here").map_err(|error| error.kind())),
        ["truncate", path] => truncate(path),
        ["rename", from, to] => format!("{:?}", fs::rename(from, to).map_err(|error| error.kind())),
        ["link", from, to] => format!("{:?}", fs::hard_link(from, to).map_err(|error| error.kind())),
        ["remove", path] => format!("{:?}", fs::remove_file(path).map_err(|error| error.kind())),
        ["say", name] => say(&secret(name)?),
        ["say-and-trap", name] => panic!("{}", say(&secret(name)?)),
        ["say-and-release", name] => return Ok(Outcome::release(say(&secret(name)?))),
        ["say-cut", name] => {
            let secret = secret(name)?;
            say(&secret);
            // The SDK cuts it within the secret.
            format!("{}{secret}", "-".repeat(REASON_LIMIT - 14))
        }
        ["say-and-exit", name] => {
            say(&secret(name)?);
            std::process::exit(1)
        }
        ["send", name] => http::tell(&secret(name)?, None),
        ["send", name, server] => http::tell(&secret(name)?, Some(server)),
        ["keep", name] => return Ok(Renew::now().checkpoint(format!("{} bytes", secret(name)?.len())).into()),
        _ => return Ok(Outcome::reject(format_args!("unknown command {text:?}"))),
    };
    Ok(Outcome::reject(came))
}

fn secret(name: &str) -> Result<String> {
    Ok(config::get(name)?.unwrap_or_else(|| "there is no such secret".to_owned()))
}

/// Wherever the host listens.
fn say(secret: &str) -> String {
    println!("printed {secret}");
    eprintln!("complained of {secret}");
    print!("{}{secret}", "-".repeat(4090));
    let _ = std::io::stdout().flush();
    println!();
    logging::log(
        logging::Level::Info,
        secret,
        &format!("logged {secret}\nand again {secret}"),
    );
    metrics::counter_add("said", 1, &[("what", secret)]);
    metrics::counter_add(secret, 1, &[(secret, "name")]);
    format!("because of {secret}, {secret}")
}

fn truncate(path: &str) -> String {
    let opened = fs::OpenOptions::new().write(true).truncate(true).open(path);
    let cut = fs::OpenOptions::new()
        .read(true)
        .open(path)
        .and_then(|file| file.set_len(0));
    format!(
        "{:?} {:?}",
        opened.map(drop).map_err(|error| error.kind()),
        cut.map_err(|error| error.kind())
    )
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    })
}

fn connect_tcp(port: u16) -> String {
    let socket = match tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(code) => return format!("no socket: {code:?}"),
    };
    let network = instance_network::instance_network();
    let bound = socket.start_bind(&network, loopback(0));
    let begun = socket.start_connect(&network, loopback(port));
    format!("bind {bound:?}, connect {begun:?}")
}

fn connect_udp(port: u16) -> String {
    let socket = match udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(code) => return format!("no socket: {code:?}"),
    };
    let bound = socket.start_bind(&instance_network::instance_network(), loopback(0));
    let begun = socket.stream(Some(loopback(port))).map(drop);
    format!("bind {bound:?}, connect {begun:?}")
}

fn random(bytes: u64) -> String {
    let got = wasip2::random::random::get_random_bytes(bytes);
    format!("{} bytes", got.len())
}
