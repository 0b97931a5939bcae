//! What the expansion of `#[handler]` refers to: the generated exports and the calls between them and the handler.
//! Nothing here is for handlers to use, and it may change in every version.
use std::fmt::Display;
#[cfg(target_family = "wasm")]
use std::sync::Once;

pub use crate::bindings::batch_handler as batch_handler_root;
pub use crate::bindings::batch_handler::export_batch_handler;
pub use crate::bindings::batch_handler::exports::sharemill::worker::record_batch_handler as batch_handler;
pub use crate::bindings::handler as handler_root;
pub use crate::bindings::handler::export_handler;
pub use crate::bindings::handler::exports::sharemill::worker::record_handler as handler;
pub use crate::bindings::imports::sharemill::worker::types::{Delivery, Outcome};
pub use crate::bindings::lifecycle as lifecycle_root;
pub use crate::bindings::lifecycle::export_lifecycle;
pub use crate::bindings::lifecycle::exports::sharemill::worker::lifecycle;
pub use batch_handler::BatchOutcome;

use crate::{IntoBatchOutcome, IntoOutcome, Record, Settings, reason};

/// One record through one handler.
pub fn run<R: IntoOutcome>(delivery: Delivery, handle: impl FnOnce(Record) -> R) -> Outcome {
    begin();
    handle(Record::from(delivery)).into_outcome().into()
}

/// Several records through one handler.
pub fn run_batch<R: IntoBatchOutcome>(
    deliveries: Vec<Delivery>,
    handle: impl FnOnce(Vec<Record>) -> R,
) -> BatchOutcome {
    begin();
    handle(deliveries.into_iter().map(Record::from).collect())
        .into_batch_outcome()
        .into()
}

/// The settings to the handler's own function.
///
/// # Errors
/// The text of the function's error, cut like a reason: the host does not use this instance.
pub fn run_configure<E: Display>(
    settings: Vec<(String, String)>,
    configure: impl FnOnce(Settings) -> Result<(), E>,
) -> Result<(), String> {
    begin();
    configure(Settings::from(settings)).map_err(|error| reason::bounded(format_args!("{error:#}")))
}

fn begin() {
    #[cfg(target_family = "wasm")]
    panics_in_a_line();
    #[cfg(feature = "log")]
    crate::logging::begin_call();
}

/// The host takes the last line of standard error for the reason of a trap.
#[cfg(target_family = "wasm")]
fn panics_in_a_line() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic
                .payload_as_str()
                .unwrap_or("a value that is no text")
                .replace('\n', " ");
            match panic.location() {
                Some(place) => eprintln!("panicked at {place}: {message}"),
                None => eprintln!("panicked: {message}"),
            }
        }));
    });
}
