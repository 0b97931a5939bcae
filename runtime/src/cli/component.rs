//! Loads one component for `invoke`, `test` and `module inspect`, as a deployment of the manifest or with nothing granted. It may log
//! everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::ManifestArg;
use super::given::Given;
use super::{manifest, specs, stale};
use crate::config::{self, Deployment, Manifest, nearest};
use crate::handler::{
    Allocation, HTTP_GRANT_LINE, HandlerSpec, HostEngine, HostEngineConfig, HostEngineError, LoadError, LoadedHandler,
    LogLevel, Looked,
};
use crate::output::{self, Failure};

/// A component that is ready to be instantiated. The engine must outlive its instances.
pub(super) struct Component {
    pub(super) handler: Arc<LoadedHandler>,
    _engine: HostEngine,
}

/// Loads `path`, or the deployment's own component if `path` is `-`.
pub(super) fn load(path: &Path, deployment: Option<&str>, manifest: &ManifestArg) -> Result<Component, Failure> {
    load_wanted(wanted(path, deployment, manifest, Given::of)?)
}

/// Loads the component of a deployment, or another one in its place; `-` is its own.
pub(super) fn load_of(manifest: &Manifest, name: &str, instead: Option<&Path>) -> Result<Component, Failure> {
    load_wanted(of_manifest(manifest, name, instead, Given::of)?)
}

/// Looks into `path`, or into the deployment's own component if `path` is `-`; whether as a deployment's.
pub(super) fn look(path: &Path, deployment: Option<&str>, manifest: &ManifestArg) -> Result<(Looked, bool), Failure> {
    let Wanted {
        path,
        is_deployed,
        spec,
        cache_dir,
    } = wanted(path, deployment, manifest, |name, deployment| {
        Ok(Given::here(name, deployment).0)
    })?;
    let engine = engine(spec.limits.memory, cache_dir)?;
    let looked = engine.look(&path, &Arc::new(spec));
    let looked = looked.map_err(|error| refused(&error, is_deployed))?;
    Ok((looked, is_deployed))
}

/// Why a component cannot be had, and what to do. Without a deployment none can be told to grant anything.
pub(super) fn why(error: &LoadError, is_deployed: bool) -> (String, String) {
    match error {
        LoadError::HttpNotGranted { path, import, .. } if !is_deployed => (
            format!("{} imports {import}, which a deployment has to grant", path.display()),
            format!("name one with --deployment NAME whose grants have `{HTTP_GRANT_LINE}`"),
        ),
        error => (error.to_string(), error.hint()),
    }
}

fn refused(error: &LoadError, is_deployed: bool) -> Failure {
    let (message, hint) = why(error, is_deployed);
    Failure::new(message).hint(hint)
}

/// Which component, and as what.
struct Wanted {
    path: PathBuf,
    is_deployed: bool,
    spec: HandlerSpec,
    cache_dir: Option<PathBuf>,
}

fn load_wanted(wanted: Wanted) -> Result<Component, Failure> {
    let mut spec = HandlerSpec {
        log_threshold: LogLevel::Trace,
        ..wanted.spec
    };
    // Calls follow each other faster than records do, and what one logs is not to depend on those before.
    spec.limits.log_lines_per_second = u64::MAX;
    spec.limits.log_bytes_per_second = u64::MAX;
    let engine = engine(spec.limits.memory, wanted.cache_dir)?;
    let handler = engine
        .load(&wanted.path, Arc::new(spec))
        .map_err(|error| refused(&error, wanted.is_deployed))?;
    Ok(Component {
        handler,
        _engine: engine,
    })
}

/// What a deployment takes from its surroundings: all that it needs, or what is here of it.
type Giving = fn(&str, &Deployment) -> Result<Given, Failure>;

fn wanted(path: &Path, deployment: Option<&str>, manifest: &ManifestArg, giving: Giving) -> Result<Wanted, Failure> {
    match deployment {
        Some(name) => {
            let manifest = manifest::load(manifest.manifest.clone())?;
            of_manifest(&manifest, name, Some(path), giving)
        }
        None if path == Path::new(OWN) => {
            let manifest = manifest::load(manifest.manifest.clone())?;
            let mut names = manifest.deployments.keys();
            match (names.next(), names.next()) {
                (Some(only), None) => of_manifest(&manifest, only, None, giving),
                _ => Err(Failure::usage(
                    "the component - stands for that of --deployment, which is not given, and the manifest has not just one",
                )
                .hint("name it with --deployment NAME, or give the component's file")),
            }
        }
        None => Ok(Wanted {
            path: path.to_owned(),
            is_deployed: false,
            spec: HandlerSpec {
                deployment: "invoke".to_owned(),
                ..HandlerSpec::default()
            },
            cache_dir: None,
        }),
    }
}

fn of_manifest(manifest: &Manifest, name: &str, instead: Option<&Path>, giving: Giving) -> Result<Wanted, Failure> {
    let deployment = deployment(manifest, name)?;
    let given = giving(name, deployment)?;
    let instead = instead.filter(|path| *path != Path::new(OWN));
    if instead.is_none() {
        note_if_stale(manifest, deployment);
    }
    Ok(Wanted {
        path: instead.unwrap_or(&deployment.component).to_owned(),
        is_deployed: true,
        spec: specs::handler_spec(name, deployment, &given),
        cache_dir: Some(manifest.host.cache_dir.clone()),
    })
}

/// Tells of sources that were changed since the build.
pub(super) fn note_if_stale(manifest: &Manifest, deployment: &Deployment) {
    let Some(newer) = stale::newer(&deployment.component) else {
        return;
    };
    let base = manifest.file.parent().unwrap_or(Path::new(""));
    let shown = |path: &Path| path.strip_prefix(base).unwrap_or(path).display().to_string();
    output::message(&format!(
        "note: {} is newer than {}: build it, to try what it says now",
        shown(&newer),
        shown(&deployment.component)
    ));
}

/// The deployment of this name.
pub(super) fn deployment<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Deployment, Failure> {
    manifest.deployments.get(name).ok_or_else(|| {
        let failure = Failure::new(format!("the manifest has no deployment {name}"));
        match nearest(name, manifest.deployments.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure.hint("sharemill config show prints them"),
        }
    })
}

/// An engine for one instance; without its cache if that cannot be used.
fn engine(memory: u64, cache_dir: Option<PathBuf>) -> Result<HostEngine, Failure> {
    let config = HostEngineConfig {
        max_instances: 1,
        allocation: Allocation::OnDemand,
        memory_max: memory,
        cache_dir: cache_dir.or_else(config::user_cache_dir),
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

/// Stands for the deployment's own component.
const OWN: &str = "-";
