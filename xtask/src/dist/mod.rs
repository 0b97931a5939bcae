//! `cargo xtask dist`: what users download, in `target/dist`: an archive with the program, the example components and all that goes with
//! them, and a Debian package of the same files. The same commit gives the same bytes: every entry is sorted, owned by nobody, and as old
//! as the commit.
mod archive;
mod build;
mod contents;
mod debian;
mod examples;
mod libc;
mod licences;
mod paths;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::guests;
use contents::File;

/// Make the archive and the Debian package that users download.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Package this program instead of building one; it is taken as it is.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Folder with the example components [default: they are built].
    #[arg(long, value_name = "DIR")]
    pub(crate) examples: Option<PathBuf>,
    /// Where the archive and the package go [default: target/dist].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let epoch = epoch()?;
    let changes = said_by(
        Command::new("git")
            .current_dir(guests::root())
            .args(["status", "--short"]),
    );
    if changes.is_ok() {
        say("there are changes that are not committed: nobody else can make the same bytes");
    }
    let components = if let Some(folder) = &arguments.examples {
        folder.clone()
    } else {
        examples::build()?
    };
    let program = if let Some(file) = &arguments.binary {
        file.clone()
    } else {
        say("build sharemill for release (15 to 30 min the first time on 2 cores)");
        build::release()?
    };
    let target = target()?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| guests::target_dir().join("dist"));
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;

    say("collect what goes along, and the licences of what is in it");
    let files = contents::gather(&program, &components, &target)?;
    // What was built elsewhere is taken as it is.
    let is_ours = |file: &&File| match file.path.as_str() {
        "bin/sharemill" => arguments.binary.is_none(),
        path => arguments.examples.is_none() || !path.starts_with("share/sharemill/examples/"),
    };
    paths::require_none(files.iter().filter(is_ours), &paths::of_this_machine())?;
    say("pack");
    let name = format!("sharemill-{VERSION}-{target}");
    let whole = in_folder(&name, &with_sums(&files));
    let debian = debian::architecture(&target);
    let (archive, package) = std::thread::scope(|both| {
        let archive = both.spawn(|| archive::tar_gz(&whole, epoch));
        let package = debian.map(|architecture| debian::package(&files, architecture, epoch));
        (archive.join(), package)
    });
    let archive = archive.map_err(|_| anyhow!("packing the archive died"))??;
    let mut made = vec![(format!("{name}.tar.gz"), archive)];
    if let Some((architecture, package)) = debian.zip(package) {
        made.push((format!("sharemill_{VERSION}_{architecture}.deb"), package?));
    }
    let sums = sums(made.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    made.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    for (name, bytes) in &made {
        let file = out.join(name);
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        say(&format!("  {} ({} KiB)", file.display(), bytes.len() / 1_024));
    }
    Ok(())
}

/// Lines that `sha256sum --check` takes.
fn sums<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut lines = String::new();
    for (name, bytes) in files {
        for byte in Sha256::digest(bytes) {
            // Into a text: it cannot fail.
            let _ = write!(lines, "{byte:02x}");
        }
        let _ = writeln!(lines, "  {name}");
    }
    lines
}

fn with_sums(files: &[File]) -> Vec<File> {
    let sums = sums(files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice())));
    let mut files = files.to_vec();
    files.push(File::text("SHA256SUMS", sums));
    files
}

fn in_folder(name: &str, files: &[File]) -> Vec<File> {
    let inside = |file: &File| File {
        path: format!("{name}/{}", file.path),
        ..file.clone()
    };
    files.iter().map(inside).collect()
}

/// How old everything is, in seconds since 1970: as the last commit, or as somebody says.
fn epoch() -> Result<u64> {
    if let Ok(text) = env::var("SOURCE_DATE_EPOCH") {
        return text
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH is {text}, which is no number of seconds"));
    }
    let said = said_by(
        Command::new("git")
            .current_dir(guests::root())
            .args(["log", "-1", "--format=%ct"]),
    )
    .context("when was the last commit? Set SOURCE_DATE_EPOCH to its seconds since 1970")?;
    Ok(said.trim().parse()?)
}

/// The platform that this machine builds for.
fn target() -> Result<String> {
    let said = said_by(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}

/// What a command writes to standard output.
fn said_by(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}: {}", output.status, errors.trim());
    }
    let said = String::from_utf8(output.stdout)?;
    ensure!(!said.is_empty(), "{name} said nothing");
    Ok(said)
}

/// Progress goes to standard error; a closed one is no reason to stop.
fn say(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("dist: {text}\n").as_bytes());
}
