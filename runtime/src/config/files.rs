//! What a manifest needs from the machine: files, folders, environment variables. The only part of `config` that looks.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::kafka::{HIDDEN, Secret};
use super::on_kafka::elsewhere;
use super::problem::{Problem, Severity};
use super::section::Section;
use super::source::is_path;
use super::types::{EnvValue, Manifest, Source};
use super::words::key_name;

/// Checks that components, granted folders and inherited variables are there.
pub(super) fn check(manifest: &Manifest, root: &Section<'_, '_>, context: &Context<'_>) {
    const COMPONENT_HINT: &str = "build it, or correct the path: relative paths start at the manifest's folder";
    const PATH_HINT: &str = "relative paths start at the manifest's folder";
    let sources = root.section("sources");
    for (name, source) in &manifest.sources {
        if let Source::Kafka(source) = source {
            let section = sources.section_at(name);
            check_secrets(&source.secrets, &section.section("secrets"), context);
            check_paths(&source.properties, &section.section("properties"), context);
            for (property, _) in source.properties.iter().filter(|(_, value)| *value == HIDDEN) {
                section.section("properties").refuse(
                    property,
                    "is not the secret but what config show prints for it",
                    &elsewhere(property),
                );
            }
        }
    }
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
            let hint = built_otherwise(component).unwrap_or_else(|| COMPONENT_HINT.to_owned());
            section.refuse("component", &format!("{what}: {}", component.display()), &hint);
        }
        check_secrets(&deployment.secrets, &section.section("secrets"), context);
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
                // Whoever needs it fails for it.
                let problem = Problem::new(Severity::Note, key, message).line(environment.line_of(variable));
                context
                    .problems
                    .borrow_mut()
                    .push(problem.hint(format!("set {from} before sharemill run")));
            }
        }
    }
}

/// Of a component that cargo makes: how to build it, and whether it was built for debugging.
fn built_otherwise(component: &Path) -> Option<String> {
    let parts: Vec<_> = component.iter().collect();
    let (before, last) = parts.split_at(parts.len().checked_sub(3)?);
    let [target, profile, file] = last else { return None };
    let root: PathBuf = before.iter().collect();
    let is_cargos = before.last().is_some_and(|folder| *folder == "target") && *profile == "release";
    if !is_cargos || !root.parent()?.join("Cargo.toml").is_file() {
        return None;
    }
    let debug = root.join(target).join("debug").join(file);
    let there = if debug.is_file() {
        "there is one for debugging only: "
    } else {
        ""
    };
    Some(format!(
        "{there}build it: cargo build --release --target {}",
        target.display()
    ))
}

/// Certificates and keys: what is not here may be on the machine that runs it.
fn check_paths(properties: &BTreeMap<String, String>, section: &Section<'_, '_>, context: &Context<'_>) {
    for (name, path) in properties.iter().filter(|(name, value)| is_path(name, value)) {
        if Path::new(path).exists() {
            continue;
        }
        let key = format!("{}.{}", section.path(), key_name(name));
        let message = format!("{key} does not exist here: {path}");
        let problem = Problem::new(Severity::Warning, key, message).line(section.line_of(name));
        context
            .problems
            .borrow_mut()
            .push(problem.hint("relative paths start at the manifest's folder"));
    }
}

fn check_secrets(secrets: &BTreeMap<String, Secret>, section: &Section<'_, '_>, context: &Context<'_>) {
    for (name, secret) in secrets {
        let tell = |severity, message: String, hint: String| {
            let key = format!("{}.{}", section.path(), key_name(name));
            let problem = Problem::new(severity, &*key, format!("{key} {message}"));
            let problem = problem.line(section.line_of(name)).hint(hint);
            context.problems.borrow_mut().push(problem);
        };
        match secret {
            Secret::File { file } => {
                let place = file.display();
                match std::fs::metadata(file).map(|found| found.permissions().mode() & 0o777) {
                    // Whoever needs it fails for it.
                    Err(error) => tell(
                        Severity::Note,
                        format!("cannot be read from {place}: {error}"),
                        "sharemill run reads it when it starts".to_owned(),
                    ),
                    Ok(mode) if mode & 0o077 != 0 => tell(
                        Severity::Warning,
                        format!("is in {place}, which others may read (mode {mode:o})"),
                        format!("chmod 600 {place}"),
                    ),
                    Ok(_) => {}
                }
            }
            Secret::Env { env } if std::env::var_os(env).is_none() => tell(
                Severity::Note,
                format!("takes the variable {env}, which is not set here"),
                format!("set {env} before sharemill run"),
            ),
            Secret::Env { .. } => {}
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
