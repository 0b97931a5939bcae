//! `sharemill doctor`: why nothing is consumed.

#[cfg(feature = "kafka")]
use std::fmt::Write as _;

use super::args::DoctorArgs;
use super::manifest;
use crate::config::Source;
#[cfg(feature = "kafka")]
use crate::config::{KafkaSource, Manifest};
#[cfg(feature = "kafka")]
use crate::host::{Finding, Verdict, examine};
use crate::output::Failure;
#[cfg(feature = "kafka")]
use crate::output::{self, Format, counted};

/// Looks, says what was found, and fails if something stands in the way.
pub(super) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let manifest = manifest::load(args.manifest.manifest)?;
    match manifest.sources.values().next() {
        #[cfg(feature = "kafka")]
        Some(Source::Kafka(source)) => look_at(&manifest, source, args.format.into()).await,
        Some(Source::Embedded(_)) => Err(Failure::new(
            "the source is an embedded engine, and doctor asks Kafka clusters",
        )
        .hint("sharemill group describe says how a group of the engine stands; sharemill verify reads its files")),
        _ => Err(Failure::new("there is no source that doctor could ask")),
    }
}

#[cfg(feature = "kafka")]
async fn look_at(manifest: &Manifest, source: &KafkaSource, format: Format) -> Result<(), Failure> {
    let findings = examine(manifest, source).await;
    match format {
        Format::Json => output::json(&serde_json::json!({ "findings": findings }))?,
        Format::Table => output::data(&described(&findings))?,
    }
    let bad = findings.iter().filter(|one| one.verdict == Verdict::Bad).count();
    if bad == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("{} in the way", counted(bad as u64, "thing"))))
}

#[cfg(feature = "kafka")]
fn described(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => "ok   ",
            Verdict::Note => "note ",
            Verdict::Bad => "BAD  ",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark}{}: {}", finding.about, finding.found);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "     hint: {hint}");
        }
    }
    text
}
