//! From what wasmtime says to exactly one [`CallEnd`]: the only place that looks into its errors.

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::control::CallControl;
use super::limiter::Limiter;
use super::load::one_line;
use super::log_sink::{escape, floor_char_boundary};
use super::outcome::CallEnd;
use super::spec::HandlerLimits;
use super::state::Stop;

/// What was going on when the error came.
pub(super) struct Circumstances<'a> {
    pub(super) limits: &'a HandlerLimits,
    pub(super) control: &'a CallControl,
    pub(super) limiter: &'a Limiter,
    /// No guest code has returned yet: an error that is not the guest's is the host's.
    pub(super) starting: bool,
}

impl Circumstances<'_> {
    /// The call was stopped: cancelled if somebody asked for it, else out of time.
    pub(super) fn stopped(&self) -> CallEnd {
        match self.control.cancel_reason() {
            Some(_) => CallEnd::Cancelled,
            None => CallEnd::Deadline {
                limit: self.control.budget(),
            },
        }
    }

    pub(super) fn of(&self, error: &wasmtime::Error) -> CallEnd {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match *stop {
                Stop::Due => self.stopped(),
                Stop::Limit { what, value, limit } => CallEnd::Limit { what, value, limit },
                Stop::UnknownDelivery(_) => self.trap("unknown-delivery", &stop.to_string(), error),
            };
        }
        if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
            return CallEnd::HostFault(format!("no room for another instance: {full}"));
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return if exit.0 != 0 && self.limiter.memory_refused() {
                self.out_of_memory()
            } else {
                CallEnd::Exit { code: exit.0 }
            };
        }
        #[cfg(feature = "http")]
        if let Some(
            wasmtime_wasi_http::FieldMapError::TooManyFields | wasmtime_wasi_http::FieldMapError::TotalSizeTooBig,
        ) = error.downcast_ref()
        {
            let limit = self.limits.http.header_bytes;
            return CallEnd::Limit {
                what: "bytes of HTTP headers",
                value: limit.saturating_add(1),
                limit,
            };
        }
        let trap = error.downcast_ref::<Trap>().copied();
        if self.limiter.memory_refused() && trap.is_none_or(may_follow_refused_memory) {
            return self.out_of_memory();
        }
        if let Some(value) = self.limiter.tables_refused()
            && trap.is_none_or(may_follow_refused_memory)
        {
            return CallEnd::Limit {
                what: "table elements",
                value,
                limit: self.limits.table_elements,
            };
        }
        match trap {
            Some(Trap::UnreachableCodeReached) => {
                self.trap(UNREACHABLE, &Trap::UnreachableCodeReached.to_string(), error)
            }
            Some(trap) => self.trap(&kebab(&format!("{trap:?}")), &trap.to_string(), error),
            None => self.other(error),
        }
    }

    /// Neither a trap nor ours: values that break the canonical ABI, or what the host could not do.
    fn other(&self, error: &wasmtime::Error) -> CallEnd {
        let message = one_line(error);
        if message.contains(FUEL_WORDS) {
            let limit = self.limits.hostcall_bytes as u64;
            return CallEnd::Limit {
                what: "bytes from guest to host in one call",
                value: limit.saturating_add(1),
                limit,
            };
        }
        if self.starting && error.downcast_ref::<WasmBacktrace>().is_none() {
            return CallEnd::HostFault(message);
        }
        self.trap("invalid-value", &message, error)
    }

    fn trap(&self, code: &str, message: &str, error: &wasmtime::Error) -> CallEnd {
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .map_or(&[][..], WasmBacktrace::frames);
        let backtrace = frames
            .iter()
            .map(|frame| match (frame.func_name(), frame.module_offset()) {
                (Some(name), _) => bounded(name, FRAME_BYTES),
                (None, Some(offset)) => format!("0x{offset:x}"),
                (None, None) => format!("function {}", frame.func_index()),
            })
            .collect();
        CallEnd::Trap {
            code: code.to_owned(),
            message: bounded(message, self.limits.reason_bytes),
            backtrace,
        }
    }

    fn out_of_memory(&self) -> CallEnd {
        CallEnd::OutOfMemory {
            limit: self.limits.memory,
        }
    }
}

/// What allocators and their callers do when they are refused: abort, exit, or write through the null or the old end.
fn may_follow_refused_memory(trap: Trap) -> bool {
    matches!(
        trap,
        Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds | Trap::TableOutOfBounds | Trap::IndirectCallToNull
    )
}

fn bounded(text: &str, bytes: usize) -> String {
    let cut = floor_char_boundary(text, bytes);
    escape(text.get(..cut).unwrap_or_default()).into_owned()
}

/// `StackOverflow` to `stack-overflow`.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (index, c) in name.char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// What compilers make of a panic, an assertion or `abort`.
pub(super) const UNREACHABLE: &str = "unreachable";

/// wasmtime's error for it is private; a test holds these words against the version in use.
const FUEL_WORDS: &str = "fuel allocated for hostcalls has been exhausted";
const FRAME_BYTES: usize = 200;
