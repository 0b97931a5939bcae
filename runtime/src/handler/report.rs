//! What a component is, for people: `inspect`, error messages and the dead letters' module digest come from here.

use std::path::PathBuf;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiled::CompiledFrom;
use super::spec::HandlerSpec;

/// What a loaded component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentReport {
    /// Where it was read from.
    pub path: PathBuf,
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// Largest memory it starts with, in bytes; `None` where that cannot be told without running it.
    pub initial_memory: Option<u64>,
    /// Compiled now, or mapped from the cache.
    pub compiled_from: CompiledFrom,
    /// Names of its exports.
    pub exports: Vec<String>,
    /// Its imports, and what the deployment makes of each.
    pub imports: Vec<ImportUse>,
}

impl ComponentReport {
    /// Imports that need a grant the deployment does not give: calling them fails or shows nothing.
    pub fn not_granted(&self) -> impl Iterator<Item = &ImportUse> {
        self.imports.iter().filter(|import| import.grant == ImportGrant::Closed)
    }
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportUse {
    /// Its full name, version included.
    pub name: String,
    /// What the deployment makes of it.
    pub grant: ImportGrant,
}

/// What a deployment makes of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportGrant {
    /// Needs no grant.
    Free,
    /// Granted, at least in part.
    Granted,
    /// Linked, but empty or refusing everything.
    Closed,
    /// This host has no such interface.
    Unknown,
}

impl ImportUse {
    /// What would open a closed import, as the manifest has it; `None` where nothing is to be opened, or nothing opens it.
    pub fn grant_line(&self) -> Option<&'static str> {
        if self.grant != ImportGrant::Closed {
            return None;
        }
        let interface = self.name.split('@').next().unwrap_or(&self.name);
        match interface {
            "sharemill:worker/producer" => Some(r#"grants = { emit = ["TOPIC"] }"#),
            "wasi:cli/environment" => Some(r#"grants = { env = { NAME = "VALUE" } }"#),
            "wasi:config/store" => {
                Some(r#"grants = { config = { NAME = "VALUE" } } or secrets = { NAME = { env = "VARIABLE" } }"#)
            }
            other if other.starts_with("wasi:http/") => {
                Some(r#"grants = { http = [{ url = "https://HOST", methods = ["GET", "POST"] }] }"#)
            }
            other if other.starts_with("wasi:filesystem/") => {
                Some(r#"grants = { files = [{ host = "FOLDER", guest = "/NAME", access = "read" }] }"#)
            }
            _ => None,
        }
    }
}

/// What lets a handler send requests, as a table of grants has it.
pub(crate) const HTTP_GRANT_LINE: &str = r#"http = [{ url = "https://HOST", methods = ["GET", "POST"] }]"#;

/// `None`: no such interface in this host.
pub(super) fn import_use(name: &str, spec: &HandlerSpec) -> Option<ImportUse> {
    let interface = name.split('@').next().unwrap_or(name);
    let granted = |open: bool| {
        if open {
            ImportGrant::Granted
        } else {
            ImportGrant::Closed
        }
    };
    let grant = match interface {
        "sharemill:worker/types"
        | "sharemill:worker/context"
        | "sharemill:worker/lease"
        | "sharemill:worker/logging"
        | "sharemill:worker/metrics" => ImportGrant::Free,
        "sharemill:worker/producer" => granted(!spec.grants.emit.is_empty()),
        "wasi:cli/environment" => granted(!spec.grants.env.is_empty()),
        "wasi:config/store" => granted(!spec.grants.config.is_empty() || !spec.secrets.values().is_empty()),
        other => match other.split('/').next() {
            Some("wasi:cli" | "wasi:io" | "wasi:clocks" | "wasi:random") => ImportGrant::Free,
            Some("wasi:filesystem") => granted(!spec.grants.files.is_empty()),
            Some("wasi:http") => granted(!spec.grants.http.is_empty()),
            Some("wasi:sockets") => ImportGrant::Closed,
            _ => return None,
        },
    };
    Some(ImportUse {
        name: name.to_owned(),
        grant,
    })
}

pub(super) fn import_names(engine: &Engine, component: &Component) -> Vec<String> {
    component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect()
}

pub(super) fn export_names(engine: &Engine, component: &Component) -> Vec<String> {
    component
        .component_type()
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect()
}
