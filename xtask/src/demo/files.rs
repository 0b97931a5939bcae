//! The folder that the demo works in, and the manifest there. Everything but the cache of compiled components is new in
//! every run.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders and files of one run.
pub(super) struct Room {
    pub(super) folder: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) images: PathBuf,
    pub(super) thumbnails: PathBuf,
    pub(super) jobs: PathBuf,
}

impl Room {
    /// Empties the folder and writes the manifest.
    pub(super) fn prepare(folder: &Path, components: &Path) -> Result<Self> {
        let room = Self {
            folder: folder.to_path_buf(),
            manifest: folder.join("sharemill.toml"),
            images: folder.join("images"),
            thumbnails: folder.join("thumbnails"),
            jobs: folder.join("jobs"),
        };
        for old in [&room.images, &room.thumbnails, &room.jobs, &folder.join("data")] {
            match fs::remove_dir_all(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot empty {}", old.display()));
                }
                _ => {}
            }
        }
        for new in [&room.images, &room.thumbnails, &room.jobs] {
            fs::create_dir_all(new).with_context(|| format!("cannot create {}", new.display()))?;
        }
        let components = components.to_str().context("the path of the components is not UTF-8")?;
        let manifest = MANIFEST.replace("COMPONENTS", components);
        fs::write(&room.manifest, manifest).with_context(|| format!("cannot write {}", room.manifest.display()))?;
        Ok(room)
    }

    /// Where the host's log of its `number`th life goes.
    pub(super) fn log(&self, number: u32) -> PathBuf {
        self.folder.join(format!("host-{number}.log"))
    }
}

/// Short delays, so that a run is short.
const MANIFEST: &str = r#"# Written by `cargo xtask demo`.
[host]
cache-dir = "cache"
drain-timeout = "5s"

[sources.main]
type = "embedded"
data-dir = "data"

[topics.orders]
partitions = 2
retention = "queue"

[topics.order-lines]
retention = "forever"

[topics.images]
retention = "queue"

[topics.jobs]
retention = "queue"

[deployments.enrich]
component = "COMPONENTS/enrich.wasm"
topic = "orders"
backoff = { first = "200ms", max = "1s" }
grants = { emit = ["order-lines"] }

[deployments.thumbnail]
component = "COMPONENTS/thumbnail.wasm"
topic = "images"
memory = "256MiB"
attempts = 10
backoff = { first = "200ms", max = "1s" }
grants = { files = [
  { host = "images", guest = "/images", access = "read" },
  { host = "thumbnails", guest = "/thumbnails", access = "read-write" },
] }

[deployments.poll]
component = "COMPONENTS/poll.wasm"
topic = "jobs"
concurrency = 64
attempts = 10
grants = { files = [{ host = "jobs", guest = "/jobs", access = "read" }], config = { poll-interval-ms = "400" } }
"#;
