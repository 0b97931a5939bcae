//! The engine's threads: each a loop over a part, started together and ended together. One that panics takes the others with
//! it, since no part can do without another: what it said is kept, and every call is answered from then on.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::handle::Engine;
use super::open::{Parts, Ways};
use super::sync::thread::{Builder, JoinHandle};
use crate::error::OpenError;

/// What a thread does.
pub(super) type Body = Box<dyn FnOnce() + Send>;

/// Starts a thread: the system's way, or a test's.
pub(super) type Spawn<'s> = dyn FnMut(&str, Body) -> io::Result<JoinHandle<()>> + 's;

/// The threads of an open engine.
#[derive(Default)]
pub(super) struct Threads {
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Waits until all have ended.
    pub(super) fn join(&mut self) {
        for thread in self.running.drain(..) {
            // None ends with a panic: it is caught, and told, in the thread.
            drop(thread.join());
        }
    }
}

pub(super) fn spawn(name: &str, body: Body) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body)
}

impl Parts {
    /// Starts the four threads; if one cannot be started, those that were are ended.
    pub(super) fn start(self, engine: &Engine, spawn: &mut Spawn<'_>) -> Result<(), OpenError> {
        let clock = Arc::clone(&engine.inner.clock);
        let Self {
            desk,
            mut shard,
            mut drainer,
            mut reader,
            ways,
        } = self;
        let beside = Arc::clone(&desk);
        let bodies: [(&str, Body); 4] = [
            ("journal", Box::new(move || desk.serve())),
            ("shard", Box::new(move || beside.attend(&mut shard, &*clock))),
            (
                "drain",
                Box::new(move || {
                    while !drainer.is_stopped() {
                        drainer.wait();
                        drainer.step();
                    }
                }),
            ),
            (
                "reader",
                Box::new(move || {
                    while !reader.is_stopped() {
                        reader.wait();
                        reader.step();
                    }
                }),
            ),
        ];
        let mut threads = engine.inner.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, body) in bodies {
            match spawn(name, watched(name, body, ways.clone())) {
                Ok(thread) => threads.running.push(thread),
                Err(source) => {
                    ways.shut();
                    threads.join();
                    return Err(OpenError::Io {
                        context: format!("cannot start thread {name}"),
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Ways {
    /// Nobody is heard any more: every thread ends, and every call is answered.
    fn shut(&self) {
        self.counter.journal.close();
        self.counter.shard.close();
        self.drain.close();
        self.reader.close();
    }
}

/// A body whose panic is told.
fn watched(name: &'static str, body: Body, ways: Ways) -> Body {
    Box::new(move || {
        // What the body owned is gone when it has unwound; the ways are locks over queues, whole at every moment.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            ways.stats
                .died(&format!("engine thread {name} panicked: {}", said(&*payload)));
            ways.shut();
        }
    })
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
