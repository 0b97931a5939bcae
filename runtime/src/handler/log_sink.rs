//! Everything a handler says, from three mouths (standard output, standard error, the logging interface), as escaped lines within one
//! budget per call, and one per second of the deployment. Over a budget lines are dropped and counted; nothing here waits. Shared by a store and its two WASI streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::complaint::Complaint;
use super::control::now;
use super::log_budget::{Admitted, LogBudget};
use super::secrets::Secrets;
use super::services::{HostServices, LogLine, LogSource};
use super::spec::{HandlerSpec, LogLevel};

/// One per store.
pub(super) struct LogSink {
    services: Arc<dyn HostServices>,
    budget: Arc<LogBudget>,
    limits: SinkLimits,
    secrets: Secrets,
    /// The delivery being handled; `NO_DELIVERY` while the instance starts.
    id: AtomicU64,
    /// Anything to flush and reset at the end of the call; most handlers say nothing.
    used: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Clone, Copy)]
struct SinkLimits {
    bytes: u64,
    lines: u64,
    line_bytes: usize,
    tail: usize,
    /// Bytes of a reason.
    reason: usize,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: u64,
    count: u64,
    dropped: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    tail: VecDeque<String>,
    complaint: Complaint,
}

/// What a call said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) tail: Vec<String>,
    pub(super) dropped: u64,
    /// Its last line on standard error, as it was written: secrets may be in it.
    pub(super) complaint: Option<Vec<u8>>,
}

impl LogSink {
    pub(super) fn new(services: Arc<dyn HostServices>, spec: &HandlerSpec, budget: Arc<LogBudget>) -> Self {
        let limits = &spec.limits;
        Self {
            services,
            budget,
            limits: SinkLimits {
                bytes: limits.log_bytes,
                lines: limits.log_lines,
                line_bytes: limits.log_line_bytes.max(1),
                tail: limits.log_tail,
                reason: limits.reason_bytes,
            },
            secrets: spec.secrets.clone(),
            id: AtomicU64::new(NO_DELIVERY),
            used: AtomicBool::new(false),
            lines: Mutex::new(Lines::default()),
        }
    }

    pub(super) fn begin(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    /// Ends the call: unfinished lines are lines, and the next call starts with a full budget.
    pub(super) fn end(&self) -> Said {
        if !self.used.swap(false, Ordering::Relaxed) {
            return Said::default();
        }
        let mut lines = self.lock();
        let lines = &mut *lines;
        for (source, rest) in [
            (LogSource::Stdout, std::mem::take(&mut lines.stdout)),
            (LogSource::Stderr, std::mem::take(&mut lines.stderr)),
        ] {
            if !rest.is_empty() {
                self.printed(lines, source, &rest);
            }
        }
        let complaint = lines.complaint.take();
        let ended = std::mem::take(lines);
        Said {
            tail: ended.tail.into(),
            dropped: ended.dropped,
            complaint,
        }
    }

    /// One message of the logging interface; line ends in it are escaped like any control character.
    pub(super) fn log(&self, level: LogLevel, context: &str, message: &str) {
        let mut lines = self.lock();
        // Secrets first: a cut would leave a part of one that nobody finds again.
        let limit = self.limits.line_bytes;
        let masked = self.secrets.mask_head(message, limit);
        let kept = masked.get(..floor_char_boundary(&masked, limit)).unwrap_or_default();
        let rest = if message.len() > limit {
            message.len() - kept.len()
        } else {
            0
        };
        let context = self.secrets.mask_head(context, CONTEXT_BYTES);
        let context = context
            .get(..floor_char_boundary(&context, CONTEXT_BYTES))
            .unwrap_or_default();
        lines.dropped = lines.dropped.saturating_add(rest as u64);
        self.line(&mut lines, LogSource::Log, level, context, kept);
    }

    fn write(&self, source: LogSource, mut bytes: &[u8]) {
        let mut lines = self.lock();
        if source == LogSource::Stderr {
            lines
                .complaint
                .hear(bytes, self.limits.reason.saturating_add(self.secrets.longest()));
        }
        while !bytes.is_empty() {
            if self.is_spent(&lines) {
                lines.dropped = lines.dropped.saturating_add(bytes.len() as u64);
                return;
            }
            let partial = match source {
                LogSource::Stderr => &mut lines.stderr,
                LogSource::Stdout | LogSource::Log => &mut lines.stdout,
            };
            let room = self.limits.line_bytes.saturating_sub(partial.len());
            let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            let (taken, ended) = match window.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (window.len(), window.len() == room),
            };
            let (piece, rest) = bytes.split_at(taken);
            partial.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
            bytes = rest;
            if ended {
                let mut whole = std::mem::take(partial);
                let begun = if whole.len() == self.limits.line_bytes {
                    self.secrets.begun(&whole)
                } else {
                    0
                };
                // What may be a secret with what follows stays together.
                let end = if begun < whole.len() {
                    whole.len() - begun
                } else {
                    whole.len()
                };
                self.printed(&mut lines, source, whole.get(..end).unwrap_or_default());
                // Keep the buffer for the next line.
                whole.drain(..end);
                match source {
                    LogSource::Stderr => lines.stderr = whole,
                    LogSource::Stdout | LogSource::Log => lines.stdout = whole,
                }
            }
        }
    }

    fn printed(&self, lines: &mut Lines, source: LogSource, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        self.line(lines, source, level_of(source), "", &self.secrets.mask(&text));
    }

    fn line(&self, lines: &mut Lines, source: LogSource, level: LogLevel, context: &str, text: &str) {
        let size = (text.len() + context.len()) as u64;
        if self.is_spent(lines) || lines.bytes.saturating_add(size) > self.limits.bytes {
            lines.dropped = lines.dropped.saturating_add(size);
            return;
        }
        lines.bytes += size;
        lines.count += 1;
        let message = escape(text);
        let context = escape(context);
        let id = self.id.load(Ordering::Relaxed);
        let line = LogLine {
            id: (id != NO_DELIVERY).then_some(id),
            source,
            level,
            context: &context,
            message: &message,
        };
        // What nobody sees takes no room from what is seen.
        let admitted = if self.services.shows(level) {
            self.budget.admit(now(), size)
        } else {
            Admitted::Dropped
        };
        match admitted {
            Admitted::Yes => self.services.log(line),
            Admitted::FirstDropped => self.services.log(LogLine {
                level: LogLevel::Warn,
                context: "",
                message: &self.budget.notice(),
                ..line
            }),
            Admitted::Dropped => {}
        }
        if self.limits.tail > 0 {
            if lines.tail.len() >= self.limits.tail {
                lines.tail.pop_front();
            }
            lines.tail.push_back(message.into_owned());
        }
    }

    fn is_spent(&self, lines: &Lines) -> bool {
        lines.count >= self.limits.lines || lines.bytes >= self.limits.bytes
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.used.store(true, Ordering::Relaxed);
        // A panic in `services.log` left whole lines behind, nothing half-done.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output or standard error of one store.
#[derive(Clone)]
pub(super) struct StdStream {
    pub(super) sink: Arc<LogSink>,
    pub(super) source: LogSource,
}

impl IsTerminal for StdStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StdStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for StdStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.sink.write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for StdStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for StdStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.sink.write(self.source, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Control characters, and what terminals take for the start of a command, as escapes; tabs stay.
pub(super) fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    let harmless = |c: char| c == '\t' || !(c.is_control() || is_invisible(c));
    if text.chars().all(harmless) {
        return text.into();
    }
    text.chars()
        .flat_map(|c| {
            let escaped = (!harmless(c)).then(|| c.escape_default());
            let plain = harmless(c).then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect::<String>()
        .into()
}

/// Line separators and directional overrides make one line look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The largest character boundary of `text` not above `at`.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

fn level_of(source: LogSource) -> LogLevel {
    match source {
        LogSource::Stderr => LogLevel::Warn,
        LogSource::Stdout | LogSource::Log => LogLevel::Info,
    }
}

const NO_DELIVERY: u64 = u64::MAX;
const CONTEXT_BYTES: usize = 256;
/// What one write may bring; the crossing limit bounds it as well.
const WRITE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::handler::{HandlerLimits, NullServices};

    fn sink(change: impl FnOnce(&mut HandlerLimits)) -> LogSink {
        let mut spec = HandlerSpec::default();
        change(&mut spec.limits);
        of(&spec)
    }

    fn of(spec: &HandlerSpec) -> LogSink {
        let budget = Arc::new(LogBudget::new("test", &spec.limits));
        LogSink::new(Arc::new(NullServices), spec, budget)
    }

    #[test]
    fn writes_become_lines() {
        let sink = sink(|limits| limits.log_line_bytes = 10);
        for part in ["one\ntw", "o\n\nthr", "ee", "-0123456789abcdef\nlast"] {
            sink.write(LogSource::Stdout, part.as_bytes());
        }
        sink.write(LogSource::Stderr, b"beside");
        let said = sink.end();
        assert_eq!(
            said.tail,
            ["one", "two", "", "three-0123", "456789abcd", "ef", "last", "beside"]
        );
        assert_eq!(said.dropped, 0);
        assert!(sink.end().tail.is_empty());
    }

    #[test]
    fn budgets_are_of_one_call() {
        let sink = sink(|limits| {
            limits.log_lines = 3;
            limits.log_tail = 2;
        });
        for _ in 0..2 {
            sink.write(LogSource::Stdout, b"1\n2\n3\n4\n5\n");
            sink.log(LogLevel::Error, "", "six");
            let said = sink.end();
            assert_eq!(said.tail, ["2", "3"]);
            assert_eq!(said.dropped, 4 + 3);
        }
        let sink = self::sink(|limits| limits.log_bytes = 10);
        sink.write(LogSource::Stdout, b"12345\n1234567\n12345\n6");
        let said = sink.end();
        assert_eq!(said.tail, ["12345", "12345"]);
        assert_eq!(said.dropped, 7 + 1);
    }

    /// Lines that the filter hides took the room of those that it shows.
    #[test]
    fn what_nobody_sees_takes_nothing_from_the_deployments_budget() {
        let spec = HandlerSpec::default();
        let budget = Arc::new(LogBudget::new("test", &spec.limits));
        let hidden = LogSink::new(Arc::new(NullServices), &spec, budget.clone());
        for _ in 0..200 {
            for _ in 0..100 {
                hidden.log(LogLevel::Info, "", "hidden");
            }
            assert_eq!(hidden.end().dropped, 0);
        }
        assert!(matches!(budget.admit(now(), 1), Admitted::Yes));
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let sink = sink(|limits| limits.log_line_bytes = 4);
        sink.log(LogLevel::Info, "", "abc\u{e9}\u{e9}");
        let said = sink.end();
        assert_eq!(said.tail, ["abc"]);
        assert_eq!(said.dropped, 4);
    }

    /// However the lines are broken and cut.
    #[test]
    fn no_line_has_a_part_of_a_secret() {
        const SECRET: &str = "abcdefgh1234";
        for line_bytes in [12, 13, 20, 25] {
            let mut spec = HandlerSpec {
                secrets: Secrets::new([("KEY".to_owned(), SECRET.to_owned())].into()).unwrap(),
                ..HandlerSpec::default()
            };
            (spec.limits.log_line_bytes, spec.limits.log_tail) = (line_bytes, 100);
            let sink = of(&spec);
            for before in 0..30 {
                let text = format!("{}{SECRET}{}{SECRET}", "-".repeat(before), "+".repeat(30 - before));
                for piece in text.as_bytes().chunks(7) {
                    sink.write(LogSource::Stdout, piece);
                }
                sink.write(LogSource::Stdout, b"\n");
                sink.log(LogLevel::Info, &text, &text);
                let said = sink.end().tail.concat();
                assert!(!said.contains(['a', 'h', '1', '4']), "{line_bytes} {before}: {said}");
                assert!(said.contains("***"), "{line_bytes} {before}: {said}");
            }
        }
    }

    #[test]
    fn what_moves_the_cursor_is_escaped() {
        assert_eq!(escape("plain \u{e9} text\t."), "plain \u{e9} text\t.");
        assert_eq!(
            escape("a\r\n\u{1b}[31m\u{9b}\u{202e}\0"),
            "a\\r\\n\\u{1b}[31m\\u{9b}\\u{202e}\\u{0}"
        );
    }
}
