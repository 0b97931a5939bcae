//! What can be wrong with bytes from the network, or with what is to be sent.

use crate::call::Api;

/// Why bytes are not what they should be. None of them is passed over: the connection cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame that nobody would send, or not Kafka at all.
    #[error("a frame of {len} bytes, more than the limit of {limit}; is this a Kafka listener, and without TLS?")]
    FrameTooLarge {
        /// As the frame says, read as unsigned.
        len: u32,
        /// The largest that is read, in bytes.
        limit: u32,
    },
    /// The bytes end inside a field.
    #[error("{message}: the bytes end in {field} at {at}: {wanted} wanted, {left} left")]
    Truncated {
        /// The message.
        message: &'static str,
        /// The field, by the name in Kafka's schema.
        field: &'static str,
        /// Where the field begins, in bytes from the start of the message.
        at: usize,
        /// Bytes that it needs.
        wanted: u64,
        /// Bytes that there are.
        left: usize,
    },
    /// An array that claims more elements than the bytes behind it can hold.
    #[error("{message}: {field} at {at} claims {claimed} elements, but the {left} bytes left hold {most} at most")]
    Count {
        /// The message.
        message: &'static str,
        /// The array, by the name in Kafka's schema.
        field: &'static str,
        /// Where it begins, in bytes from the start of the message.
        at: usize,
        /// Elements claimed.
        claimed: u64,
        /// Bytes that there are.
        left: usize,
        /// Elements that they can hold.
        most: u64,
    },
    /// A field that has to be there is null, or a value that has no meaning.
    #[error("{message}: {field} at {at}: {reason}")]
    Invalid {
        /// The message.
        message: &'static str,
        /// The field, by the name in Kafka's schema.
        field: &'static str,
        /// Where it begins, in bytes from the start of the message.
        at: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// More bytes than the message has.
    #[error("{message}: {bytes} bytes behind its end")]
    Trailing {
        /// The message.
        message: &'static str,
        /// How many.
        bytes: usize,
    },
    /// The messages' crate refuses it.
    #[error("{message}: {reason}")]
    Refused {
        /// The message.
        message: &'static str,
        /// As that crate says it.
        reason: String,
    },
    /// A response to a request that is not the next to be answered: Kafka answers in order.
    #[error("a response with correlation id {found}, {expected} is next")]
    Correlation {
        /// Of the oldest unanswered request.
        expected: i32,
        /// Of the response.
        found: i32,
    },
    /// A response while no request is unanswered.
    #[error("a response with correlation id {found} while nothing was asked")]
    Unasked {
        /// Of the response.
        found: i32,
    },
    /// A response read as one to another request.
    #[error("a response to {found}, read as one to {wanted}")]
    OtherCall {
        /// What it answers.
        found: Api,
        /// What it was taken for.
        wanted: Api,
    },
    /// A version that this code does not speak.
    #[error("{api} version {version} is not one of {least} to {newest}, which are spoken here")]
    Version {
        /// The request.
        api: Api,
        /// Asked for.
        version: i16,
        /// The oldest.
        least: i16,
        /// The newest.
        newest: i16,
    },
}
