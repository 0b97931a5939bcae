//! The admin socket of a data directory: where it is, how it is bound, served and taken away again.
//! Only the holder of the directory's lock binds it, so a socket that is found while binding belongs to a dead process.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use sha2::{Digest as _, Sha256};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

use super::{Admin, router};

/// Why a socket could not be bound or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The folder for sockets is open to others.
    #[error("{} belongs to user {owner} with mode {mode:o}, expected user {expected} and mode 700", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// Who should.
        expected: u32,
    },
}

impl SocketError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { path, .. } => format!(
                "check that this user can write to {}",
                path.parent().unwrap_or(path).display()
            ),
            Self::UnsafeFolder { path, .. } => format!(
                "remove {}, or set XDG_RUNTIME_DIR to a folder of your own",
                path.display()
            ),
        }
    }
}

/// A bound admin socket; dropping it takes it away.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    files: SocketFiles,
}

impl AdminSocket {
    /// Binds the socket of `data_dir`. The caller holds the directory's lock; what a dead process left is removed.
    pub fn bind(data_dir: &Path) -> Result<Self, SocketError> {
        let place = Place::of(data_dir)?;
        if let Place::Elsewhere { folder, .. } = &place {
            private_folder(folder)?;
        }
        let path = place.path().to_owned();
        remove_if_there(&path)?;
        let pointer = data_dir.join(POINTER_FILE);
        remove_if_there(&pointer)?;
        let mut files = SocketFiles {
            socket: path.clone(),
            pointer: pointer.clone(),
            bound: None,
        };
        let listener = UnixListener::bind(&path).map_err(failed("bind the admin socket", &path))?;
        files.bound = identity(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed("protect", &path))?;
        if matches!(place, Place::Elsewhere { .. }) {
            fs::write(&pointer, path.as_os_str().as_bytes()).map_err(failed("write", &pointer))?;
        }
        Ok(Self { listener, files })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.files.socket
    }

    /// Answers until `shutdown` is done; answers under way then get 2 s to finish.
    pub async fn serve(self, admin: Arc<dyn Admin>, shutdown: impl Future<Output = ()>) -> Result<(), SocketError> {
        let Self { listener, files } = self;
        let listener = SameUser {
            listener,
            user: rustix::process::geteuid().as_raw(),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = axum::serve(listener, router(admin)).with_graceful_shutdown(async {
            // A dropped sender means stop, too.
            let _ = stopped.await;
        });
        let server = server.into_future();
        tokio::pin!(server);
        let ended = tokio::select! {
            ended = &mut server => ended,
            () = shutdown => {
                drop(stop);
                tokio::time::timeout(GRACE, server).await.unwrap_or(Ok(()))
            }
        };
        ended.map_err(failed("serve the admin socket", &files.socket))
    }
}

/// What answers under way get to finish when the host stops.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Where clients find the socket of `data_dir`; there may be none.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    match fs::read(data_dir.join(POINTER_FILE)) {
        Ok(path) => PathBuf::from(std::ffi::OsStr::from_bytes(&path)),
        Err(_) => data_dir.join(SOCKET_FILE),
    }
}

const SOCKET_FILE: &str = "admin.sock";
const POINTER_FILE: &str = "admin.path";
/// The kernel takes 107 bytes; some systems take 103.
const PATH_BYTES_MAX: usize = 100;

enum Place {
    InDirectory(PathBuf),
    Elsewhere { folder: PathBuf, path: PathBuf },
}

impl Place {
    fn of(data_dir: &Path) -> Result<Self, SocketError> {
        let absolute = fs::canonicalize(data_dir).map_err(failed("find", data_dir))?;
        let path = absolute.join(SOCKET_FILE);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self::InDirectory(path));
        }
        let folder = runtime_folder();
        let digest = Sha256::digest(absolute.as_os_str().as_bytes());
        let number = digest
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self::Elsewhere {
            path: folder.join(format!("{number:016x}.sock")),
            folder,
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::InDirectory(path) | Self::Elsewhere { path, .. } => path,
        }
    }
}

/// The user's folder for sockets: short, and closed to others.
fn runtime_folder() -> PathBuf {
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match given.filter(|path| path.is_absolute() && path.is_dir() && path.as_os_str().len() <= 60) {
        Some(folder) => folder.join("sharemill"),
        None => PathBuf::from(format!("/tmp/sharemill-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Makes the folder, or checks that nobody else can write in the one that is there.
fn private_folder(folder: &Path) -> Result<(), SocketError> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed("create", folder)(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(folder).map_err(failed("look at", folder))?;
    let (owner, mode, expected) = (found.uid(), found.mode() & 0o777, rustix::process::geteuid().as_raw());
    if found.is_dir() && owner == expected && mode == 0o700 {
        Ok(())
    } else {
        Err(SocketError::UnsafeFolder {
            path: folder.to_owned(),
            owner,
            mode,
            expected,
        })
    }
}

/// Removes its files when the socket is gone.
#[derive(Debug)]
struct SocketFiles {
    socket: PathBuf,
    pointer: PathBuf,
    /// Device and number of the socket.
    bound: Option<(u64, u64)>,
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        if self.bound.is_some() && identity(&self.socket) != self.bound {
            // The directory was taken away: what is there now is another host's.
            return;
        }
        // Left behind, they are told from live ones by the lock.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(&self.pointer);
    }
}

/// Takes connections of this user and of root only: between bind and chmod others may reach the socket.
struct SameUser {
    listener: UnixListener,
    user: u32,
}

impl Listener for SameUser {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if stream
                .peer_cred()
                .is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0)
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn remove_if_there(path: &Path) -> Result<(), SocketError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError + use<> {
    let path = path.to_owned();
    move |source| SocketError::Io { action, path, source }
}
