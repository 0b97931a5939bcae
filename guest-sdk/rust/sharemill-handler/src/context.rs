//! What a handler may want to know about the call it is in.
use std::time::Duration;

use crate::host;

/// The share group that this handler works for.
pub fn group() -> String {
    host::group()
}

/// How many attempts a record gets; `None` where the backend does not say.
pub fn attempt_limit() -> Option<u32> {
    host::attempt_limit()
}

/// Time until the host stops this call, extensions included.
pub fn deadline() -> Duration {
    Duration::from_nanos(host::deadline())
}

/// True once the host wants this call to end: shutdown, lost lease, deadline near, cancelled by hand. A long handler asks now
/// and then, and returns `Renew` with a checkpoint.
pub fn is_cancelled() -> bool {
    host::is_cancelled()
}
