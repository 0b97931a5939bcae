//! From the end of a call to an acknowledgement: one table (`table`), one policy for delays (`policy`). Pure: time and
//! randomness are arguments. Called by slots for every record.

mod policy;
mod table;

pub use policy::{Attempt, HostFaultBackoff, delay_before_retry};
pub use table::{Decision, Desk};
