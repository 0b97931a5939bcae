//! `sharemill module inspect`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::InspectArgs;
use super::component;
use crate::handler::{CompiledFrom, ComponentReport, ImportGrant};
use crate::output::{self, Align, Failure, Format, Table, bytes};

/// The answer as JSON.
#[derive(Serialize)]
struct Report<'a> {
    component: &'a std::path::Path,
    digest: &'a str,
    bytes: u64,
    initial_memory: Option<u64>,
    handles: Vec<&'static str>,
    exports: &'a [String],
    imports: Vec<Import<'a>>,
}

#[derive(Serialize)]
struct Import<'a> {
    name: &'a str,
    grant: &'static str,
}

/// Lists what a component exports and imports, and what it is not granted.
pub(super) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let component = component::load(&args.component, args.deployment.as_deref(), &args.manifest)?;
    let loaded = &component.handler;
    let report = loaded.inspect();
    let mut handles = Vec::new();
    if loaded.is_record_handler() {
        handles.push("records");
    }
    if loaded.is_batch_handler() {
        handles.push("batches");
    }
    match args.format.into() {
        Format::Json => output::json(&Report {
            component: &report.path,
            digest: &report.digest,
            bytes: report.bytes,
            initial_memory: report.initial_memory,
            handles,
            exports: &report.exports,
            imports: report
                .imports
                .iter()
                .map(|i| Import {
                    name: &i.name,
                    grant: grant_word(i.grant),
                })
                .collect(),
        }),
        Format::Table => output::data(&described(&report, &handles)),
    }
}

fn described(report: &ComponentReport, handles: &[&str]) -> String {
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
    line("handles", &handles.join(", "));
    line(
        "compiled",
        if report.compiled_from == CompiledFrom::Cache {
            "earlier, from the cache"
        } else {
            "now"
        },
    );
    for export in &report.exports {
        line("exports", export);
    }
    let mut table = Table::new(&[("import", Align::Left), ("grant", Align::Left)]);
    for import in &report.imports {
        table.row([import.name.clone(), grant_word(import.grant).to_owned()]);
    }
    text.push('\n');
    text.push_str(&table.render());
    let closed = report.not_granted().count() as u64;
    if closed > 0 {
        let _ = write!(
            text,
            "\n{} not granted: what they reach is empty or refused\n",
            output::counted(closed, "import")
        );
    }
    text
}

fn grant_word(grant: ImportGrant) -> &'static str {
    match grant {
        ImportGrant::Free => "not needed",
        ImportGrant::Granted => "granted",
        ImportGrant::Closed => "not granted",
    }
}
