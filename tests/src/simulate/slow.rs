//! A disk that takes its time: writes and syncs move the clock, most by little, some by much.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use share_engine::storage::{File, MemoryStorage, OpenMode, Storage};

use super::chance::mix;
use super::clock::SetClock;
use super::plan::Plan;

/// The disk of a run, with the time that it takes.
pub(crate) struct SlowStorage {
    disk: MemoryStorage,
    pace: Arc<Pace>,
}

struct Pace {
    clock: Arc<SetClock>,
    slowest: u64,
    calls: AtomicU64,
}

impl SlowStorage {
    pub(crate) fn new(disk: MemoryStorage, clock: Arc<SetClock>, plan: &Plan) -> Self {
        let calls = AtomicU64::new(disk.calls());
        let slowest = plan.slowness;
        Self {
            disk,
            pace: Arc::new(Pace { clock, slowest, calls }),
        }
    }
}

impl Pace {
    /// One call in eight takes up to the longest time, the others a hundredth of it.
    fn take(&self) {
        if self.slowest == 0 {
            return;
        }
        let draw = mix(self.calls.fetch_add(1, Ordering::Relaxed));
        let most = if draw.is_multiple_of(8) {
            self.slowest
        } else {
            self.slowest / 100
        };
        self.clock.slow(mix(draw) % (most + 1));
    }
}

impl Storage for SlowStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile {
            file: self.disk.open(path, mode)?,
            pace: Arc::clone(&self.pace),
        }))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.disk.create_dir(directory)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, directory: &str) -> io::Result<()> {
        self.disk.remove_dir(directory)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.pace.take();
        self.disk.sync_dir(directory)
    }

    fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space()
    }

    fn describe(&self) -> String {
        self.disk.describe()
    }
}

struct SlowFile {
    file: Box<dyn File>,
    pace: Arc<Pace>,
}

impl File for SlowFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, position)
    }

    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        self.pace.take();
        self.file.write_all_at(data, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pace.take();
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
