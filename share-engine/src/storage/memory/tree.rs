//! Names and contents, each in two states: what a reader sees, and what is known to be on disk. Files and directories
//! are nodes with numbers, so that an open file outlives its name and a renamed directory keeps what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::pages::Pages;

/// All nodes; 0 is the data directory.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) next: u64,
    /// How many handles a file has; a nameless one is gone with its last handle.
    pub(super) handles: BTreeMap<u64, u32>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Content),
    Directory(Directory),
}

/// A file's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) current: Pages,
    pub(super) durable: Pages,
    /// What leads from `durable` to `current`, oldest first.
    pub(super) pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
pub(super) enum Pending {
    Write { position: u64, data: Arc<[u8]> },
    SetLen(u64),
}

/// A directory's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) current: BTreeMap<String, u64>,
    pub(super) durable: BTreeMap<String, u64>,
    /// What leads from `durable` to `current`, oldest first.
    pub(super) pending: Vec<Renaming>,
}

#[derive(Clone, Debug)]
pub(super) enum Renaming {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Directory(Directory::default()))]),
            next: ROOT + 1,
            handles: BTreeMap::new(),
        }
    }
}

impl Tree {
    pub(super) fn content(&mut self, id: u64) -> &mut Content {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => content,
            _ => unreachable!("an open file keeps its node"),
        }
    }

    /// Length of all files together, nameless ones with a handle included.
    pub(super) fn used(&self) -> u64 {
        let mut live: BTreeSet<u64> = self.handles.keys().copied().collect();
        for node in self.nodes.values() {
            if let Node::Directory(directory) = node {
                live.extend(directory.current.values());
            }
        }
        let len = |id: &u64| match self.nodes.get(id) {
            Some(Node::File(content)) => content.current.len(),
            _ => 0,
        };
        live.iter().map(len).sum()
    }

    /// Drops files that no name leads to, on disk or in memory, and no handle.
    fn collect(&mut self) {
        let mut live: BTreeSet<u64> = self.handles.keys().copied().chain([ROOT]).collect();
        for node in self.nodes.values() {
            if let Node::Directory(directory) = node {
                live.extend(directory.current.values().chain(directory.durable.values()));
                live.extend(directory.pending.iter().filter_map(|renaming| match renaming {
                    Renaming::Link(_, id) => Some(*id),
                    _ => None,
                }));
            }
        }
        self.nodes.retain(|id, _| live.contains(id));
    }

    pub(super) fn file(&self, path: &str) -> io::Result<u64> {
        let id = self.find(path)?;
        match self.nodes.get(&id) {
            Some(Node::File(_)) => Ok(id),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<u64> {
        self.link(path, Node::File(Content::default()))
    }

    pub(super) fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        match self.nodes.get(&self.find(directory)?) {
            Some(Node::Directory(directory)) => Ok(directory.current.keys().cloned().collect()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn create_dir(&mut self, path: &str) -> io::Result<()> {
        let mut made = String::new();
        for name in path.split('/') {
            if !made.is_empty() {
                made.push('/');
            }
            made.push_str(name);
            match self.link(&made, Node::Directory(Directory::default())) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        self.list(path).map(drop)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.find(from)?;
        let ((from_parent, from), (to_parent, to)) = (split(from)?, split(to)?);
        if from_parent != to_parent {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "renaming into another directory",
            ));
        }
        self.directory(from_parent)?
            .apply(Renaming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.file(path)?;
        let (parent, name) = split(path)?;
        self.directory(parent)?.apply(Renaming::Unlink(name.to_owned()));
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (parent, name) = split(path)?;
        self.directory(parent)?.apply(Renaming::Unlink(name.to_owned()));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        let directory = self.directory(path)?;
        directory.durable = directory.current.clone();
        directory.pending.clear();
        self.collect();
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((prefix, id)) = open.pop() {
            match self.nodes.get(&id) {
                Some(Node::Directory(directory)) => {
                    let slash = if prefix.is_empty() { "" } else { "/" };
                    open.extend(
                        directory
                            .current
                            .iter()
                            .map(|(name, id)| (format!("{prefix}{slash}{name}"), *id)),
                    );
                }
                _ => files.push(prefix),
            }
        }
        files.sort_unstable();
        files
    }

    fn find(&self, path: &str) -> io::Result<u64> {
        let mut id = ROOT;
        for name in path.split('/').filter(|_| !path.is_empty()) {
            check_name(name)?;
            id = match self.nodes.get(&id) {
                Some(Node::Directory(directory)) => *directory
                    .current
                    .get(name)
                    .ok_or(io::Error::from(io::ErrorKind::NotFound))?,
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(id)
    }

    fn directory(&mut self, path: &str) -> io::Result<&mut Directory> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn link(&mut self, path: &str, node: Node) -> io::Result<u64> {
        let (parent, name) = split(path)?;
        let id = self.next;
        let directory = self.directory(parent)?;
        if directory.current.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        directory.apply(Renaming::Link(name.to_owned(), id));
        self.nodes.insert(id, node);
        self.next += 1;
        Ok(id)
    }
}

impl Content {
    pub(super) fn write(&mut self, data: &[u8], position: u64) {
        self.current.write(data, position);
        self.pending.push(Pending::Write {
            position,
            data: data.into(),
        });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.current.set_len(len);
        self.pending.push(Pending::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.durable);
        }
    }
}

impl Pending {
    pub(super) fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { position, data } => pages.write(data, *position),
            Self::SetLen(len) => pages.set_len(*len),
        }
    }
}

impl Directory {
    fn apply(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.current);
        self.pending.push(renaming);
    }
}

impl Renaming {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

fn split(path: &str) -> io::Result<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    check_name(name)?;
    Ok((parent, name))
}

fn check_name(name: &str) -> io::Result<()> {
    if matches!(name, "" | "." | "..") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a path leaves the data directory",
        ));
    }
    Ok(())
}

/// The data directory's number.
pub(super) const ROOT: u64 = 0;
