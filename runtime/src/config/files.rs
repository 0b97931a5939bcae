//! What a manifest needs from the machine: files, folders, environment variables. The only part of `config` that looks.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::problem::{Problem, Severity};
use super::section::Section;
use super::types::{EnvValue, Manifest};

/// Checks that components, granted folders and inherited variables are there.
pub(super) fn check(manifest: &Manifest, root: &Section<'_, '_>, context: &Context<'_>) {
    const PATH_HINT: &str = "relative paths start at the manifest's folder";
    let deployments = root.section("deployments");
    for (name, deployment) in &manifest.deployments {
        let section = deployments.section_at(name);
        let component = &deployment.component;
        if section.get("component").is_some() && !component.is_file() {
            let what = if component.is_dir() {
                "is a folder, expected a component file"
            } else {
                "does not exist"
            };
            section.refuse("component", &format!("{what}: {}", component.display()), PATH_HINT);
        }
        let grants = section.section("grants");
        for (grant, item) in deployment.grants.files.iter().zip(grants.items("files")) {
            if item.get("host").is_some() && !grant.host.is_dir() {
                item.refuse(
                    "host",
                    &format!("is not an existing folder: {}", grant.host.display()),
                    PATH_HINT,
                );
            }
        }
        let environment = grants.section("env");
        for (variable, value) in &deployment.grants.env {
            if let EnvValue::Inherited { from } = value
                && std::env::var_os(from).is_none()
            {
                let key = format!("{}.{variable}", environment.path());
                let message = format!("{key} takes the host's variable {from}, which is not set here");
                let problem = Problem::new(Severity::Warning, key, message).line(environment.line_of(variable));
                context
                    .problems
                    .borrow_mut()
                    .push(problem.hint(format!("set {from} before sharemill run")));
            }
        }
    }
}

/// `sharemill` in the user's cache folder, else `cache` in the data directory.
pub(super) fn default_cache_dir(data_dir: &Path) -> PathBuf {
    user_cache_dir().unwrap_or_else(|| data_dir.join("cache"))
}

/// `sharemill` in the user's cache folder, if the environment names one.
pub fn user_cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".cache"));
    absolute("XDG_CACHE_HOME")
        .or_else(home)
        .map(|cache| cache.join("sharemill"))
}
