//! Loads one component for `invoke` and `module inspect`, as a deployment of the manifest or with nothing granted. It may log everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::ManifestArg;
use super::{manifest, run, specs};
use crate::config::{self, nearest};
use crate::handler::{Allocation, HandlerSpec, HostEngine, HostEngineConfig, HostEngineError, LoadedHandler, LogLevel};
use crate::output::{self, Failure};

/// A component that is ready to be instantiated. The engine must outlive its instances.
pub(super) struct Component {
    pub(super) handler: Arc<LoadedHandler>,
    _engine: HostEngine,
}

/// Loads `path`, or the deployment's own component if `path` is `-`.
pub(super) fn load(path: &Path, deployment: Option<&str>, manifest: &ManifestArg) -> Result<Component, Failure> {
    let (path, spec, cache_dir) = match deployment {
        Some(name) => of_deployment(path, name, manifest)?,
        None if path == Path::new("-") => {
            return Err(
                Failure::usage("the component - stands for that of --deployment, which is not given")
                    .hint("name it with --deployment NAME, or give the component's file"),
            );
        }
        None => (
            path.to_owned(),
            HandlerSpec {
                deployment: "invoke".to_owned(),
                ..HandlerSpec::default()
            },
            None,
        ),
    };
    let spec = HandlerSpec {
        log_threshold: LogLevel::Trace,
        ..spec
    };
    let engine = engine(spec.limits.memory, cache_dir.or_else(config::user_cache_dir))?;
    let handler = engine
        .load(&path, Arc::new(spec))
        .map_err(|error| Failure::new(error.to_string()).hint(error.hint()))?;
    Ok(Component {
        handler,
        _engine: engine,
    })
}

fn of_deployment(
    path: &Path,
    name: &str,
    manifest: &ManifestArg,
) -> Result<(PathBuf, HandlerSpec, Option<PathBuf>), Failure> {
    let mut manifest = manifest::load(manifest.manifest.clone())?;
    let Some(deployment) = manifest.deployments.remove(name) else {
        let failure = Failure::new(format!("the manifest has no deployment {name}"));
        return Err(match nearest(name, manifest.deployments.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure.hint("sharemill config show prints them"),
        });
    };
    let environment = run::environment_of(name, &deployment)?;
    let spec = specs::handler_spec(name, &deployment, &environment);
    let path = if path == Path::new("-") {
        deployment.component
    } else {
        path.to_owned()
    };
    Ok((path, spec, Some(manifest.host.cache_dir)))
}

/// An engine for one instance; without its cache if that cannot be used.
fn engine(memory: u64, cache_dir: Option<PathBuf>) -> Result<HostEngine, Failure> {
    let config = HostEngineConfig {
        max_instances: 1,
        allocation: Allocation::OnDemand,
        memory_max: memory,
        cache_dir,
        ..HostEngineConfig::default()
    };
    let built = match HostEngine::new(&config) {
        Err(error @ HostEngineError::Cache { .. }) => {
            output::warning(&format!("{error}; the component is compiled anew"));
            HostEngine::new(&HostEngineConfig {
                cache_dir: None,
                ..config
            })
        }
        built => built,
    };
    built.map_err(|error| Failure::new(error.to_string()))
}
