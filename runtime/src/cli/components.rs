//! What is wrong with the components of a manifest, for `config check`: each is loaded as `run` loads it, compiled code and its cache
//! included, and all that is found is told. Nothing is instantiated.

use std::sync::Arc;

use super::given::{Given, NoSecret};
use super::{run, specs};
use crate::config::{Deployment, Loaded, Manifest, Problem, Severity};
use crate::handler::{HostEngine, HostEngineConfig, HostEngineError, LoadError};
use crate::host;

/// Everything for which `run` would refuse a component. Files that are not there have been told by the loader.
pub(super) fn find(loaded: &Loaded) -> Vec<Problem> {
    let manifest = &loaded.manifest;
    let there: Vec<(&String, &Deployment, usize)> = loaded
        .component_lines
        .iter()
        .filter_map(|(name, line)| Some((name, manifest.deployments.get(name)?, *line)))
        .filter(|(_, deployment, _)| deployment.component.is_file())
        .collect();
    if there.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let Some(wasm) = engine(manifest, &mut found) else {
        return found;
    };
    for (name, deployment, line) in there {
        // Variables and secrets that are missing have been told; no check needs their values.
        let (given, objection) = Given::here(name, deployment);
        if let Some(NoSecret { message, hint }) = objection {
            let problem = Problem::new(Severity::Error, format!("deployments.{name}.secrets"), message);
            found.push(problem.line(Some(line)).hint(hint));
        }
        let mut spec = specs::handler_spec(name, deployment, &given);
        // As have folders that are none.
        spec.grants.files.retain(|grant| grant.host.is_dir());
        let error = match wasm.load(&deployment.component, Arc::new(spec)) {
            Ok(handler) => {
                if !deployment.settings.is_empty() && !handler.takes_settings() {
                    found.push(unread_settings(name).line(Some(line)));
                }
                continue;
            }
            Err(error) => error,
        };
        // The mistake in the grant has been told.
        let grants = format!("deployments.{name}.grants.http");
        let mut told = loaded.problems.iter();
        if matches!(error, LoadError::HttpNotGranted { .. })
            && told.any(|problem| problem.severity == Severity::Error && problem.key.starts_with(&grants))
        {
            continue;
        }
        let (severity, state) = if deployment.enabled {
            (Severity::Error, "")
        } else {
            (Severity::Warning, ", which is not enabled")
        };
        let key = format!("deployments.{name}.component");
        let problem = Problem::new(severity, key, format!("deployment {name}{state}: {error}"));
        found.push(problem.line(Some(line)).hint(error.hint()));
    }
    found
}

fn unread_settings(name: &str) -> Problem {
    let key = format!("deployments.{name}.settings");
    let message = format!("{key} are given, but the component has no `configure` that would get them");
    let hint = "what a handler asks for by name, as config::get does, stands in `grants.config`, or in `secrets`";
    Problem::new(Severity::Warning, key, message).hint(hint)
}

/// The engine of the host; without a cache where `run` would refuse to start for it, or where it would begin a data directory.
fn engine(manifest: &Manifest, found: &mut Vec<Problem>) -> Option<HostEngine> {
    let refused = |key: &str, error: &HostEngineError| {
        Problem::new(Severity::Error, key, error.to_string()).hint(run::engine_hint(error))
    };
    let mut config = host::wasm_config(&manifest.host, manifest.deployments.values());
    let is_in_data = |cache: &std::path::PathBuf| {
        let mut sources = manifest.sources.values();
        sources.any(|source| cache.starts_with(source.data_dir())) && !cache.is_dir()
    };
    config.cache_dir = config.cache_dir.filter(|cache| !is_in_data(cache));
    let uncached = || HostEngineConfig {
        cache_dir: None,
        ..config.clone()
    };
    let built = HostEngine::new(&config).or_else(|error| match error {
        HostEngineError::Cache { .. } => {
            found.push(refused("host.cache-dir", &error));
            HostEngine::new(&uncached())
        }
        error => Err(error),
    });
    built.map_err(|error| found.push(refused("host", &error))).ok()
}
