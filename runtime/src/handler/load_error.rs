//! Everything that can be wrong with a component before it runs, each with its own message and, where there is something to do about it,
//! a hint. Made by `load`, printed by the command line.

use std::path::PathBuf;

use super::load::{BATCH_HANDLER, RECORD_HANDLER};
use super::report::HTTP_GRANT_LINE;
use super::sniff;
use super::version::CONTRACT;

/// Why a component cannot serve as a handler. [`LoadError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is what its message prints")]
pub enum LoadError {
    /// The file is not there or cannot be read.
    #[error("cannot read component {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is larger than any component may be.
    #[error("component {} has {size} bytes, over the limit of {limit}", path.display())]
    TooLarge { path: PathBuf, size: u64, limit: u64 },
    /// The file is something else.
    #[error("{} is not a wasm component: {found}", path.display())]
    NotWasm { path: PathBuf, found: &'static str },
    /// A core module.
    #[error("{} is a core wasm module, not a component", path.display())]
    CoreModule { path: PathBuf },
    /// Compiled code: the host maps only what it compiled itself.
    #[error("{} is precompiled code, not a wasm component", path.display())]
    Precompiled { path: PathBuf },
    /// The end of the file is missing.
    #[error("{} is cut off: it has {size} bytes and needs at least {needed}", path.display())]
    Truncated { path: PathBuf, size: u64, needed: u64 },
    /// It uses a wasm feature that is turned off.
    #[error("{} needs a wasm feature that handlers may not use: {message}", path.display())]
    Feature { path: PathBuf, message: String },
    /// It does not validate or compile.
    #[error("{} is not a valid component: {message}", path.display())]
    Invalid { path: PathBuf, message: String },
    /// None of the exports that make a handler.
    #[error("{} exports no handler: it has {}, wanted is {RECORD_HANDLER} or {BATCH_HANDLER}", path.display(), list(exports))]
    WrongWorld { path: PathBuf, exports: Vec<String> },
    /// It is built for another version of the contract.
    #[error("{} is built for sharemill:worker@{version} (it has {name}), this host serves sharemill:worker@{CONTRACT}", path.display())]
    WrongVersion {
        path: PathBuf,
        name: String,
        version: String,
    },
    /// The export is there, of another type.
    #[error("{} exports {export} with another type: {message}", path.display())]
    WrongType {
        path: PathBuf,
        export: String,
        message: String,
    },
    /// `wasi:http` without its grant.
    #[error("{} imports {import}, which deployment {deployment:?} is not granted", path.display())]
    HttpNotGranted {
        path: PathBuf,
        import: String,
        deployment: String,
    },
    /// `wasi:http` in a host that was built without.
    #[error("{} imports {import}, which this build of sharemill does not have", path.display())]
    HttpNotBuilt { path: PathBuf, import: String },
    /// A server is to be reached over TLS, and no certificate is trusted.
    #[error(
        "deployment {deployment:?} is granted a server by https, and the system's certificates are not there: {why}"
    )]
    Certificates { deployment: String, why: String },
    /// An import that no grant would meet.
    #[error("{} imports {import}, which this host does not have", path.display())]
    UnknownImport { path: PathBuf, import: String },
    /// An import of a known interface that does not fit.
    #[error("{} has an import that does not fit this host: {message}", path.display())]
    WrongImport { path: PathBuf, message: String },
    /// The limit would refuse every instance.
    #[error("{} starts with {needed} bytes of memory, over the deployment's limit of {limit}", path.display())]
    Memory { path: PathBuf, needed: u64, limit: u64 },
    /// The deployment asks for more than the process allows.
    #[error("memory of {wanted} bytes is over the host's limit of {limit}")]
    MemoryLimit { wanted: u64, limit: u64 },
    /// A granted directory cannot be opened.
    #[error("granted directory {}: {source}", host.display())]
    Directory { host: PathBuf, source: std::io::Error },
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotWasm { found, .. } if *found == sniff::WAT => {
                "this is wasm text: turn it into a component with `wasm-tools`".to_owned()
            }
            Self::CoreModule { .. } => {
                "build for wasm32-wasip2, or wrap it: `wasm-tools component embed` and `wasm-tools component new`"
                    .to_owned()
            }
            Self::Precompiled { .. } => "give the .wasm file; the host compiles and caches it by itself".to_owned(),
            Self::Truncated { .. } => "copy or build the file again".to_owned(),
            Self::WrongWorld { .. } => {
                "build it against a world of wit/worker.wit, such as `sharemill:worker/handler`".to_owned()
            }
            Self::WrongVersion { version, .. } => format!(
                "build it again for this host: sharemill wit DIR writes its contract, sharemill new a Rust project with it; or run it with a \
                 sharemill that serves {version}"
            ),
            Self::WrongType { .. } | Self::WrongImport { .. } => {
                "build it again for this host: sharemill wit DIR writes the contract that it serves".to_owned()
            }
            Self::HttpNotGranted { deployment, .. } => {
                format!("add `{HTTP_GRANT_LINE}` with the server's name to [deployments.{deployment}.grants]")
            }
            Self::HttpNotBuilt { .. } => "use a build with the feature `http`, which is on by default".to_owned(),
            Self::Certificates { .. } => {
                "install ca-certificates, or name a file in PEM in the variable SSL_CERT_FILE".to_owned()
            }
            Self::Memory { needed, .. } => format!("raise `memory` to at least {}MiB", needed.div_ceil(1 << 20)),
            Self::Feature { .. } => "build it without threads, memory64, GC and exceptions".to_owned(),
            Self::Read { .. } => "build it, or correct the path; this user must be able to read it".to_owned(),
            Self::TooLarge { .. } => {
                "build it for release, and take debug sections off with `wasm-tools strip`".to_owned()
            }
            Self::NotWasm { .. } => {
                "give the .wasm file that the build made, such as target/wasm32-wasip2/release/NAME.wasm".to_owned()
            }
            Self::Invalid { .. } => {
                "copy or build the file again; `wasm-tools validate` says where it is wrong".to_owned()
            }
            Self::UnknownImport { .. } => {
                "build it without what needs this; `sharemill module inspect` lists what a component imports".to_owned()
            }
            Self::MemoryLimit { limit, .. } => {
                format!("lower `memory` of the deployment to at most {}MiB", limit >> 20)
            }
            Self::Directory { .. } => {
                "make the folder, or name another as `host` in the deployment's `grants.files`".to_owned()
            }
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "no exports".to_owned(),
        names => names.join(", "),
    }
}
