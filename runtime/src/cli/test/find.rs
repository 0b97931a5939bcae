//! Which record files there are, and for which deployment each is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::component;
use crate::config::Manifest;
use crate::output::Failure;

/// A record file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordFile {
    pub(super) deployment: String,
    pub(super) path: PathBuf,
}

/// A file, or all of a folder: `*.ndjson` for the deployment that is named or the only one, and `NAME/*.ndjson` for deployment NAME.
pub(super) fn files(manifest: &Manifest, place: &Path, wanted: Option<&str>) -> Result<Vec<RecordFile>, Failure> {
    if let Some(name) = wanted {
        component::deployment(manifest, name)?;
    }
    if place.is_file() {
        let deployment = wanted.map_or_else(|| only(manifest, place), |name| Ok(name.to_owned()))?;
        let path = place.to_owned();
        return Ok(vec![RecordFile { deployment, path }]);
    }
    let mut found = Vec::new();
    let (direct, folders) = entries(place)?;
    let is_for_one = |name: &str| folders.iter().any(|folder| folder_name(folder) == name);
    if !direct.is_empty() && !wanted.is_some_and(is_for_one) {
        let deployment = wanted.map_or_else(|| only(manifest, place), |name| Ok(name.to_owned()))?;
        found.extend(direct.into_iter().map(|path| RecordFile {
            deployment: deployment.clone(),
            path,
        }));
    }
    for folder in &folders {
        let name = folder_name(folder);
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        component::deployment(manifest, &name).map_err(|_| {
            Failure::usage(format!("{} is the folder of no deployment", folder.display()))
                .hint("record files of deployment NAME are in a folder NAME")
        })?;
        let (files, _) = entries(folder)?;
        found.extend(files.into_iter().map(|path| RecordFile {
            deployment: name.clone(),
            path,
        }));
    }
    if found.is_empty() {
        return Err(
            Failure::usage(format!("there are no record files (*.ndjson) in {}", place.display()))
                .hint("name another file or folder with --records; sharemill test --help says what is in them"),
        );
    }
    Ok(found)
}

fn only(manifest: &Manifest, place: &Path) -> Result<String, Failure> {
    let names: Vec<&str> = manifest.deployments.keys().map(String::as_str).collect();
    if let [name] = names.as_slice() {
        return Ok((*name).to_owned());
    }
    let message = format!(
        "{} does not say which deployment its records are for; there are {}",
        place.display(),
        names.join(", ")
    );
    Err(Failure::usage(message)
        .hint("name it with --deployment NAME, or put its files into a folder of its name: records/NAME/*.ndjson"))
}

/// Record files and folders, by name.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::usage(format!("cannot read {}: {error}", folder.display()))
            .hint("name the file or folder of records with --records; it is records beside the manifest otherwise")
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "ndjson") {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
