//! `sharemill config check` and `config show`.

use serde::Serialize;

use super::args::{ConfigCheck, ConfigShow, ShowFormat};
use super::{components, leftover, manifest};
use crate::config::{Loaded, Manifest, Problem, Severity, Shown, Source};
use crate::output::{self, Failure, Format};

/// The answer of `config check --format json`.
#[derive(Serialize)]
struct Report<'a> {
    manifest: &'a std::path::Path,
    errors: usize,
    warnings: usize,
    problems: Vec<&'a Problem>,
}

/// Names everything that is wrong with a manifest, and what the data directory has beside it.
pub(super) async fn check(args: &ConfigCheck) -> Result<(), Failure> {
    let mut loaded = manifest::read(args.manifest.manifest.clone())?;
    loaded.problems.extend(components::find(&loaded));
    if !loaded.problems.has_errors() {
        loaded.problems.extend(foreseen(&loaded.manifest));
    }
    if !loaded.problems.has_errors() {
        loaded.problems.extend(leftover::find(&loaded.manifest).await);
    }
    let problems = &loaded.problems;
    let (errors, warnings) = (problems.count(Severity::Error), problems.count(Severity::Warning));
    if Format::from(args.format) == Format::Json {
        let report = Report {
            manifest: &loaded.manifest.file,
            errors,
            warnings,
            problems: problems.iter().collect(),
        };
        output::json(&report)?;
    } else {
        problems.iter().for_each(output::problem);
        output::data(&summary(&loaded, errors, warnings))?;
    }
    if errors > 0 { Err(Failure::told()) } else { Ok(()) }
}

/// What the journals of a manifest would meet at a start.
fn foreseen(manifest: &Manifest) -> Vec<Problem> {
    let sources = manifest.sources.iter();
    let foresee = |(name, source): (&String, &Source)| match source {
        Source::Embedded(source) => crate::host::foresee(name, source, manifest.host.profile),
        Source::Kafka(_) => Vec::new(),
    };
    sources.flat_map(foresee).collect()
}

/// Prints a manifest with every default; reading it gives the same manifest.
pub(super) fn show(args: &ConfigShow) -> Result<(), Failure> {
    let manifest = manifest::load(args.manifest.manifest.clone())?;
    match args.format {
        ShowFormat::Json => output::json(&Shown::new(&manifest)),
        ShowFormat::Toml => {
            let printed = Shown::new(&manifest).toml();
            let printed =
                printed.map_err(|error| Failure::new(format!("cannot print the manifest as TOML: {error}")))?;
            output::data(&printed)
        }
    }
}

fn summary(loaded: &Loaded, errors: usize, warnings: usize) -> String {
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}: {}, {}, {}, {}\n",
        loaded.manifest.file.display(),
        counted(loaded.manifest.deployments.len(), "deployment"),
        counted(loaded.manifest.topics.len(), "topic"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    )
}
