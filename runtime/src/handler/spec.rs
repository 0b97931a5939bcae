//! What a deployment allows its handler: limits and grants. Plain data that the manifest is parsed into; nothing is granted by default.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::secrets::Secrets;
use crate::config::{HttpGrant, HttpLimits};

/// Everything about one deployment that its instances need to know.
#[derive(Debug, Clone, Default)]
pub struct HandlerSpec {
    /// Name of the deployment, for messages.
    pub deployment: String,
    /// The share group that the handler works for.
    pub group: String,
    /// Its topic, where there is one.
    pub topic: Option<String>,
    /// Bounds of one instance and one call.
    pub limits: HandlerLimits,
    /// What the handler may reach.
    pub grants: Grants,
    /// Attempts that a record gets; `None` where the backend does not say.
    pub attempt_limit: Option<u32>,
    /// Whether an instance serves one record or many.
    pub instance: InstanceMode,
    /// Values of `wasi:config` beside the granted ones; in no text of the host.
    pub secrets: Secrets,
    /// Handed to the handler's `configure`, if it has one.
    pub settings: Vec<(String, String)>,
    /// The least severe log level that is kept.
    pub log_threshold: LogLevel,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceMode {
    /// Until a call ends in anything but an outcome.
    #[default]
    Reuse,
    /// One record.
    Fresh,
}

/// Severity, as in `sharemill:worker/logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Critical,
}

/// Bounds of one instance and of one call. Every field has a default of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerLimits {
    /// Bytes of all linear memories of an instance together.
    pub memory: u64,
    /// Elements of all tables of an instance together.
    pub table_elements: u64,
    /// Time for one call, and for one instantiation.
    pub deadline: Duration,
    /// Bytes of log and standard output kept per call.
    pub log_bytes: u64,
    /// Lines of log and standard output kept per call.
    pub log_lines: u64,
    /// Lines that all instances of the deployment may log within a second, together.
    pub log_lines_per_second: u64,
    /// Bytes of these lines.
    pub log_bytes_per_second: u64,
    /// Bytes of one line; longer ones are split.
    pub log_line_bytes: usize,
    /// Last lines reported with the call.
    pub log_tail: usize,
    /// Calls to `sharemill:worker` functions per call.
    pub host_calls: u64,
    /// Bytes of a checkpoint.
    pub checkpoint_bytes: u64,
    /// Bytes of a reason; longer ones are cut and marked.
    pub reason_bytes: usize,
    /// Records emitted per call, and per `send`.
    pub emit_records: u64,
    /// Bytes emitted per call, and per `send`.
    pub emit_bytes: u64,
    /// Bytes of key, value and headers of one outgoing record.
    pub record_bytes: u64,
    /// Bytes that one crossing from guest to host may copy: arguments of one host call, or the result.
    pub hostcall_bytes: usize,
    /// Live component handles, and host resources such as descriptors and streams.
    pub handles: usize,
    /// Bytes of one `get-random-bytes`.
    pub random_bytes: u64,
    /// Of the requests that it sends.
    pub http: HttpLimits,
}

impl HandlerLimits {
    /// 64 MiB.
    pub const MEMORY: u64 = 64 << 20;
    /// Large scripting engines need more than 20,000.
    pub const TABLE_ELEMENTS: u64 = 100_000;
    /// 30 s.
    pub const DEADLINE: Duration = Duration::from_secs(30);
    /// 64 KiB.
    pub const LOG_BYTES: u64 = 64 << 10;
    /// 1,000.
    pub const LOG_LINES: u64 = 1_000;
    /// 1,000: what one call may log.
    pub const LOG_LINES_PER_SECOND: u64 = 1_000;
    /// 256 KiB.
    pub const LOG_BYTES_PER_SECOND: u64 = 256 << 10;
    /// 4 KiB.
    pub const LOG_LINE_BYTES: usize = 4 << 10;
    /// 20.
    pub const LOG_TAIL: usize = 20;
    /// 100,000.
    pub const HOST_CALLS: u64 = 100_000;
    /// 64 KiB.
    pub const CHECKPOINT_BYTES: u64 = 64 << 10;
    /// 1 KiB.
    pub const REASON_BYTES: usize = 1 << 10;
    /// 1,000.
    pub const EMIT_RECORDS: u64 = 1_000;
    /// 4 MiB.
    pub const EMIT_BYTES: u64 = 4 << 20;
    /// 1 MiB.
    pub const RECORD_BYTES: u64 = 1 << 20;
    /// 6 MiB: one `emit` of everything that is allowed, and what its lists cost beside their bytes.
    pub const HOSTCALL_BYTES: usize = 6 << 20;
    /// 1,000.
    pub const HANDLES: usize = 1_000;
    /// 1 MiB.
    pub const RANDOM_BYTES: u64 = 1 << 20;
}

// What may be emitted must be able to cross.
const _: () = assert!(HandlerLimits::EMIT_BYTES < HandlerLimits::HOSTCALL_BYTES as u64);
const _: () = assert!(HandlerLimits::RECORD_BYTES <= HandlerLimits::EMIT_BYTES);

impl Default for HandlerLimits {
    fn default() -> Self {
        Self {
            memory: Self::MEMORY,
            table_elements: Self::TABLE_ELEMENTS,
            deadline: Self::DEADLINE,
            log_bytes: Self::LOG_BYTES,
            log_lines: Self::LOG_LINES,
            log_lines_per_second: Self::LOG_LINES_PER_SECOND,
            log_bytes_per_second: Self::LOG_BYTES_PER_SECOND,
            log_line_bytes: Self::LOG_LINE_BYTES,
            log_tail: Self::LOG_TAIL,
            host_calls: Self::HOST_CALLS,
            checkpoint_bytes: Self::CHECKPOINT_BYTES,
            reason_bytes: Self::REASON_BYTES,
            emit_records: Self::EMIT_RECORDS,
            emit_bytes: Self::EMIT_BYTES,
            record_bytes: Self::RECORD_BYTES,
            hostcall_bytes: Self::HOSTCALL_BYTES,
            handles: Self::HANDLES,
            random_bytes: Self::RANDOM_BYTES,
            http: HttpLimits::default(),
        }
    }
}

/// What a handler may reach beyond its record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Topics for `emit` and `send`.
    pub emit: BTreeSet<String>,
    /// Directories.
    pub files: Vec<FileGrant>,
    /// Servers for requests.
    pub http: Vec<HttpGrant>,
    /// Values of `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
}

/// One directory that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGrant {
    /// Where it is; must exist when the handler is loaded.
    pub host: PathBuf,
    /// What the guest calls it, such as `/images`.
    pub guest: String,
    /// What it may do there.
    pub access: Access,
}

/// What a guest may do in a granted directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look and read.
    Read,
    /// Everything, creation and deletion included.
    ReadWrite,
}
