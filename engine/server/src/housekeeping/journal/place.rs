//! The directory of a journal: what the files in it are called, and the lock that keeps a second router
//! out. What they hold is as good as passwords within their domains, so only the owner may read them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Of files: for the owner alone.
pub(super) const MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const LOG: &str = "log-";
const SNAPSHOT: &str = "snapshot-";
const SUFFIX: &str = ".journal";
/// Of a snapshot that is being written.
const UNFINISHED: &str = ".unfinished";

/// The journal's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It cannot be made, read or written: a right, or the disk.
    #[error("{}: {source}; let this user write there (StateDirectory= in the unit), name another journal.directory, or set journal.enabled = false", .path.display())]
    Directory {
        /// The directory or a file in it.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{}: another router keeps its journal here; name another journal.directory", .0.display())]
    Locked(PathBuf),
    /// A file of a later version.
    #[error("{}: written by a later version (format {version}); run that one, or name another journal.directory", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u16,
    },
    /// No io_uring for files.
    #[error(
        "the files' executor cannot run: {0}; raise the memlock limit (LimitMEMLOCK=infinity), or set journal.enabled = false"
    )]
    Executor(String),
}

impl OpenError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.to_owned();
        move |source| OpenError::Directory { path, source }
    }
}

/// A journal's directory.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// As long as it lives no other router uses the directory.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

/// The files of a journal by their numbers.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Logs.
    pub(super) logs: BTreeMap<u64, PathBuf>,
    /// Snapshots.
    pub(super) snapshots: BTreeMap<u64, PathBuf>,
    /// Snapshots that were never finished.
    pub(super) unfinished: Vec<PathBuf>,
}

/// Makes the directory, for the owner alone, when it is missing.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE);
    builder.create(directory)
}

impl Place {
    /// Makes the directory when it is missing, and takes the lock.
    pub(super) fn take(directory: &Path) -> Result<(Place, Lock), OpenError> {
        make(directory).map_err(OpenError::at(directory))?;
        let path = directory.join("lock");
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(MODE);
        let file = options.open(&path).map_err(OpenError::at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok((Place(directory.to_owned()), Lock(file))),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(directory.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::Directory { path, source }),
        }
    }

    /// A directory to look into, without the lock.
    pub(super) fn look(directory: &Path) -> Place {
        Place(directory.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn log(&self, number: u64) -> PathBuf {
        self.0.join(format!("{LOG}{number:010}{SUFFIX}"))
    }

    pub(super) fn snapshot(&self, number: u64) -> PathBuf {
        self.0.join(format!("{SNAPSHOT}{number:010}{SUFFIX}"))
    }

    pub(super) fn unfinished(&self, number: u64) -> PathBuf {
        self.0.join(format!("{SNAPSHOT}{number:010}{UNFINISHED}"))
    }

    /// Where a damaged file is kept for a person to look at.
    pub(super) fn damaged(&self, file: &Path) -> PathBuf {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        self.0.join(format!("damaged-{name}"))
    }

    /// What is there.
    pub(super) fn files(&self) -> io::Result<Files> {
        let mut files = Files::default();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(number) = number(&name, LOG) {
                files.logs.insert(number, path);
            } else if let Some(number) = number(&name, SNAPSHOT) {
                files.snapshots.insert(number, path);
            } else if name.starts_with(SNAPSHOT) && name.ends_with(UNFINISHED) {
                files.unfinished.push(path);
            }
        }
        Ok(files)
    }
}

fn number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?;
    digits.parse().ok()
}

impl Files {
    /// Those that a snapshot with this number makes needless.
    pub(super) fn needless(self, snapshot: u64) -> impl Iterator<Item = PathBuf> {
        let old = move |(number, path): (u64, PathBuf)| (number < snapshot).then_some(path);
        let files = self.logs.into_iter().chain(self.snapshots);
        files.filter_map(old).chain(self.unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::housekeeping::journal::tests::Desk;

    #[test]
    fn one_router_has_it_at_a_time() {
        let desk = Desk::new("lock");
        let directory = desk.path("deep/er");
        let (place, lock) = Place::take(&directory).expect("taken");
        assert!(matches!(Place::take(&directory), Err(OpenError::Locked(_))));
        drop(lock);
        Place::take(&directory).expect("taken again");
        assert_eq!(place.path(), directory);
        let metadata = fs::metadata(&directory).expect("there");
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777,
            0o700
        );
    }

    #[test]
    fn files_are_known_by_their_names() {
        let desk = Desk::new("names");
        let (place, _lock) = Place::take(&desk.path("j")).expect("taken");
        for file in [
            place.log(3),
            place.log(4),
            place.snapshot(4),
            place.snapshot(2),
        ] {
            fs::write(file, "").expect("written");
        }
        fs::write(place.unfinished(5), "").expect("written");
        fs::write(place.path().join("notes.txt"), "").expect("written");
        fs::write(place.damaged(&place.log(1)), "").expect("written");
        let needless: Vec<_> = place.files().expect("read").needless(4).collect();
        assert_eq!(
            needless,
            [place.log(3), place.snapshot(2), place.unfinished(5)]
        );
    }
}
