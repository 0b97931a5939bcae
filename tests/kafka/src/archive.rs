//! The classes of a broker, parsed once for all starts (class data sharing): a broker that finds them takes half of the
//! processor time until it answers. A matter of speed alone: Java goes on without an archive that is missing, or that is not
//! of itself and these jars.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::cluster::Cluster;
use crate::error::{Error, of_file};
use crate::jars;
use crate::java::Java;
use crate::options::Options;
use crate::version::Version;

/// The archive for this Java, if there is one.
pub(crate) fn of(version: Version, java: &Java) -> Option<PathBuf> {
    let path = path(version, java);
    // An empty one says that it cannot be made.
    let bytes = fs::metadata(&path).map_or(0, |found| found.len());
    (bytes > 0).then_some(path)
}

/// Makes it, unless somebody has: a broker is started and ended well. Whoever comes meanwhile waits.
pub(crate) fn make(version: Version, java: &Java) -> Result<(), Error> {
    let path = path(version, java);
    if path.exists() {
        return Ok(());
    }
    let lock_path = path.with_extension("lock");
    let lock = fs::File::create(&lock_path).map_err(of_file(&lock_path))?;
    lock.lock().map_err(of_file(&lock_path))?;
    if path.exists() {
        return Ok(());
    }
    let partial = path.with_extension("partial");
    let options = Options {
        version,
        ..Options::default()
    };
    Cluster::start_writing(options, &partial)?.end_well();
    // It may have ended well without one: then nobody tries again.
    if !partial.exists() {
        fs::write(&partial, "").map_err(of_file(&partial))?;
    }
    fs::rename(&partial, &path).map_err(of_file(&path))
}

/// Of other jars, if only by their time, it would be left alone for ever.
pub(crate) fn forget(home: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(home).map_err(of_file(home))? {
        let path = entry.map_err(of_file(home))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            fs::remove_file(&path).map_err(of_file(&path))?;
        }
    }
    Ok(())
}

/// An archive fits one Java and one place.
fn path(version: Version, java: &Java) -> PathBuf {
    let home = jars::home(version);
    let mut hasher = DefaultHasher::new();
    (&home, &java.said).hash(&mut hasher);
    home.join(format!("classes-{:016x}.{EXTENSION}", hasher.finish()))
}

const EXTENSION: &str = "jsa";
