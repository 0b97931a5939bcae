//! Looks into a component without the wish to run it: what `load` would refuse is listed as it is, with the refusal beside it.
//! Called by the command line.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use wasmparser::{KnownCustom, Parser, Payload};

use super::host_engine::HostEngine;
use super::load::{self, LIFECYCLE};
use super::load_error::LoadError;
use super::report::{ComponentReport, ImportGrant, ImportUse, export_names, import_names, import_use};
use super::spec::HandlerSpec;
use super::version;
use super::{BATCH_HANDLER, RECORD_HANDLER};
use crate::config::{HttpGrant, Scheme, ServerName, WebOrigin};

/// What a component is, and how it would fare.
#[derive(Debug)]
pub struct Looked {
    /// What it is.
    pub report: ComponentReport,
    /// The worlds of the contract whose exports it has; none if it is no handler.
    pub worlds: Vec<&'static str>,
    /// Versions of the contract that it names.
    pub contract: Vec<String>,
    /// What made it.
    pub producers: Vec<Producer>,
    /// Why the deployment cannot have it.
    pub refused: Option<LoadError>,
    /// Where that is for want of a grant of servers: why it could not run with one.
    pub refused_beside: Option<LoadError>,
}

/// One tool or language that a component says it was made by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
}

/// Fails only where nothing can be said of the file.
pub(super) fn look(host: &HostEngine, source: &Path, spec: &Arc<HandlerSpec>) -> Result<Looked, LoadError> {
    let bytes = load::read(source)?;
    let opened = load::open(host, source, &bytes)?;
    let (engine, component) = (&host.engine, &opened.component);
    let exports = export_names(engine, component);
    let imports = import_names(engine, component).into_iter().map(|name| {
        import_use(&name, spec).unwrap_or(ImportUse {
            name,
            grant: ImportGrant::Unknown,
        })
    });
    let memory = component.resources_required();
    let report = ComponentReport {
        imports: imports.collect(),
        initial_memory: memory.map(|needed| load::memory_bytes(&needed)),
        ..opened.report(source)
    };
    let looked = Looked {
        worlds: worlds(&exports),
        contract: version::named(engine, component),
        producers: producers(&bytes),
        report: ComponentReport { exports, ..report },
        refused: None,
        refused_beside: None,
    };
    let refused = load::link(host, source, opened.clone(), Arc::clone(spec)).err();
    let refused_beside = if matches!(refused, Some(LoadError::HttpNotGranted { .. })) {
        load::link(host, source, opened, Arc::new(with_a_server(spec))).err()
    } else {
        None
    };
    Ok(Looked {
        refused,
        refused_beside,
        ..looked
    })
}

fn with_a_server(spec: &HandlerSpec) -> HandlerSpec {
    let mut spec = spec.clone();
    spec.grants.http.push(HttpGrant {
        url: WebOrigin {
            scheme: Scheme::Http,
            host: ServerName::Name("localhost".to_owned()),
            port: Scheme::Http.port(),
        },
        methods: vec!["GET".to_owned()],
        addresses: Vec::new(),
    });
    spec
}

/// Of whatever version.
fn worlds(exports: &[String]) -> Vec<&'static str> {
    let interface = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let has = |wanted: &str| exports.iter().any(|export| interface(export) == interface(wanted));
    let plain = [
        (RECORD_HANDLER, "handler", "configurable-handler"),
        (BATCH_HANDLER, "batch-handler", "configurable-batch-handler"),
    ];
    let found = plain.into_iter().filter(|(export, _, _)| has(export));
    found
        .map(|(_, plain, configurable)| if has(LIFECYCLE) { configurable } else { plain })
        .collect()
}

/// From every section of that name, those of the modules within included. What cannot be read says nothing.
fn producers(bytes: &[u8]) -> Vec<Producer> {
    let mut found = BTreeSet::new();
    let sections = Parser::new(0).parse_all(bytes).filter_map(|payload| match payload {
        Ok(Payload::CustomSection(section)) => Some(section),
        _ => None,
    });
    for section in sections {
        let KnownCustom::Producers(fields) = section.as_known() else {
            continue;
        };
        for field in fields.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                found.insert(Producer {
                    role: field.name.to_owned(),
                    name: value.name.to_owned(),
                    version: value.version.to_owned(),
                });
            }
        }
    }
    found.into_iter().take(PRODUCERS_MAX).collect()
}

/// More than any build makes; a component says what it likes.
const PRODUCERS_MAX: usize = 32;
