//! The files that the rules look at: everything in the repository that people write, found by walking it, so that a
//! copy without version control is checked as well.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lexer::{self, Views};

/// All files, sorted by path.
pub(crate) struct Tree {
    pub(crate) files: Vec<SourceFile>,
}

/// One text file.
pub(crate) struct SourceFile {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Of Rust source.
    pub(crate) views: Option<Views>,
}

impl Tree {
    pub(crate) fn of_repository() -> Self {
        let mut paths = Vec::new();
        walk(&root(), &mut paths);
        let mut files: Vec<SourceFile> = paths
            .into_iter()
            .filter_map(|path| {
                let name = path.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/");
                // What is no text has no style.
                let text = fs::read_to_string(&path).ok()?;
                Some(SourceFile::new(&name, text))
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(
            files.len() > 100,
            "the repository was not found at {}",
            root().display()
        );
        Self { files }
    }

    /// A tree of planted files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| SourceFile::new(path, (*text).to_owned()));
        Self { files: files.collect() }
    }

    /// Rust files that people write.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&SourceFile, &Views)> {
        let written = self.files.iter().filter(|file| !file.is_generated());
        written.filter_map(|file| Some((file, file.views.as_ref()?)))
    }

    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SourceFile> {
        self.files.iter().filter(move |file| file.name() == name)
    }
}

impl SourceFile {
    fn new(path: &str, text: String) -> Self {
        let rust = Path::new(path).extension().is_some_and(|extension| extension == "rs");
        Self {
            path: path.to_owned(),
            views: rust.then(|| lexer::split(&text)),
            text,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Bindings that `sdk-tool` writes.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.starts_with("guest-sdk/") && self.path.contains("/bindings")
    }

    /// Files that are nothing but tests or examples. The harness in `tests/src` is neither.
    pub(crate) fn is_test(&self) -> bool {
        let below = self.path.strip_prefix("tests/").unwrap_or(&self.path);
        let folder = |name: &str| below.split('/').rev().skip(1).any(|part| part == name);
        self.name() == "tests.rs" || ["tests", "examples", "benches"].into_iter().any(folder)
    }

    /// The line, from 1, of the `#[cfg(test)]` before a module with a body; tests end a file.
    pub(crate) fn test_tail(&self) -> Option<usize> {
        let lines: Vec<&str> = self.text.lines().collect();
        (0..lines.len()).find_map(|index| {
            let item = lines.get(index + 1..)?.iter().find(|line| !line.starts_with("#["))?;
            let opens = item.starts_with("mod ") && item.ends_with('{');
            (lines[index] == "#[cfg(test)]" && opens).then_some(index + 1)
        })
    }

    /// Whether this line, from 1, is test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.test_tail().is_some_and(|tail| line >= tail)
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_path_buf()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let kind = entry.file_type().unwrap();
        let skipped = SKIPPED.iter().any(|skipped| name == *skipped);
        if kind.is_dir() && !skipped {
            walk(&entry.path(), paths);
        } else if kind.is_file() && !skipped {
            paths.push(entry.path());
        }
    }
}

/// Version control, build output, data directories of whoever tries things out here.
const SKIPPED: [&str; 4] = [".git", "target", "node_modules", "data"];
