//! `sharemill test --from-dead-letter`: a dead letter once more, through the build that there is now. It stays where it lies.

use std::fmt::Write as _;

use serde_json::json;
use share_engine::letter::ORIGIN_HEADER;

use crate::admin::{Admin, DeadLetterDetail, DeadLetterId, Header};
use crate::cli::args::TestArgs;
use crate::cli::component;
use crate::cli::invoke::{self, Delivery, Identity, Invocation, describe};
use crate::cli::open::{Absent, with};
use crate::config::Manifest;
use crate::handler::{CallEnd, Outcome};
use crate::output::{self, Failure, Format};

/// Fails if the record would fail again.
pub(super) async fn replay(args: &TestArgs, manifest: &Manifest, id: &DeadLetterId) -> Result<(), Failure> {
    let ask = async |admin: &dyn Admin| redriven(admin, id).await;
    let letter = with(&args.query.data, Absent::Refuse, ask).await?;
    let name = deployment(manifest, args.deployment.as_deref(), &letter)?;
    let component = component::load_of(manifest, &name, args.component.as_deref())?;
    let came = invoke::once(&component.handler, &delivery(&letter)).await;
    match args.query.format.into() {
        Format::Json => output::json(&json!({
            "dead_letter": letter,
            "deployment": name,
            "now": came.as_json(),
        }))?,
        Format::Table => output::data(&described(&letter, &came))?,
    }
    verdict(&came.end)
}

/// The letter, with the record that a redrive would make of it; fails where that would.
async fn redriven(admin: &dyn Admin, id: &DeadLetterId) -> Result<DeadLetterDetail, Failure> {
    let mut letter = admin.dead_letter(id.clone()).await?;
    letter.record = admin.original(id.clone()).await?;
    Ok(letter)
}

/// As it would be delivered after a redrive: the first attempt of a new record, without a checkpoint.
fn delivery(letter: &DeadLetterDetail) -> Delivery {
    let from = &letter.summary;
    let source = || format!("{}/{}/{}", from.source_topic, from.source_partition, from.source_offset);
    let origin = letter.origin.clone().unwrap_or_else(source);
    let mut record = letter.record.clone();
    record.headers.push(Header {
        name: ORIGIN_HEADER.to_owned(),
        value: Some(origin.clone().into()),
    });
    Delivery {
        record,
        topic: Some(from.source_topic.clone()),
        offset: from.source_offset,
        attempt: 1,
        checkpoint: None,
        identity: Identity::Origin(origin),
    }
}

/// The one that is named, or the one whose group gave the record up.
fn deployment(manifest: &Manifest, wanted: Option<&str>, letter: &DeadLetterDetail) -> Result<String, Failure> {
    if let Some(name) = wanted {
        component::deployment(manifest, name)?;
        return Ok(name.to_owned());
    }
    let from = &letter.summary;
    let its_own = manifest
        .deployments
        .iter()
        .find(|(_, one)| one.group == from.group && one.topic == from.source_topic);
    its_own.map(|(name, _)| name.clone()).ok_or_else(|| {
        let names: Vec<&str> = manifest.deployments.keys().map(String::as_str).collect();
        let message = format!(
            "the manifest has no deployment of group {} on topic {}, from which {} comes; it has {}",
            from.group,
            from.source_topic,
            from.id,
            names.join(", ")
        );
        Failure::new(message).hint("name the deployment with --deployment NAME")
    })
}

fn described(letter: &DeadLetterDetail, came: &Invocation) -> String {
    let from = &letter.summary;
    let reason = from.reason.as_deref().unwrap_or("no reason");
    let lines = [
        ("letter", from.id.to_string()),
        (
            "from",
            format!(
                "{}/{}/{}, group {}",
                from.source_topic, from.source_partition, from.source_offset, from.group
            ),
        ),
        ("was", format!("{}: {reason}", from.cause)),
        ("by module", letter.module.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10}{}", output::printable(&value));
    }
    text.push('\n');
    text.push_str(&came.as_text());
    text
}

/// What a redrive would come to.
fn verdict(end: &CallEnd) -> Result<(), Failure> {
    let text = describe(end);
    match end {
        CallEnd::Outcome(Outcome::Accept | Outcome::Renew { .. }) => Ok(()),
        CallEnd::Outcome(Outcome::Reject { .. }) => Err(Failure::new(format!(
            "redriven now it would be a dead letter again: {text}"
        ))),
        _ => Err(Failure::new(format!(
            "redriven now its first attempt would fail: {text}"
        ))),
    }
}
