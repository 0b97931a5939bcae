//! What is linked and closed whatever is granted by `grants.http`: sockets, names, files outside of a granted folder, randomness beyond
//! reason.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;

use sharemill::handler::{Access, CallControl, CallEnd, FileGrant, HandlerSpec};

use super::{AMPLE, Names, Reach, grant};

fn reach() -> Reach {
    Reach::new(vec![grant("http://127.0.0.1:9", &["GET"], &[])], |_| {})
}

#[tokio::test]
async fn there_are_no_sockets_and_no_names() {
    let (tcp, udp) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let reach = reach();
    let told = reach.told(&format!("tcp {}", tcp.local_addr().unwrap().port())).await;
    assert!(told.contains("access-denied") && !told.contains("Ok"), "{told}");
    let told = reach.told(&format!("udp {}", udp.local_addr().unwrap().port())).await;
    assert!(told.contains("access-denied") && !told.contains("Ok"), "{told}");
    let told = reach.told("name localhost").await;
    assert!(told.contains("Err") && !told.contains("Ok"), "{told}");
    tcp.set_nonblocking(true).unwrap();
    assert_eq!(tcp.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn nobody_gets_a_gigabyte_of_random_bytes() {
    let reach = reach();
    assert_eq!(reach.told("random 1048576").await, "1048576 bytes");
    for bytes in ["1048577", "1073741824", "18446744073709551615"] {
        let report = reach.call(&format!("random {bytes}"), &CallControl::new(AMPLE)).await;
        assert!(
            matches!(report.end, CallEnd::Trap { .. } | CallEnd::Limit { .. }),
            "{bytes}: {:?}",
            report.end
        );
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list")]
async fn a_granted_folder_is_no_way_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    let inside = outside.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(outside.path().join("precious"), "precious").unwrap();
    fs::write(inside.join("plain"), "plain").unwrap();
    symlink(outside.path().join("precious"), inside.join("absolute")).unwrap();
    symlink("../precious", inside.join("relative")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("/", inside.join("root")).unwrap();
    for access in [Access::Read, Access::ReadWrite] {
        let mut spec = HandlerSpec::default();
        spec.grants.http = vec![grant("http://127.0.0.1:9", &["GET"], &[])];
        spec.grants.files = vec![FileGrant {
            host: inside.clone(),
            guest: "/data".to_owned(),
            access,
        }];
        let reach = Reach::of(spec, Names::new(&[]));
        assert_eq!(reach.told("read /data/plain").await, r#"Ok("plain")"#);
        for path in [
            "/data/../precious",
            "/data/./../precious",
            "/precious",
            "/data/absolute",
            "/data/relative",
            "/data/relative/",
            "/data/up/precious",
            "/data/up/",
            "/data/root/",
            "/data/root/etc/hostname",
            "/data/..",
            "/etc/hostname",
        ] {
            for command in ["read", "list", "write", "truncate", "remove"] {
                // A link of its own it may remove, where it may write.
                let is_own = command == "remove" && matches!(path, "/data/absolute" | "/data/relative");
                if is_own {
                    continue;
                }
                let told = reach.told(&format!("{command} {path}")).await;
                assert!(
                    told.contains("Err") && !told.contains("Ok"),
                    "{access:?}: {command} {path}: {told}"
                );
            }
        }
        for command in [
            "rename /data/plain /data/../moved",
            "rename /data/../precious /data/taken",
            "rename /data/plain /data/up/moved",
            "link /data/relative /data/hard/",
            "link /data/../precious /data/hard",
            "link /data/plain /data/up/hard",
        ] {
            let told = reach.told(command).await;
            assert!(told.contains("Err"), "{access:?}: {command}: {told}");
        }
        if access == Access::Read {
            for command in [
                "write /data/plain",
                "write /data/new",
                "truncate /data/plain",
                "remove /data/plain",
                "rename /data/plain /data/p",
                "link /data/plain /data/p",
            ] {
                let told = reach.told(command).await;
                assert!(told.contains("Err") && !told.contains("Ok"), "{command}: {told}");
            }
        }
        assert_eq!(fs::read_to_string(outside.path().join("precious")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(inside.join("plain")).unwrap(), "plain");
        let names = fs::read_dir(outside.path()).unwrap().count();
        assert_eq!(names, 2);
    }
}

/// Whoever reads the reason of a letter has the place and the words, in one line.
#[tokio::test]
async fn a_panic_of_the_sdk_s_is_one_line() {
    let reach = reach();
    let report = reach.call("panic", &CallControl::new(AMPLE)).await;
    let CallEnd::Trap { message, .. } = report.end else {
        panic!("{report:?}")
    };
    let place = message.strip_suffix(": first second (wasm trap: wasm `unreachable` instruction executed)");
    assert!(
        place.is_some_and(|place| place.starts_with("panicked at reach/src/lib.rs:")),
        "{message}"
    );
    let said = std::mem::take(&mut *reach.services.lines.lock().unwrap());
    assert_eq!(said.len(), 1, "{said:?}");
}
