//! What can be wrong with a record of a share group's state.

/// Why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It ends too early.
    #[error("the record ends within {field}")]
    Short {
        /// Where.
        field: &'static str,
    },
    /// It goes on where it should end.
    #[error("{bytes} bytes behind the end of {what}")]
    Long {
        /// Of what.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A key of another kind.
    #[error("unknown kind {found} of key; 0 (ShareSnapshot) and 1 (ShareUpdate) are known")]
    Kind {
        /// The kind.
        found: i16,
    },
    /// A value in another version.
    #[error("unknown version {found} of {what}; 0 is known")]
    Version {
        /// Of what.
        what: &'static str,
        /// The version.
        found: i16,
    },
    /// A key without a value means that the state is gone; that of an update has to have one.
    #[error("an update without a value")]
    Nothing,
    /// Text that is none.
    #[error("{field} is not UTF-8")]
    Text {
        /// Where.
        field: &'static str,
    },
    /// More elements than there can be in the bytes that are left.
    #[error("{claimed} elements of {field} in {room} bytes")]
    Count {
        /// Of what.
        field: &'static str,
        /// How many it says.
        claimed: u64,
        /// Bytes that are left.
        room: usize,
    },
    /// A number that cannot be.
    #[error("{field} is {found}")]
    Value {
        /// Which.
        field: &'static str,
        /// The number.
        found: i64,
    },
    /// A batch that ends before it begins.
    #[error("a batch from offset {first} to {last}")]
    Offsets {
        /// Its first offset.
        first: i64,
        /// Its last offset.
        last: i64,
    },
    /// More pieces than brokers ever keep.
    #[error("{batches} batches of one share partition, {max} are the most")]
    TooMany {
        /// How many.
        batches: usize,
        /// How many there may be.
        max: usize,
    },
}
