//! From what a guest returned to the host's words: outcomes within their limits, one end for each record of a batch.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::bindings::exports::sharemill::worker::record_batch_handler;
use super::bindings::sharemill::worker::types::Outcome as WitOutcome;
use super::log_sink::floor_char_boundary;
use super::outcome::{CallEnd, Outcome};
use super::spec::HandlerSpec;

pub(super) fn outcome_of(returned: WitOutcome, spec: &HandlerSpec) -> Result<CallEnd, CallEnd> {
    let limits = &spec.limits;
    let reason = |reason: Option<String>| reason.map(|text| cut(text, spec));
    Ok(CallEnd::Outcome(match returned {
        WitOutcome::Accept => Outcome::Accept,
        WitOutcome::Release(options) => Outcome::Release {
            after: options.after.map(Duration::from_nanos),
            reason: reason(options.reason),
        },
        WitOutcome::Reject(text) => Outcome::Reject { reason: reason(text) },
        WitOutcome::Renew(renewal) => {
            let size = renewal.checkpoint.as_ref().map_or(0, Vec::len) as u64;
            if size > limits.checkpoint_bytes {
                return Err(CallEnd::Limit {
                    what: "checkpoint bytes",
                    value: size,
                    limit: limits.checkpoint_bytes,
                });
            }
            Outcome::Renew {
                after: renewal.after.map(Duration::from_nanos),
                checkpoint: renewal.checkpoint.map(Bytes::from),
            }
        }
    }))
}

/// Too few outcomes: the rest is released. Too many: a fault of the whole call.
pub(super) fn batch_ends(
    returned: record_batch_handler::BatchOutcome,
    records: usize,
    spec: &HandlerSpec,
) -> Result<Vec<CallEnd>, CallEnd> {
    match returned {
        record_batch_handler::BatchOutcome::All(outcome) => Ok(vec![outcome_of(outcome, spec)?; records]),
        record_batch_handler::BatchOutcome::Each(outcomes) if outcomes.len() > records => Err(CallEnd::Limit {
            what: "outcomes",
            value: outcomes.len() as u64,
            limit: records as u64,
        }),
        record_batch_handler::BatchOutcome::Each(outcomes) => {
            let released = CallEnd::Outcome(Outcome::Release {
                after: None,
                reason: Some("the handler returned no outcome for this record".to_owned()),
            });
            let mut ends: Vec<CallEnd> = outcomes
                .into_iter()
                // A checkpoint that is too large is its own record's fault; the instance returned properly.
                .map(|outcome| outcome_of(outcome, spec).unwrap_or_else(|end| end))
                .collect();
            ends.resize(records, released);
            Ok(ends)
        }
    }
}

/// Without secrets, and at most so many bytes as a reason may have, the mark included.
pub(super) fn cut(mut text: String, spec: &HandlerSpec) -> String {
    let (length, limit) = (text.len(), spec.limits.reason_bytes);
    spec.secrets.mend_cut(&mut text);
    let mut kept = match spec.secrets.mask_head(&text, limit) {
        Cow::Owned(masked) => masked,
        Cow::Borrowed(_) => text,
    };
    if length > limit {
        let mark = format!(" [cut, {length} bytes]");
        kept.truncate(floor_char_boundary(&kept, limit.saturating_sub(mark.len())));
        kept.push_str(&mark);
    }
    kept
}
