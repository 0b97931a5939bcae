//! From a file to a handler that can be instantiated: what it is, whether it is whole, which export it has and whether the type is right,
//! which imports it has and whether they can be met. Everything that can be wrong with a component is said here, not at its first record.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Precompiled, ResourcesRequired};
use wasmtime_wasi_config::WasiConfigVariables;

use super::bindings::exports::sharemill::worker::{lifecycle, record_batch_handler, record_handler};
use super::bindings::sharemill::worker::types::{Delivery, Outcome};
use super::compiled::{CompiledFrom, ComponentDigest, hex};
use super::host_engine::{HostEngine, TABLE_ELEMENTS_MAX};
use super::load_error::LoadError;
use super::log_budget::LogBudget;
use super::report::{ComponentReport, ImportUse, export_names, import_names, import_use};
use super::sniff::{self, Found};
use super::spec::HandlerSpec;
use super::state::HostState;
use super::ticker::{Activity, Ticker};
use super::version;
use crate::config::{HttpGrant, Scheme};

/// A component ready to be instantiated, with the policy of its deployment. Shared by all lanes.
pub struct LoadedHandler {
    pub(super) pre: InstancePre<HostState>,
    pub(super) record: Option<record_handler::GuestIndices>,
    pub(super) batch: Option<record_batch_handler::GuestIndices>,
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    spec: Arc<HandlerSpec>,
    config_values: WasiConfigVariables,
    log_budget: Arc<LogBudget>,
    #[cfg(feature = "http")]
    policy: Arc<super::http::Policy>,
    #[cfg(feature = "http")]
    client: Arc<super::http::Client>,
    /// Deadlines hold as long as anything can run.
    ticker: Arc<Ticker>,
    digest: ComponentDigest,
    report: ComponentReport,
}

impl std::fmt::Debug for LoadedHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedHandler")
            .field("deployment", &self.spec.deployment)
            .field("digest", &hex(&self.digest))
            .finish_non_exhaustive()
    }
}

impl LoadedHandler {
    /// The deployment's policy.
    pub fn spec(&self) -> &HandlerSpec {
        &self.spec
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// True when it takes one record a call.
    pub fn is_record_handler(&self) -> bool {
        self.record.is_some()
    }

    /// True when it takes several records a call.
    pub fn is_batch_handler(&self) -> bool {
        self.batch.is_some()
    }

    /// True when it has a `configure`, which gets the deployment's settings.
    pub fn takes_settings(&self) -> bool {
        self.report.exports.iter().any(|export| export == LIFECYCLE)
    }

    /// What it is, imports and exports included.
    pub fn inspect(&self) -> ComponentReport {
        self.report.clone()
    }

    pub(super) fn config_values(&self) -> &WasiConfigVariables {
        &self.config_values
    }

    #[cfg(feature = "http")]
    pub(super) fn outgoing(&self, sink: Arc<super::log_sink::LogSink>) -> super::http::Outgoing {
        super::http::Outgoing::new(self.policy.clone(), self.client.clone(), sink)
    }

    pub(super) fn log_budget(&self) -> &Arc<LogBudget> {
        &self.log_budget
    }

    pub(super) fn activity(&self) -> &Activity {
        self.ticker.activity()
    }
}

pub(super) fn load(host: &HostEngine, source: &Path, spec: Arc<HandlerSpec>) -> Result<Arc<LoadedHandler>, LoadError> {
    load_bytes(host, source, &read(source)?, spec)
}

/// The file, if it is not larger than any component may be.
pub(super) fn read(source: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error| LoadError::Read {
        path: source.to_owned(),
        source: error,
    };
    let file = File::open(source).map_err(failed)?;
    too_large(source, file.metadata().map_err(failed)?.len())?;
    let mut bytes = Vec::new();
    // A device or a pipe has no length, and may have no end.
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

pub(super) fn load_bytes(
    host: &HostEngine,
    path: &Path,
    bytes: &[u8],
    spec: Arc<HandlerSpec>,
) -> Result<Arc<LoadedHandler>, LoadError> {
    check_spec(host, &spec)?;
    link(host, path, open(host, path, bytes)?, spec)
}

/// A component that is whole and compiled, of which nothing else is known.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) component: Component,
    digest: ComponentDigest,
    bytes: u64,
    compiled_from: CompiledFrom,
}

impl Opened {
    /// What is known of it.
    pub(super) fn report(&self, path: &Path) -> ComponentReport {
        ComponentReport {
            path: path.to_owned(),
            digest: hex(&self.digest),
            bytes: self.bytes,
            initial_memory: None,
            compiled_from: self.compiled_from,
            exports: Vec::new(),
            imports: Vec::new(),
        }
    }
}

/// Finds out whether the file is a component, and compiles it or takes it from the cache.
pub(super) fn open(host: &HostEngine, path: &Path, bytes: &[u8]) -> Result<Opened, LoadError> {
    too_large(path, bytes.len() as u64)?;
    check_kind(path, bytes)?;
    let digest: ComponentDigest = Sha256::digest(bytes).into();
    let (component, compiled_from) = compile(host, path, bytes, &digest)?;
    Ok(Opened {
        component,
        digest,
        bytes: bytes.len() as u64,
        compiled_from,
    })
}

/// Checks what it imports and exports, and makes a handler of it.
pub(super) fn link(
    host: &HostEngine,
    path: &Path,
    opened: Opened,
    spec: Arc<HandlerSpec>,
) -> Result<Arc<LoadedHandler>, LoadError> {
    check_spec(host, &spec)?;
    let report = opened.report(path);
    let Opened { component, digest, .. } = opened;
    version::check(&host.engine, path, &component)?;
    let imports = check_imports(host, path, &component, &spec)?;
    let pre = host.linker.instantiate_pre(&component).map_err(|error| {
        version::differs(&host.engine, path, &component).unwrap_or_else(|| LoadError::WrongImport {
            path: path.to_owned(),
            message: one_line(&error),
        })
    })?;
    check_exports(&host.engine, path, &component)?;
    let memory = check_memory(path, &component, &spec)?;
    component
        .initialize_copy_on_write_image()
        .map_err(|error| invalid(path, &error))?;

    let record = record_handler::GuestIndices::new(&pre).ok();
    let batch = record_batch_handler::GuestIndices::new(&pre).ok();
    let lifecycle = lifecycle::GuestIndices::new(&pre).ok();
    let report = ComponentReport {
        initial_memory: memory,
        exports: export_names(&host.engine, &component),
        imports,
        ..report
    };
    let config_values = spec.grants.config.iter().chain(spec.secrets.values());
    let config_values = config_values.map(|(k, v)| (k.clone(), v.clone())).collect();
    let log_budget = Arc::new(LogBudget::new(&spec.deployment, &spec.limits));
    Ok(Arc::new(LoadedHandler {
        #[cfg(feature = "http")]
        policy: Arc::new(super::http::Policy::new(&spec)),
        #[cfg(feature = "http")]
        client: host.http.clone(),
        pre,
        record,
        batch,
        lifecycle,
        spec,
        config_values,
        log_budget,
        ticker: Arc::clone(host.ticker()),
        digest,
        report,
    }))
}

/// What can be wrong with the deployment whatever the component is.
fn check_spec(host: &HostEngine, spec: &HandlerSpec) -> Result<(), LoadError> {
    if spec.limits.memory > host.memory_max {
        return Err(LoadError::MemoryLimit {
            wanted: spec.limits.memory,
            limit: host.memory_max,
        });
    }
    check_directories(spec)
}

fn too_large(path: &Path, size: u64) -> Result<(), LoadError> {
    if size > COMPONENT_BYTES {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
            size,
            limit: COMPONENT_BYTES,
        });
    }
    Ok(())
}

fn check_directories(spec: &HandlerSpec) -> Result<(), LoadError> {
    for grant in &spec.grants.files {
        std::fs::read_dir(&grant.host).map_err(|source| LoadError::Directory {
            host: grant.host.clone(),
            source,
        })?;
    }
    Ok(())
}

fn check_kind(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let path = || path.to_owned();
    if let Some(Precompiled::Module | Precompiled::Component) = Engine::detect_precompiled(bytes) {
        return Err(LoadError::Precompiled { path: path() });
    }
    match sniff::sniff(bytes) {
        Found::Component => Ok(()),
        Found::CoreModule => Err(LoadError::CoreModule { path: path() }),
        Found::Other(found) => Err(LoadError::NotWasm { path: path(), found }),
        Found::Truncated { needed } => Err(LoadError::Truncated {
            path: path(),
            size: bytes.len() as u64,
            needed,
        }),
    }
}

fn compile(
    host: &HostEngine,
    path: &Path,
    bytes: &[u8],
    digest: &ComponentDigest,
) -> Result<(Component, CompiledFrom), LoadError> {
    let compiled = match &host.cache {
        Some(cache) => cache.load(&host.engine, bytes, digest),
        None => Component::new(&host.engine, bytes).map(|component| (component, CompiledFrom::Source)),
    };
    compiled.map_err(|error| {
        let message = one_line(&error);
        let about_feature = ["not enabled", "must be enabled", "disabled", "feature"]
            .iter()
            .any(|words| message.contains(words));
        if about_feature {
            LoadError::Feature {
                path: path.to_owned(),
                message,
            }
        } else {
            invalid(path, &error)
        }
    })
}

/// Closed unless granted: a handler that cannot send its requests is of no use.
fn check_http(host: &HostEngine, path: &Path, import: &str, spec: &HandlerSpec) -> Result<(), LoadError> {
    let (path, import) = (path.to_owned(), import.to_owned());
    let deployment = spec.deployment.clone();
    if spec.grants.http.is_empty() {
        return Err(LoadError::HttpNotGranted {
            path,
            import,
            deployment,
        });
    }
    if cfg!(not(feature = "http")) {
        return Err(LoadError::HttpNotBuilt { path, import });
    }
    let is_secure = |grant: &HttpGrant| grant.url.scheme == Scheme::Https;
    if spec.grants.http.iter().any(is_secure) {
        host.prepare_tls()
            .map_err(|why| LoadError::Certificates { deployment, why })?;
    }
    Ok(())
}

fn check_imports(
    host: &HostEngine,
    path: &Path,
    component: &Component,
    spec: &HandlerSpec,
) -> Result<Vec<ImportUse>, LoadError> {
    let mut imports = Vec::new();
    for import in import_names(&host.engine, component) {
        if import.starts_with("wasi:http/") {
            check_http(host, path, &import, spec)?;
        }
        match import_use(&import, spec) {
            Some(import_use) => imports.push(import_use),
            None => {
                return Err(LoadError::UnknownImport {
                    path: path.to_owned(),
                    import,
                });
            }
        }
    }
    Ok(imports)
}

fn check_exports(engine: &Engine, path: &Path, component: &Component) -> Result<(), LoadError> {
    let mut handlers = 0;
    for (export, function, check) in EXPORTS {
        let Some(found) = exported_function(engine, component, export, function) else {
            continue;
        };
        let checked = found.and_then(|function| check(&function, component));
        checked.map_err(|error| LoadError::WrongType {
            path: path.to_owned(),
            export: (*export).to_owned(),
            message: one_line(&error),
        })?;
        handlers += usize::from(*export != LIFECYCLE);
    }
    if handlers > 0 {
        return Ok(());
    }
    Err(
        version::differs(engine, path, component).unwrap_or_else(|| LoadError::WrongWorld {
            path: path.to_owned(),
            exports: export_names(engine, component),
        }),
    )
}

type TypeCheck = fn(&ComponentFunc, &Component) -> wasmtime::Result<()>;

/// The exports that matter, the function each must have, and its type.
const EXPORTS: &[(&str, &str, TypeCheck)] = &[
    (RECORD_HANDLER, "handle", |function, component| {
        function.typecheck::<(Delivery<'_>,), (Outcome,)>(&component.component_type().instance_type())
    }),
    (BATCH_HANDLER, "handle-batch", |function, component| {
        function.typecheck::<(&[Delivery<'_>],), (record_batch_handler::BatchOutcome,)>(
            &component.component_type().instance_type(),
        )
    }),
    (LIFECYCLE, "configure", |function, component| {
        function.typecheck::<(&[(&str, &str)],), (Result<(), String>,)>(&component.component_type().instance_type())
    }),
];

/// `None`: no such export; `Some(Err)`: an export of that name that is something else.
fn exported_function(
    engine: &Engine,
    component: &Component,
    export: &str,
    function: &str,
) -> Option<wasmtime::Result<ComponentFunc>> {
    let ty = component.component_type();
    let instance = ty.get_export(engine, export)?;
    let ComponentItem::ComponentInstance(instance) = instance.ty else {
        return Some(Err(wasmtime::Error::msg("it is not an interface")));
    };
    let found = instance.get_export(engine, function).map(|item| item.ty);
    Some(match found {
        Some(ComponentItem::ComponentFunc(found)) => Ok(found),
        Some(_) => Err(wasmtime::Error::msg(format!("`{function}` is not a function"))),
        None => Err(wasmtime::Error::msg(format!("it has no function `{function}`"))),
    })
}

fn check_memory(path: &Path, component: &Component, spec: &HandlerSpec) -> Result<Option<u64>, LoadError> {
    let Some(required) = component.resources_required() else {
        return Ok(None);
    };
    let needed = memory_bytes(&required);
    if needed > spec.limits.memory {
        return Err(LoadError::Memory {
            path: path.to_owned(),
            needed,
            limit: spec.limits.memory,
        });
    }
    let table = required.max_initial_table_size.unwrap_or(0);
    let limit = spec.limits.table_elements.min(TABLE_ELEMENTS_MAX as u64);
    if table > limit {
        return Err(LoadError::Invalid {
            path: path.to_owned(),
            message: format!("it starts with a table of {table} elements, over the limit of {limit}"),
        });
    }
    Ok(Some(needed))
}

/// The largest memory that it starts with.
pub(super) fn memory_bytes(required: &ResourcesRequired) -> u64 {
    required.max_initial_memory_size.unwrap_or(0).saturating_mul(WASM_PAGE)
}

fn invalid(path: &Path, error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid {
        path: path.to_owned(),
        message: one_line(error),
    }
}

/// The error and its causes on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    super::log_sink::escape(&joined).into_owned()
}

/// Export of a handler that takes one record a call.
pub const RECORD_HANDLER: &str = "sharemill:worker/record-handler@0.1.0";
/// Export of a handler that takes several records a call.
pub const BATCH_HANDLER: &str = "sharemill:worker/record-batch-handler@0.1.0";
pub(super) const LIFECYCLE: &str = "sharemill:worker/lifecycle@0.1.0";
/// A Python component has 18 MB, so this is ample; compiling takes seconds a megabyte at worst.
const COMPONENT_BYTES: u64 = 256 << 20;
const WASM_PAGE: u64 = 64 << 10;
