//! Compiled components on disk: content-addressed, written atomically, checked against a digest before they are mapped, and compiled
//! anew when anything about them is off. The only module of the project with `unsafe`: mapping compiled code is running it.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// SHA-256 of a component's bytes.
pub(super) type ComponentDigest = [u8; 32];

/// A directory that only we can write.
#[derive(Debug)]
pub(super) struct CompileCache {
    dir: PathBuf,
    /// Of everything in the engine that compiled code depends on, wasmtime's full version included.
    compatibility: String,
}

/// Where a loaded component came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompiledFrom {
    /// Compiled just now.
    Source,
    /// Mapped from the cache.
    Cache,
}

impl CompileCache {
    /// Opens or creates `dir` with mode 0700; an existing one must be a directory of ours, and is closed to others.
    pub(super) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let found = fs::symlink_metadata(dir)?;
        if !found.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "is not a directory"));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "belongs to another user",
            ));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hex(&hasher.0.finalize());
        Ok(Self {
            dir: dir.to_owned(),
            compatibility,
        })
    }

    /// The component from the cache, or compiled and put there. Failure to write is not failure to load.
    pub(super) fn load(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &ComponentDigest,
    ) -> wasmtime::Result<(Component, CompiledFrom)> {
        let path = self.dir.join(format!("{}-{}.cwasm", hex(digest), self.compatibility));
        if let Some(component) = map_checked(engine, &path) {
            return Ok((component, CompiledFrom::Cache));
        }
        let component = Component::new(engine, bytes)?;
        if let Err(error) = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|artefact| store(&path, &artefact))
        {
            tracing::warn!(path = %path.display(), %error, "compiled component not cached");
        }
        Ok((component, CompiledFrom::Source))
    }
}

/// Maps the file if its digest file vouches for it.
fn map_checked(engine: &Engine, path: &Path) -> Option<Component> {
    let vouched = fs::read_to_string(digest_path(path)).ok()?;
    let artefact = fs::read(path).ok()?;
    if vouched.trim() != hex(&Sha256::digest(&artefact)) {
        tracing::warn!(path = %path.display(), "cached component is damaged: compiling it again");
        return None;
    }
    drop(artefact);
    #[expect(
        unsafe_code,
        reason = "the file was written by `store` below from this engine's own output: the directory is ours and closed to others, its \
                  digest has just been checked, and files in it are replaced by rename, never written in place"
    )]
    // SAFETY: as the reason above says.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component
        .inspect_err(
            |error| tracing::warn!(path = %path.display(), %error, "cached component refused: compiling it again"),
        )
        .ok()
}

/// Artefact first, digest second, each by rename: a crash in between leaves an artefact that nothing vouches for.
fn store(path: &Path, artefact: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(digest_path(path));
    replace(path, artefact)?;
    replace(&digest_path(path), hex(&Sha256::digest(artefact)).as_bytes())
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{unique}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn digest_path(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A hasher whose result is the same in every process and version of the standard library.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
