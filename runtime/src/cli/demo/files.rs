//! The folder that the demo works in, and the manifest there. Everything but the cache of compiled components is new in
//! every run, so that no folder of somebody else's is taken.
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::plan::Handler;
use crate::output::Failure;

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
    pub(super) fn prepare(folder: &Path, components: &Path, receiver: &str, signing_key: &str) -> Result<Self> {
        let room = Self {
            folder: folder.to_path_buf(),
            manifest: folder.join(MANIFEST_NAME),
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
        let mut manifest = format!("{FIRST_LINE}\n{MANIFEST}");
        for handler in Handler::ALL {
            let name = format!("{}.wasm", handler.name());
            let path = toml::Value::from(format!("{components}/{name}"));
            manifest = manifest.replace(&format!("\"{name}\""), &path.to_string());
        }
        manifest = manifest.replace("RECEIVER", receiver);
        let key = folder.join("signing.key");
        // For nobody else, as the host advises.
        let write = |key: &Path| {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(key)?;
            file.write_all(signing_key.as_bytes())
        };
        write(&key).with_context(|| format!("cannot write {}", key.display()))?;
        fs::write(&room.manifest, manifest).with_context(|| format!("cannot write {}", room.manifest.display()))?;
        Ok(room)
    }

    /// Where the host's log of its `number`th life goes.
    pub(super) fn log(&self, number: u32) -> PathBuf {
        self.folder.join(format!("host-{number}.log"))
    }
}

/// Whether the demo may work there: in a new or empty folder, or in that of an earlier demo.
pub(super) fn usable(folder: &Path) -> Result<(), Failure> {
    let name = folder.display();
    let hint = "--dir names the folder that the demo works in; it is made if it is not there";
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::new(format!("cannot work in {name}: {error}")).hint(hint)),
    };
    let is_ours = || fs::read_to_string(folder.join(MANIFEST_NAME)).is_ok_and(|text| text.starts_with(FIRST_LINE));
    if entries.next().is_none() || is_ours() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{name} is neither empty nor the folder of an earlier demo: nothing in it was touched"
    ))
    .hint(hint))
}

const MANIFEST_NAME: &str = "sharemill.toml";
/// By which the folder of an earlier demo is known.
const FIRST_LINE: &str = "# Written by `sharemill demo`, which empties this folder when it runs again.";

/// Short delays, so that a run is short.
const MANIFEST: &str = r#"
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

[topics.events]
retention = "queue"

[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
backoff = { first = "200ms", max = "1s" }
grants = { emit = ["order-lines"] }

[deployments.thumbnail]
component = "thumbnail.wasm"
topic = "images"
memory = "256MiB"
attempts = 10
backoff = { first = "200ms", max = "1s" }
grants = { files = [
  { host = "images", guest = "/images", access = "read" },
  { host = "thumbnails", guest = "/thumbnails", access = "read-write" },
] }

[deployments.poll]
component = "poll.wasm"
topic = "jobs"
concurrency = 64
attempts = 10
grants = { files = [{ host = "jobs", guest = "/jobs", access = "read" }], config = { poll-interval-ms = "400" } }

[deployments.webhook]
component = "webhook.wasm"
topic = "events"
backoff = { first = "200ms", max = "1s" }
secrets = { SIGNING_KEY = { file = "signing.key" } }
grants = { config = { url = "RECEIVER/hooks" }, http = [{ url = "RECEIVER", methods = ["GET", "POST"] }] }
"#;
