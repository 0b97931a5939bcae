//! `sharemill module inspect`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::InspectArgs;
use super::component;
use crate::handler::{CONTRACT, CompiledFrom, ImportGrant, ImportUse, LoadError, Looked, Producer};
use crate::output::{self, Align, Failure, Format, Table, bytes};

/// The answer as JSON.
#[derive(Serialize)]
struct Report<'a> {
    component: &'a std::path::Path,
    digest: &'a str,
    bytes: u64,
    initial_memory: Option<u64>,
    worlds: &'a [&'static str],
    contract: &'a [String],
    host_contract: &'static str,
    handles: Vec<&'static str>,
    made_by: Vec<Maker<'a>>,
    exports: &'a [String],
    imports: Vec<Import<'a>>,
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Maker<'a> {
    role: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Import<'a> {
    name: &'a str,
    grant: &'static str,
    granted_by: Option<&'static str>,
}

#[derive(Clone, Serialize)]
struct Refused {
    message: String,
    hint: String,
}

impl<'a> From<&'a Producer> for Maker<'a> {
    fn from(producer: &'a Producer) -> Self {
        Self {
            role: &producer.role,
            name: &producer.name,
            version: &producer.version,
        }
    }
}

impl<'a> From<&'a ImportUse> for Import<'a> {
    fn from(import: &'a ImportUse) -> Self {
        Self {
            name: &import.name,
            grant: grant_word(import.grant),
            granted_by: import.grant_line(),
        }
    }
}

/// Lists what a component exports and imports, and what it is not granted; fails if it could not run.
pub(super) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let (looked, is_deployed) = component::look(&args.component, args.deployment.as_deref(), &args.manifest)?;
    // Without a deployment nothing is granted, and the list says what has to be.
    let refused = match &looked.refused {
        Some(LoadError::HttpNotGranted { .. }) if !is_deployed => looked.refused_beside.as_ref(),
        refused => refused.as_ref(),
    };
    let refused = refused.map(|error| refused_as(error, is_deployed));
    match args.format.into() {
        Format::Json => output::json(&report(&looked, refused.clone()))?,
        Format::Table => output::data(&described(&looked))?,
    }
    match refused {
        Some(Refused { message, hint }) => Err(Failure::new(message).hint(hint)),
        None => Ok(()),
    }
}

fn refused_as(error: &LoadError, is_deployed: bool) -> Refused {
    let (message, hint) = component::why(error, is_deployed);
    let hint = match error {
        // The list that the hint names elsewhere stands right above.
        LoadError::UnknownImport { .. } => "build it without what needs this".to_owned(),
        _ => hint,
    };
    Refused { message, hint }
}

fn report(looked: &Looked, refused: Option<Refused>) -> Report<'_> {
    let it = &looked.report;
    Report {
        component: &it.path,
        digest: &it.digest,
        bytes: it.bytes,
        initial_memory: it.initial_memory,
        worlds: &looked.worlds,
        contract: &looked.contract,
        host_contract: CONTRACT,
        handles: handles(looked),
        made_by: looked.producers.iter().map(Maker::from).collect(),
        exports: &it.exports,
        imports: it.imports.iter().map(Import::from).collect(),
        refused,
    }
}

fn described(looked: &Looked) -> String {
    let report = &looked.report;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10}{}", output::printable(value));
    };
    line("component", &report.path.display().to_string());
    line("digest", &report.digest);
    line("size", &bytes(report.bytes));
    line(
        "memory",
        &report
            .initial_memory
            .map_or_else(|| "unknown until it runs".to_owned(), bytes),
    );
    line("world", &or(&looked.worlds.join(", "), "none that makes a handler"));
    let contract: Vec<String> = looked
        .contract
        .iter()
        .map(|version| format!("sharemill:worker@{version}"))
        .collect();
    line("contract", &or(&contract.join(", "), "none"));
    line("handles", &or(&handles(looked).join(", "), "nothing"));
    line(
        "compiled",
        if report.compiled_from == CompiledFrom::Cache {
            "earlier, from the cache"
        } else {
            "now"
        },
    );
    for producer in &looked.producers {
        let it = format!("{} {} {}", producer.role, producer.name, producer.version);
        line("made by", it.trim_end());
    }
    for export in &report.exports {
        line("exports", export);
    }
    let mut table = Table::new(&[("import", Align::Left), ("grant", Align::Left)]);
    for import in &report.imports {
        table.row([import.name.clone(), grant_text(import)]);
    }
    text.push('\n');
    text.push_str(&table.render());
    let closed = report.not_granted().count() as u64;
    if closed > 0 {
        let _ = write!(
            text,
            "\n{} not granted: what lies behind is empty or refused; standard libraries import some that they do not use\n",
            output::counted(closed, "import")
        );
    }
    text
}

fn handles(looked: &Looked) -> Vec<&'static str> {
    let handled = looked
        .worlds
        .iter()
        .map(|world| if world.contains("batch") { "batches" } else { "records" });
    handled.collect()
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

fn grant_text(import: &ImportUse) -> String {
    let word = grant_word(import.grant);
    match (import.grant, import.grant_line()) {
        (ImportGrant::Closed, Some(line)) => format!("{word}: {line}"),
        (ImportGrant::Closed, None) => format!("{word}: nothing opens it"),
        _ => word.to_owned(),
    }
}

fn grant_word(grant: ImportGrant) -> &'static str {
    match grant {
        ImportGrant::Free => "not needed",
        ImportGrant::Granted => "granted",
        ImportGrant::Closed => "not granted",
        ImportGrant::Unknown => "unknown to this host",
    }
}
