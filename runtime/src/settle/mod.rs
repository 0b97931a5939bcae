//! From the end of a call to an acknowledgement: one table (`table`), one policy for delays (`policy`), a deployment's failed starts
//! (`starts`), what of it all is said (`warnings`). Pure: time and randomness are arguments. Called by slots for every record.

mod policy;
mod starts;
mod table;
mod warnings;

pub use policy::{Attempt, HostFaultBackoff, delay_before_retry};
pub use starts::Starts;
pub use table::{Decision, Desk, start_fault};
pub use warnings::Warnings;
