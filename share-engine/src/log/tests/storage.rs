//! A plain storage in memory that counts what is changed, for tests that need no crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

use crate::storage::{File, OpenMode, Storage};

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
pub(crate) struct PlainStorage {
    files: Mutex<BTreeMap<String, Content>>,
    directories: Mutex<BTreeSet<String>>,
}

impl PlainStorage {
    /// Paths of all files.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap()[path].lock().unwrap().clone()
    }

    /// Changes a file behind the back of everybody.
    pub(crate) fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.files.lock().unwrap()[path].lock().unwrap());
    }

    fn not_found(path: &str) -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, path.to_owned())
    }
}

impl Storage for PlainStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut files = self.files.lock().unwrap();
        let content = match (files.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, OpenMode::CreateNew) => {
                let content = Content::default();
                files.insert(path.to_owned(), Arc::clone(&content));
                content
            }
            (Some(content), _) => Arc::clone(content),
            (None, _) => return Err(Self::not_found(path)),
        };
        Ok(Box::new(PlainFile(content)))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        if !self.directories.lock().unwrap().contains(directory) {
            return Err(Self::not_found(directory));
        }
        let prefix = format!("{directory}/");
        let files = self.files.lock().unwrap();
        let names = files.keys().filter_map(|path| path.strip_prefix(&prefix));
        Ok(names.map(str::to_owned).collect())
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.directories.lock().unwrap().insert(directory.to_owned());
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let content = files.remove(from).ok_or_else(|| Self::not_found(from))?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let removed = self.files.lock().unwrap().remove(path);
        removed.map(drop).ok_or_else(|| Self::not_found(path))
    }

    fn remove_dir(&self, directory: &str) -> io::Result<()> {
        self.directories.lock().unwrap().remove(directory);
        Ok(())
    }

    fn sync_dir(&self, _directory: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

struct PlainFile(Content);

impl File for PlainFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let content = self.0.lock().unwrap();
        let start = usize::try_from(position).unwrap();
        let from = content.get(start..start + buf.len());
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        let start = usize::try_from(position).unwrap();
        let end = start + data.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(data);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
}
