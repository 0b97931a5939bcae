//! Which version of each request is spoken. The client asks with its newest `ApiVersions`; a broker that does not know it says so in the
//! oldest layout and names its own newest, with which the client asks again (KIP-511; `ApiVersionsResponse` in Kafka 4.2.1).

use std::collections::BTreeMap;

use crate::call::{Api, Call};
use crate::code::ErrorCode;
use crate::conversation::Answer;
use crate::error::WireError;
use crate::kafka::{ApiVersionsRequest, ApiVersionsResponse, StrBytes};

/// Finds out what a broker speaks. Ask [`Negotiation::request`] in [`Negotiation::version`] and hand in the answer, until there is a result.
#[derive(Debug)]
pub struct Negotiation {
    version: i16,
}

/// What a broker speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// By the number of the request: oldest and newest.
    ranges: BTreeMap<i16, (i16, i16)>,
    /// By the name of a feature: the level that the cluster is at.
    features: BTreeMap<String, i16>,
}

/// Why there is no version in common.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The broker has no such request.
    #[error("the broker has no {api}; share groups need Apache Kafka 4.2.1 or newer")]
    Missing {
        /// The request.
        api: Api,
    },
    /// The broker has it in other versions.
    #[error("the broker speaks {api} in versions {least} to {newest}, here {ours_least} to {ours_newest} are spoken")]
    Apart {
        /// The request.
        api: Api,
        /// The broker's oldest.
        least: i16,
        /// The broker's newest.
        newest: i16,
        /// Our oldest.
        ours_least: i16,
        /// Our newest.
        ours_newest: i16,
    },
    /// The broker does not say what it speaks.
    #[error("the broker does not say which versions it speaks: {code}")]
    Refused {
        /// What it says instead.
        code: ErrorCode,
    },
    /// The answer cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Default for Negotiation {
    fn default() -> Self {
        Self {
            version: ApiVersionsRequest::VERSIONS.1,
        }
    }
}

impl Negotiation {
    /// In which version to ask.
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// What to ask. `software` and `version` name the client to the broker: letters, digits, `-` and `.`, the first and the last of
    /// them a letter or digit; whatever else is there is left out, since brokers refuse it.
    pub fn request(software: &str, version: &str) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_string(plain(software)))
            .with_client_software_version(StrBytes::from_string(plain(version)))
    }

    /// Takes the answer; `None`: ask again.
    pub fn answered(&mut self, answer: Answer) -> Result<Option<Versions>, VersionError> {
        let code = answer.body.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes));
        if ErrorCode(code) != ErrorCode::UNSUPPORTED_VERSION || self.version == 0 {
            return read(&answer.read::<ApiVersionsRequest>()?).map(Some);
        }
        let oldest = Answer { version: 0, ..answer };
        let theirs = oldest.read::<ApiVersionsRequest>()?;
        let own = theirs
            .api_keys
            .iter()
            .find(|row| row.api_key == ApiVersionsRequest::API.key);
        // Each time an older one, so that it ends.
        self.version = own.map_or(0, |row| row.max_version.clamp(0, self.version - 1));
        Ok(None)
    }
}

fn read(response: &ApiVersionsResponse) -> Result<Versions, VersionError> {
    let code = ErrorCode(response.error_code);
    if code.is_error() {
        return Err(VersionError::Refused { code });
    }
    let ranges = response
        .api_keys
        .iter()
        .map(|row| (row.api_key, (row.min_version, row.max_version)));
    let features = response
        .finalized_features
        .iter()
        .map(|feature| (feature.name.to_string(), feature.max_version_level));
    Ok(Versions {
        ranges: ranges.collect(),
        features: features.collect(),
    })
}

fn plain(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let text: String = text.chars().map(kept).collect();
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if text.is_empty() { "unknown" } else { text }.to_owned()
}

impl Versions {
    /// The newest version of a request that both sides speak.
    pub fn pick<C: Call>(&self) -> Result<i16, VersionError> {
        let (ours_least, ours_newest) = C::VERSIONS;
        let api = C::API;
        let (least, newest) = *self.ranges.get(&api.key).ok_or(VersionError::Missing { api })?;
        let version = newest.min(ours_newest);
        if version < least.max(ours_least) {
            return Err(VersionError::Apart {
                api,
                least,
                newest,
                ours_least,
                ours_newest,
            });
        }
        Ok(version)
    }

    /// The level of a feature of the cluster, such as `share.version`; 0 if it is off or not known to the broker.
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
