//! A storage in memory that behaves as a disk may: what was not synced is lost, reordered and torn by
//! [`MemoryStorage::crash`], the n-th call fails, a bit flips at rest. The same seed gives the same behaviour.
//! Called by tests and simulations only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "compiled for tests only"
)]

mod crash;
mod faults;
mod pages;
mod tree;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

pub use crash::CrashPlan;
pub use faults::{CallKind, Fault, FaultKind};

use self::faults::Faults;
use self::tree::Tree;
use super::{File, OpenMode, Storage, through};
use crate::entropy::Entropy;
use crate::testing::SeededEntropy;

/// A handle on one storage; clones are handles on the same one, [`MemoryStorage::fork`] makes another.
#[derive(Clone)]
pub struct MemoryStorage(Arc<Mutex<State>>);

struct State {
    tree: Tree,
    faults: Faults,
    entropy: SeededEntropy,
    /// Of all files together.
    capacity: u64,
    open_files: Option<u64>,
    lost_after: Option<u64>,
}

impl MemoryStorage {
    /// An empty storage of 1 TiB.
    pub fn new(seed: u64) -> Self {
        Self::with_tree(seed, Tree::default(), 1 << 40)
    }

    /// An independent storage with the same contents, synced or not, without faults and with no calls counted.
    /// Contents are shared until one of the two writes.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let state = self.state();
        let mut tree = state.tree.clone();
        tree.handles.clear();
        Self::with_tree(seed, tree, state.capacity)
    }

    /// What a power loss at this moment leaves behind: an independent storage without faults and with no calls
    /// counted. This one stays as it is.
    #[must_use]
    pub fn crash(&self, plan: CrashPlan) -> Self {
        let state = self.state();
        Self::with_tree(plan.seed(), crash::crash(&state.tree, plan), state.capacity)
    }

    /// Calls so far, those that failed included.
    pub fn calls(&self) -> u64 {
        self.state().faults.calls()
    }

    /// Adds a fault; its `nth` counts from now on.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Every call after the n-th (counted from the beginning, as [`MemoryStorage::calls`] does) fails: the process
    /// was killed there.
    pub fn stop_after(&self, calls: u64) {
        self.state().faults.stop_after(calls);
    }

    /// No call fails any more, and the directory is ours again.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.lost_after = None;
    }

    /// Bytes that all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Files that may be open at once.
    pub fn set_open_files(&self, files: u64) {
        self.state().open_files = Some(files);
    }

    /// After the n-th call (counted from the beginning, as [`MemoryStorage::calls`] does) the directory is another's.
    pub fn lose_after(&self, calls: u64) {
        self.state().lost_after = Some(calls);
    }

    /// Paths of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        self.state().tree.files()
    }

    /// The bytes of a file as a reader sees them. Counts no call.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn contents(&self, path: &str) -> Vec<u8> {
        let mut state = self.state();
        let id = state.tree.file(path).expect("no such file");
        let file = state.tree.content(id);
        let mut bytes = vec![0; pages::to_index(file.current.len())];
        file.current.read(&mut bytes, 0);
        bytes
    }

    /// Replaces the bytes of a file on disk, or makes it, durably. Counts no call.
    ///
    /// # Panics
    /// If its directory does not exist.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut state = self.state();
        let id = match state.tree.file(path) {
            Ok(id) => id,
            Err(_) => state.tree.create(path).expect("the directory exists"),
        };
        let file = state.tree.content(id);
        *file = tree::Content::default();
        file.current.write(bytes, 0);
        file.durable = file.current.clone();
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        state.tree.sync_dir(directory).expect("the directory exists");
    }

    /// Flips one bit (0 to 7) of a byte at rest.
    ///
    /// # Panics
    /// If there is no such byte.
    pub fn flip(&self, path: &str, offset: u64, bit: u8) {
        let mut bytes = self.contents(path);
        bytes[pages::to_index(offset)] ^= 1 << bit;
        self.put(path, &bytes);
    }

    /// Cuts a file at rest.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn truncate(&self, path: &str, len: u64) {
        let mut bytes = self.contents(path);
        bytes.truncate(pages::to_index(len));
        self.put(path, &bytes);
    }

    fn with_tree(seed: u64, tree: Tree, capacity: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            tree,
            faults: Faults::default(),
            entropy: SeededEntropy::new(seed),
            capacity,
            open_files: None,
            lost_after: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no call panics half way")
    }

    /// Counts a call and fails it if it is its turn.
    fn enter(&self, call: CallKind, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match state.faults.count(call, path) {
            None => Ok(state),
            Some(kind) => Err(kind.error()),
        }
    }
}

impl State {
    /// `StorageFull` if the file cannot become that long.
    fn admit(&mut self, id: u64, len: u64) -> io::Result<()> {
        let more = len.saturating_sub(self.tree.content(id).current.len());
        if more > 0 && self.tree.used().saturating_add(more) > self.capacity {
            return Err(FaultKind::NoSpace.error());
        }
        Ok(())
    }
}

impl Storage for MemoryStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let call = if mode == OpenMode::CreateNew {
            CallKind::Create
        } else {
            CallKind::Open
        };
        let mut state = self.enter(call, path)?;
        let open: u64 = state.tree.handles.values().map(|handles| u64::from(*handles)).sum();
        if state.open_files.is_some_and(|limit| open >= limit) {
            return Err(io::Error::other("injected: too many open files"));
        }
        let id = match mode {
            OpenMode::CreateNew => state.tree.create(path)?,
            OpenMode::Read | OpenMode::ReadWrite => state.tree.file(path)?,
        };
        *state.tree.handles.entry(id).or_default() += 1;
        drop(state);
        Ok(Box::new(OpenFile {
            storage: self.clone(),
            path: path.to_owned(),
            id,
            writable: mode != OpenMode::Read,
        }))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.enter(CallKind::List, directory)?.tree.list(directory)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.enter(CallKind::CreateDir, directory)?.tree.create_dir(directory)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.enter(CallKind::Rename, from)?.tree.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.enter(CallKind::Remove, path)?.tree.remove(path)
    }

    fn remove_dir(&self, directory: &str) -> io::Result<()> {
        self.enter(CallKind::RemoveDir, directory)?.tree.remove_dir(directory)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.enter(CallKind::SyncDir, directory)?.tree.sync_dir(directory)
    }

    fn free_space(&self) -> io::Result<u64> {
        let state = self.enter(CallKind::FreeSpace, "")?;
        Ok(state.capacity.saturating_sub(state.tree.used()))
    }

    fn open_files_max(&self) -> Option<u64> {
        self.state().open_files
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn lost(&self) -> Option<String> {
        let state = self.state();
        let lost = state.lost_after.is_some_and(|calls| state.faults.calls() >= calls);
        lost.then(|| "the directory was taken away".to_owned())
    }
}

/// A file stays readable and writable after its name is gone, as on any Unix.
struct OpenFile {
    storage: MemoryStorage,
    path: String,
    id: u64,
    writable: bool,
}

impl OpenFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // A test that failed while it held the lock has more to say than this.
        if let Ok(mut state) = self.storage.0.lock()
            && let Some(handles) = state.tree.handles.get_mut(&self.id)
        {
            *handles -= 1;
            if *handles == 0 {
                state.tree.handles.remove(&self.id);
            }
        }
    }
}

impl File for OpenFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let mut state = self.storage.enter(CallKind::Read, &self.path)?;
        if state.tree.content(self.id).current.read(buf, position) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.storage.state();
        let fault = state.faults.count(CallKind::Write, &self.path);
        let data = match fault {
            None => data,
            Some(FaultKind::Short) => {
                let pieces: Vec<_> = crash::sectors(position, data).collect();
                let kept = state.entropy.next_u64() % pieces.len().max(1) as u64;
                let cut = pieces.get(pages::to_index(kept)).map_or(0, |piece| piece.0 - position);
                &data[..pages::to_index(cut)]
            }
            Some(kind) => return Err(kind.error()),
        };
        state.admit(self.id, position + data.len() as u64)?;
        state.tree.content(self.id).write(data, position);
        fault.map_or(Ok(()), |kind| Err(kind.error()))
    }

    /// By as many calls as the real storage makes: the process may be killed between two of them, and any may fail.
    fn write_through_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        for part in through::calls(data.len(), position) {
            let start = position + part.start as u64;
            self.write_all_at(&data[part], start)?;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.storage.state();
        let fault = state.faults.count(CallKind::Sync, &self.path);
        match fault {
            None => state.tree.content(self.id).sync(),
            Some(kind) => {
                let seed = state.entropy.next_u64();
                crash::fail_sync(state.tree.content(self.id), seed);
                return Err(kind.error());
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.storage.enter(CallKind::SetLen, &self.path)?;
        state.admit(self.id, len)?;
        state.tree.content(self.id).set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.storage.enter(CallKind::Len, &self.path)?;
        Ok(state.tree.content(self.id).current.len())
    }
}
