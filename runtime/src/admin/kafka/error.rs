//! What a cluster refuses, in the words of the admin interface: the message is the client's, the hint the way out.

use share_client::admin::{AdminError as ClientError, Resource};
use share_wire::code::ErrorCode as Code;

use crate::admin::{AdminError, ErrorCode};

impl From<ClientError> for AdminError {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match &error {
            ClientError::Denied(denied) => {
                Self::new(ErrorCode::Denied, text).hint(format!("whoever may, allows it by: {}", denied.command()))
            }
            ClientError::Missing { about } => {
                let missing = Self::new(ErrorCode::NotFound, text);
                match about {
                    Resource::Topic(topic) => missing.hint(no_topic(topic)),
                    Resource::Partition(topic, _) => {
                        missing.hint(format!("sharemill topic describe {topic} shows its partitions"))
                    }
                    Resource::Group(_) => missing.hint("sharemill group list shows the groups there are"),
                    _ => missing,
                }
            }
            ClientError::Refused { code, about, .. } => match *code {
                NON_EMPTY_GROUP => Self::new(ErrorCode::Conflict, text).hint(EMPTY_FIRST),
                Code::TOPIC_ALREADY_EXISTS => {
                    let exists = Self::new(ErrorCode::Exists, text);
                    match about {
                        Resource::Topic(topic) => exists.hint(format!("sharemill topic describe {topic} shows it")),
                        _ => exists,
                    }
                }
                INVALID_TOPIC | INVALID_PARTITIONS | INVALID_REPLICATION | INVALID_CONFIG | POLICY_VIOLATION => {
                    Self::new(ErrorCode::Invalid, text)
                }
                _ => Self::new(ErrorCode::Unavailable, text),
            },
            _ => Self::new(ErrorCode::Unavailable, text),
        }
    }
}

/// What to do about a topic that is not there.
pub(super) fn no_topic(topic: &str) -> String {
    format!("sharemill topic list shows the topics there are, sharemill topic create {topic} makes it")
}

/// What to do about members, who alone can end their work.
pub(super) const EMPTY_FIRST: &str = "stop its members first: a cluster changes a group only while nobody is in it";

const INVALID_TOPIC: Code = Code(17);
const INVALID_PARTITIONS: Code = Code(37);
const INVALID_REPLICATION: Code = Code(38);
const INVALID_CONFIG: Code = Code(40);
const POLICY_VIOLATION: Code = Code(44);
const NON_EMPTY_GROUP: Code = Code(68);
