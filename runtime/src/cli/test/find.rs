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

/// A file, or all of a folder: `*.ndjson` for the deployment that is named, by the folder's name if need be, or the only one, and
/// `NAME/*.ndjson` for deployment NAME.
pub(super) fn files(manifest: &Manifest, place: &Path, wanted: Option<&str>) -> Result<Vec<RecordFile>, Failure> {
    if let Some(name) = wanted {
        component::deployment(manifest, name)?;
    }
    let is_folder = fs::metadata(place).map_err(|error| unreadable(place, &error))?.is_dir();
    let whole = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let own = |folder: Option<&Path>| {
        let own = wanted.map(ToOwned::to_owned).or_else(|| implied(manifest, folder?));
        own.ok_or_else(|| unnamed(manifest, place))
    };
    if !is_folder {
        // A pipe serves as well.
        let deployment = own(whole.parent())?;
        let path = place.to_owned();
        return Ok(vec![RecordFile { deployment, path }]);
    }
    let mut found = Vec::new();
    let (direct, folders) = entries(place)?;
    let is_for_one = |name: &str| folders.iter().any(|folder| folder_name(folder) == name);
    if !direct.is_empty() && !wanted.is_some_and(is_for_one) {
        let deployment = own(Some(&whole))?;
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

/// The only deployment, or the one that the folder has its name of.
fn implied(manifest: &Manifest, folder: &Path) -> Option<String> {
    let mut names = manifest.deployments.keys();
    if let (Some(only), None) = (names.next(), names.next()) {
        return Some(only.clone());
    }
    let name = folder_name(folder);
    manifest.deployments.contains_key(&name).then_some(name)
}

fn unnamed(manifest: &Manifest, place: &Path) -> Failure {
    let names: Vec<&str> = manifest.deployments.keys().map(String::as_str).collect();
    let message = format!(
        "{} does not say which deployment its records are for; there are {}",
        place.display(),
        names.join(", ")
    );
    Failure::usage(message)
        .hint("name it with --deployment NAME, or put its files into a folder of its name: records/NAME/*.ndjson")
}

/// Record files and folders, by name. What is hidden is an editor's or a tool's, and a pipe would wait for a writer.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let cannot = |error| unreadable(folder, &error);
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let is_record_file = path.extension().is_some_and(|extension| extension == "ndjson");
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => folders.push(path),
            Ok(found) if found.is_file() && is_record_file => files.push(path),
            Err(error) if is_record_file => return Err(unreadable(&path, &error)),
            _ => {}
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

fn unreadable(place: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", place.display()))
        .hint("name the file or folder of records with --records; it is records beside the manifest otherwise")
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
