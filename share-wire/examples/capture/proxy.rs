//! Stands between Kafka's own programs and a broker, and keeps what they say.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::talk::{Exchange, read_frame, write_frame};

type Kept = Arc<Mutex<Vec<Exchange>>>;

/// Passes everything on to `upstream`, for as long as the process lives.
pub(crate) fn start(listener: TcpListener, upstream: String) -> Kept {
    let kept = Kept::default();
    let all = kept.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (all, upstream) = (all.clone(), upstream.clone());
            thread::spawn(move || pass(&client, &TcpStream::connect(upstream).unwrap(), &all));
        }
    });
    kept
}

fn pass(client: &TcpStream, broker: &TcpStream, kept: &Kept) {
    let asked: Mutex<VecDeque<Vec<u8>>> = Mutex::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (client, broker);
            while let Some(frame) = read_frame(&mut from) {
                asked.lock().unwrap().push_back(frame.clone());
                if write_frame(&mut to, &frame).is_err() {
                    break;
                }
            }
            let _ended = broker.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (broker, client);
        while let Some(response) = read_frame(&mut from) {
            let request = asked.lock().unwrap().pop_front().unwrap();
            let passed = write_frame(&mut to, &response).and_then(|()| to.flush());
            kept.lock().unwrap().push(Exchange {
                what: String::new(),
                request,
                response,
            });
            if passed.is_err() {
                break;
            }
        }
        let _ended = client.shutdown(Shutdown::Both);
    });
}
