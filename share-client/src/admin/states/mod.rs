//! What brokers keep of a share group's records.

/// Why a record of a share group's state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It ends too early.
    #[error("the record ends within {field}")]
    Short {
        /// Where.
        field: &'static str,
    },
}
