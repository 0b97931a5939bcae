//! Real files: those of a folder, or of places where most machines have some; texts of this program's own where there is none. Only reads,
//! and stops at bounds, so that a large folder costs seconds.
use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::pictures::{Structure, structure};
use super::say;
use crate::cli::wit;

/// What was found and fits.
pub(super) struct Found {
    pub(super) pictures: Vec<Picture>,
    pub(super) texts: Vec<Text>,
}

/// A picture and what its structure says.
pub(super) struct Picture {
    pub(super) path: PathBuf,
    pub(super) structure: Structure,
}

/// A text, named by its file.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) content: String,
}

/// What this program has with it anyway.
const OWN: [(&str, &str); 2] = [
    ("worker.wit", wit::CONTRACT),
    ("README.md", include_str!("../../../../guest-sdk/rust/README.md")),
];

/// Entries of folders looked at under one root.
const ENTRIES_MAX: usize = 60_000;
const CANDIDATES_MAX: usize = 3_000;
const PICTURES: usize = 120;
const PICTURE_BYTES_MAX: u64 = 8 << 20;
const TEXTS: usize = 60;
const TEXT_BYTES: std::ops::RangeInclusive<u64> = 200..=256 << 10;

/// Looks through `folder`, or the usual places without one.
pub(super) fn find(folder: Option<&Path>) -> Found {
    let (picture_roots, text_roots) = match folder {
        Some(folder) => (vec![folder.to_path_buf()], vec![folder.to_path_buf()]),
        None => usual_places(),
    };
    let pictures = spread(candidates(&picture_roots, &is_picture), PICTURES);
    let mut pictures: Vec<Picture> = pictures.into_iter().filter_map(looked_at).collect();
    if folder.is_none() {
        // Rare kinds are no news where nobody asked for these files.
        pictures.retain(|picture| picture.structure == Structure::Whole);
    }
    let mut texts = texts(&text_roots);
    for (count, what) in [(pictures.len(), "pictures"), (texts.len(), "texts")] {
        let from = folder.map_or_else(|| "the usual places".to_owned(), |folder| folder.display().to_string());
        say(&format!("  {what}: {count} taken from {from}"));
    }
    if texts.is_empty() {
        let own = OWN.map(|(name, content)| Text {
            name: name.to_owned(),
            content: content.to_owned(),
        });
        texts.extend(own);
        say("  so its own texts are taken");
    }
    Found { pictures, texts }
}

/// Roots for pictures and for texts; some of them exist.
fn usual_places() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let home = |variable: &str, folder: &str| {
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(folder));
        env::var_os(variable).map(PathBuf::from).or(home).unwrap_or_default()
    };
    let share = Path::new("/usr/share").to_path_buf();
    let pictures = ["backgrounds", "pixmaps", "images", "icons", "doc"].map(|name| share.join(name));
    let pictures = pictures
        .into_iter()
        .chain([home("RUSTUP_HOME", ".rustup").join("toolchains")]);
    let texts = [
        share.join("common-licenses"),
        home("CARGO_HOME", ".cargo").join("registry").join("src"),
        share.join("doc"),
    ];
    (pictures.collect(), texts.into())
}

fn texts(roots: &[PathBuf]) -> Vec<Text> {
    let files = spread(candidates(roots, &is_text), TEXTS);
    let read = |path: PathBuf| {
        let content = fs::read_to_string(&path).ok()?;
        let name = path.file_name()?.to_str()?.to_owned();
        Some(Text { name, content })
    };
    files.into_iter().filter_map(read).collect()
}

fn looked_at(path: PathBuf) -> Option<Picture> {
    let structure = structure(&fs::read(&path).ok()?);
    Some(Picture { path, structure })
}

fn is_picture(path: &Path, size: u64) -> bool {
    let extension = path.extension().map(OsStr::to_ascii_lowercase);
    let is_named = extension.is_some_and(|name| name == "png" || name == "jpg" || name == "jpeg");
    is_named && (1..=PICTURE_BYTES_MAX).contains(&size)
}

fn is_text(path: &Path, size: u64) -> bool {
    const NAMES: [&str; 5] = ["LICENSE", "README", "COPYING", "GPL", "Apache"];
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_named = match path.extension().and_then(OsStr::to_str) {
        Some("txt" | "md" | "rst") => true,
        // Neither packed nor a page.
        Some("gz" | "html") => false,
        _ => NAMES.iter().any(|start| name.starts_with(start)),
    };
    is_named && TEXT_BYTES.contains(&size)
}

/// Files below the roots that fit, with their sizes, breadth first. Does not follow links.
fn candidates(roots: &[PathBuf], fits: &dyn Fn(&Path, u64) -> bool) -> Vec<(u64, PathBuf)> {
    let mut found = Vec::new();
    for root in roots {
        let mut folders = VecDeque::from([root.clone()]);
        let mut left = ENTRIES_MAX;
        while let Some(folder) = folders.pop_front() {
            // What may not be read is left out.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                left = left.saturating_sub(1);
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    folders.push_back(entry.path());
                } else if kind.is_file()
                    && let Ok(metadata) = entry.metadata()
                    && fits(&entry.path(), metadata.len())
                {
                    found.push((metadata.len(), entry.path()));
                }
            }
            if left == 0 || found.len() >= CANDIDATES_MAX {
                break;
            }
        }
    }
    found
}

/// `count` of the files, evenly over their sizes, the largest among them.
fn spread(mut files: Vec<(u64, PathBuf)>, count: usize) -> Vec<PathBuf> {
    files.sort();
    files.reverse();
    let step = files.len().div_ceil(count).max(1);
    files.into_iter().step_by(step).map(|(_, path)| path).collect()
}
