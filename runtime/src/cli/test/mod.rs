//! `sharemill test`: records from files through the built component, as the deployment would have them handled, and what differs from
//! what was expected. Each record has an instance of its own, so that none depends on the one before. Nothing is produced.

mod case;
mod expect;
mod fields;
mod find;
mod json;
mod letter;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::TestArgs;
use super::invoke::{self, Delivery, Identity};
use super::{component, manifest};
use crate::config::Manifest;
use crate::output::{self, Failure, Format};
use case::Case;
use report::Tested;

/// Fails if a record came to something else than was expected; 2 if a file has lines that are no records.
pub(super) async fn run(args: TestArgs) -> Result<(), Failure> {
    let manifest = manifest::load(args.query.data.manifest.clone())?;
    if let Some(id) = &args.from_dead_letter {
        return letter::replay(&args, &manifest, id).await;
    }
    if !args.query.data.is_plain() {
        return Err(
            Failure::usage("a data directory or a cluster is asked only with --from-dead-letter")
                .hint("leave it out: the records of a test are in files"),
        );
    }
    let cases = cases(&args, &manifest)?;
    let is_table = Format::from(args.query.format) == Format::Table;
    let (mut tested, mut differ) = (Vec::new(), 0);
    let count = cases.values().map(Vec::len).sum();
    for (deployment, cases) in cases {
        let component = component::load_of(&manifest, &deployment, args.component.as_deref())?;
        for case in cases {
            let came = invoke::once(&component.handler, &delivery(&case)).await;
            let differences = case.expect.compare(&came.end, &came.emitted, &came.said.sent);
            differ += usize::from(!differences.is_empty());
            let one = Tested {
                case,
                deployment: deployment.clone(),
                came,
                differences,
            };
            if is_table {
                output::data(&one.text())?;
            } else {
                tested.push(one.json());
            }
        }
    }
    if is_table {
        output::data(&report::summary(count, differ))?;
    } else {
        output::json(&json!({ "records": tested, "passed": count - differ, "failed": differ }))?;
    }
    if differ == 0 { Ok(()) } else { Err(Failure::told()) }
}

/// The records that are wanted, by deployment. All files are read before anything runs.
fn cases(args: &TestArgs, manifest: &Manifest) -> Result<BTreeMap<String, Vec<Case>>, Failure> {
    let base = manifest.file.parent().unwrap_or(Path::new(""));
    let place = args.records.clone().unwrap_or_else(|| base.join("records"));
    let files = find::files(manifest, &place, args.deployment.as_deref())?;
    let mut cases: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    let (mut count, mut malformed, mut room) = (0, 0, case::Room::default());
    for file in files {
        let shown = shown_path(&file.path, base);
        let (read, wrong) = case::read(&file.path, &shown, &mut room)?;
        malformed += wrong;
        count += read.len();
        cases.entry(file.deployment).or_default().extend(read);
    }
    if malformed > 0 {
        let message = format!(
            "{} of record files cannot be read, and nothing was run",
            output::counted(malformed, "line")
        );
        return Err(Failure::usage(message).hint(case::SHAPE));
    }
    if let Some(filter) = &args.filter {
        for cases in cases.values_mut() {
            cases.retain(|case| case.name.contains(filter) || case.place.contains(filter));
        }
        cases.retain(|_, cases| !cases.is_empty());
    }
    if cases.values().all(Vec::is_empty) {
        let message = match &args.filter {
            Some(filter) => format!(
                "none of the {} has \"{filter}\" in its name or place",
                output::counted(count as u64, "record")
            ),
            None => format!("there are no records in {}", place.display()),
        };
        return Err(Failure::usage(message).hint(case::SHAPE));
    }
    Ok(cases)
}

fn delivery(case: &Case) -> Delivery {
    Delivery {
        record: case.record.clone(),
        topic: case.topic.clone(),
        offset: 0,
        attempt: case.delivery_count,
        checkpoint: case.checkpoint.clone(),
        identity: Identity::MadeUp(case.place.clone()),
    }
}

/// Beside the manifest, as a person would write it.
fn shown_path(path: &Path, base: &Path) -> String {
    let short = path.strip_prefix(base).map_or_else(|_| path.to_owned(), PathBuf::from);
    short.display().to_string()
}
