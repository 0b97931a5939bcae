//! One connection, without its socket: requests get numbers and headers, responses are matched with them. Kafka answers the requests of
//! a connection in order, so that a response to any other than the oldest is an error of the protocol.

use std::collections::VecDeque;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::call::{Api, Call};
use crate::error::WireError;
use crate::frame::{Frames, LENGTH};
use crate::reader::Reader;

/// The requests and responses of one connection.
#[derive(Debug)]
pub struct Conversation {
    client_id: String,
    next_id: i32,
    unanswered: VecDeque<Asked>,
    frames: Frames,
}

/// A request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    correlation_id: i32,
    api: Api,
    version: i16,
    flexible: i16,
}

/// A response whose body is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of the request that it answers.
    pub correlation_id: i32,
    /// What was asked.
    pub api: Api,
    /// In which version.
    pub version: i16,
    /// The response without its header.
    pub body: Bytes,
}

impl Conversation {
    /// `client_id`: how the broker names us in logs, quotas and descriptions; at most 32,767 bytes, what is longer is cut. `frame_max`:
    /// the largest response, in bytes.
    pub fn new(client_id: &str, frame_max: u32) -> Self {
        let len = client_id.floor_char_boundary(i16::MAX as usize);
        Self {
            client_id: client_id.get(..len).unwrap_or_default().to_owned(),
            next_id: 0,
            unanswered: VecDeque::new(),
            frames: Frames::new(frame_max),
        }
    }

    /// Writes a request behind what `out` holds, as it goes over the wire, and returns its number. After an error `out` is as before.
    pub fn ask<C: Call>(&mut self, request: &C, version: i16, out: &mut BytesMut) -> Result<i32, WireError> {
        C::check_version(version)?;
        let correlation_id = self.next_id;
        let start = out.len();
        out.put_u32(0);
        out.put_i16(C::API.key);
        out.put_i16(version);
        out.put_i32(correlation_id);
        // This string stays as it is in flexible versions, so that a broker can read it whatever the version.
        out.put_i16(i16::try_from(self.client_id.len()).unwrap_or(i16::MAX));
        out.put_slice(self.client_id.as_bytes());
        if version >= C::FLEXIBLE {
            out.put_u8(0);
        }
        if let Err(error) = request.put(version, out) {
            out.truncate(start);
            return Err(error);
        }
        let len = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + LENGTH) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        self.next_id = self.next_id.checked_add(1).unwrap_or(0);
        self.unanswered.push_back(Asked {
            correlation_id,
            api: C::API,
            version,
            flexible: C::FLEXIBLE,
        });
        Ok(correlation_id)
    }

    /// Where received bytes are to be put, behind those that are there.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        self.frames.buffer()
    }

    /// The next response; `None` until all of it is here. After an error the connection is of no more use.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, WireError> {
        let Some(mut body) = self.frames.next_frame()? else {
            return Ok(None);
        };
        let mut header = Reader::new("response header", body.clone());
        let found = header.i32("correlation_id")?;
        let Some(asked) = self.unanswered.front().copied() else {
            return Err(WireError::Unasked { found });
        };
        if asked.correlation_id != found {
            return Err(WireError::Correlation {
                expected: asked.correlation_id,
                found,
            });
        }
        // Whoever does not know the version of an ApiVersions request answers in the oldest: its header never changes.
        if asked.version >= asked.flexible && asked.api.key != API_VERSIONS {
            header.no_tags()?;
        }
        body.advance(header.at());
        self.unanswered.pop_front();
        Ok(Some(Answer {
            correlation_id: found,
            api: asked.api,
            version: asked.version,
            body,
        }))
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether a part of a response is here: an end now is not a clean one.
    pub fn is_within(&self) -> bool {
        self.frames.is_within()
    }
}

impl Answer {
    /// Reads it as what answers `C`.
    pub fn read<C: Call>(self) -> Result<C::Response, WireError> {
        if self.api != C::API {
            return Err(WireError::OtherCall {
                found: self.api,
                wanted: C::API,
            });
        }
        C::take(self.version, self.body)
    }
}

const API_VERSIONS: i16 = 18;

#[cfg(test)]
mod tests;
