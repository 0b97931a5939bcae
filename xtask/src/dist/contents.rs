//! What is in the archive: files of this repository, what the program says of itself, and the components.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{VERSION, libc, licences, said_by};
use crate::guests;

/// A file of an archive.
#[derive(Clone)]
pub(super) struct File {
    /// Relative, with `/`.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) bytes: Vec<u8>,
}

impl File {
    pub(super) fn text(path: &str, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o644,
            bytes: text.into().into_bytes(),
        }
    }
}

/// Examples that users have a use for; the others are for tests.
pub(super) const EXAMPLES: [&str; 4] = ["enrich", "poll", "thumbnail", "webhook"];

/// Files of this repository, and where they go.
const OWN: [(&str, &str); 11] = [
    ("LICENSE", "LICENSE"),
    ("CHANGELOG.md", "share/doc/sharemill/CHANGELOG.md"),
    ("docs/codes.md", "share/doc/sharemill/codes.md"),
    ("docs/commands.md", "share/doc/sharemill/commands.md"),
    ("docs/manifest.md", "share/doc/sharemill/manifest.md"),
    ("docs/metrics.md", "share/doc/sharemill/metrics.md"),
    ("xtask/dist/sharemill.service", "lib/systemd/system/sharemill.service"),
    ("xtask/dist/sharemill.toml", "etc/sharemill/sharemill.toml"),
    ("xtask/dist/container/Containerfile", "container/Containerfile"),
    ("xtask/dist/container/compose.yaml", "container/compose.yaml"),
    ("xtask/dist/container/sharemill.toml", "container/sharemill.toml"),
];

const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/sharemill"),
    ("fish", "share/fish/vendor_completions.d/sharemill.fish"),
    ("zsh", "share/zsh/site-functions/_sharemill"),
];

/// Everything but the sums, sorted by path.
pub(super) fn gather(program: &Path, components: &Path, target: &str) -> Result<Vec<File>> {
    let version = said_by(Command::new(program).arg("--version"))?;
    ensure!(
        version.trim() == format!("sharemill {VERSION}"),
        "{} is {}, and this repository has sharemill {VERSION}",
        program.display(),
        version.trim()
    );
    let root = guests::root();
    let program_file = File {
        mode: 0o755,
        ..file("bin/sharemill", program)?
    };
    let needs = match libc::oldest(&program_file.bytes) {
        Some(version) => format!("glibc {version} or newer"),
        None => "nothing".to_owned(),
    };
    let mut files = vec![
        program_file,
        File::text("THIRD-PARTY-LICENCES.txt", licences::text(target)?),
    ];
    let readme = fs::read_to_string(root.join("xtask/dist/README.txt"))?;
    files.push(File::text(
        "README.txt",
        readme
            .replace("VERSION", VERSION)
            .replace("TARGET", target)
            .replace("NEEDS", &needs),
    ));
    for (from, to) in OWN {
        files.push(file(to, &root.join(from))?);
    }
    for name in EXAMPLES {
        let component = components.join(name).with_extension("wasm");
        files.push(file(&format!("share/sharemill/examples/{name}.wasm"), &component)?);
        let page = root.join("guest-examples").join(name).join("README.md");
        files.push(file(&format!("share/sharemill/examples/{name}.md"), &page)?);
    }
    for (shell, path) in COMPLETIONS {
        files.push(File::text(
            path,
            said_by(Command::new(program).args(["completions", shell]))?,
        ));
    }
    files.extend(pages(program)?);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn pages(program: &Path) -> Result<Vec<File>> {
    let folder = tempfile::tempdir()?;
    let status = Command::new(program).arg("man").arg(folder.path()).status()?;
    ensure!(status.success(), "{} man ended with {status}", program.display());
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.context("a man page without a name")?;
        pages.push(file(&format!("share/man/man1/{name}"), &path)?);
    }
    ensure!(!pages.is_empty(), "{} man wrote no page", program.display());
    Ok(pages)
}

fn file(to: &str, from: &Path) -> Result<File> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(File {
        path: to.to_owned(),
        mode: 0o644,
        bytes,
    })
}
