//! The way of log lines to standard error: a bounded queue and one thread that writes. Whoever logs never waits for whoever reads: a line
//! that finds no room is dropped and counted. Warnings and errors of the host itself keep some room that nobody else may use.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The queue. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Of `lines`, and of what is being written.
    bytes: usize,
    /// Since it was last told.
    dropped: u64,
}

impl LogQueue {
    /// Starts the thread that writes to `out`; `tell` is called on it with the number of lines dropped since the last time.
    pub(super) fn start(&self, mut out: impl Write + Send + 'static, tell: fn(u64)) -> io::Result<()> {
        let shared = self.0.clone();
        let body = move || {
            loop {
                let (lines, dropped) = shared.take();
                let written: usize = lines.iter().map(Vec::len).sum();
                for line in lines {
                    // Nobody is left to be told that standard error is gone.
                    let _ = out.write_all(&line);
                }
                let _ = out.flush();
                shared.written(written);
                if dropped > 0 {
                    tell(dropped);
                }
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(body).map(drop)
    }

    /// Waits until everything is written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let state = self.0.lock();
        let waiting = self.0.emptied.wait_timeout_while(state, limit, |state| state.bytes > 0);
        drop(waiting);
    }

    fn push(&self, line: &[u8], room: usize) {
        let mut state = self.0.lock();
        if state.bytes.saturating_add(line.len()) > room {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        drop(state);
        self.0.filled.notify_one();
    }
}

impl Shared {
    /// Everything that waits, once there is something.
    fn take(&self) -> (VecDeque<Vec<u8>>, u64) {
        let state = self.lock();
        let waited = self.filled.wait_while(state, |state| state.lines.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut state.lines), std::mem::take(&mut state.dropped))
    }

    fn written(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes -= bytes;
        if state.bytes == 0 {
            self.emptied.notify_all();
        }
    }

    /// Nothing is left half done by a panic in here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line on its way: written as a whole by the formatter.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    queue: &'a LogQueue,
    room: usize,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.queue.push(bytes, self.room);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            queue: self,
            room: ROOM,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> LineWriter<'a> {
        let urgent = *meta.level() <= Level::WARN && meta.target() != GUEST_TARGET;
        LineWriter {
            queue: self,
            room: if urgent { ROOM + RESERVED } else { ROOM },
        }
    }
}

/// Under which the lines of handlers are logged.
pub(super) const GUEST_TARGET: &str = "handler";

/// Bytes of lines that wait to be written.
const ROOM: usize = 4 << 20;
/// As much again for warnings and errors of the host.
const RESERVED: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Writes only when it is let; everything written is seen.
    struct Gate {
        open: mpsc::Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Open for good once the other side is gone.
            let _ = self.open.recv();
            self.seen.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    static TOLD: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up_and_what_is_dropped_is_told() {
        let queue = LogQueue::default();
        let (gate, open) = mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let out = Gate {
            open,
            seen: seen.clone(),
        };
        queue
            .start(out, |dropped| {
                TOLD.fetch_add(dropped, Ordering::SeqCst);
            })
            .unwrap();
        let line = vec![b'x'; 64 << 10];
        let fits = ROOM / line.len();
        // Nothing is let through: all of this returns at once.
        for _ in 0..fits + 10 {
            queue.make_writer().write_all(&line).unwrap();
        }
        queue.push(b"urgent", ROOM + RESERVED);
        queue.flush(Duration::from_millis(1));
        drop(gate);
        queue.flush(Duration::from_mins(1));
        let written = seen.lock().unwrap().len();
        assert_eq!(written, fits * line.len() + b"urgent".len());
        // Told with the batch that follows.
        queue.push(b"more", ROOM);
        queue.flush(Duration::from_mins(1));
        while TOLD.load(Ordering::SeqCst) < 10 {
            std::thread::yield_now();
        }
        assert_eq!(TOLD.load(Ordering::SeqCst), 10);
    }
}
