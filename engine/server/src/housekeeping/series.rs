//! A row of files in one directory: one is written, and followed by the next; the oldest go. Each file stands
//! for itself and is never renamed, so that it can be read or copied at any time. A start never touches what an
//! earlier run wrote, beyond removing what is too many.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use glommio::io::BufferedFile;

use super::stamp::stamp;

/// Files whose names begin and end alike, with a time between.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) directory: PathBuf,
    pub(super) prefix: &'static str,
    pub(super) suffix: &'static str,
    /// How many there may be, the one being written included.
    pub(super) keep: usize,
}

/// A file could not be made or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeriesError {
    #[error(transparent)]
    Directory(#[from] io::Error),
    #[error(transparent)]
    File(#[from] glommio::GlommioError<()>),
}

impl Series {
    /// Begins the next file, named by this time, and removes what is too many.
    pub(super) async fn begin(&self, started: SystemTime) -> Result<GrowingFile, SeriesError> {
        fs::create_dir_all(&self.directory)?;
        self.remove_oldest(self.keep.saturating_sub(1))?;
        let file = BufferedFile::create(self.free_path(started)).await?;
        Ok(GrowingFile { file, bytes: 0 })
    }

    /// A name by the file's begin that is not taken.
    fn free_path(&self, started: SystemTime) -> PathBuf {
        let mut time = started;
        loop {
            let name = format!("{}{}{}", self.prefix, stamp(time), self.suffix);
            let path = self.directory.join(name);
            if !path.exists() {
                return path;
            }
            time += Duration::from_millis(1);
        }
    }

    /// Removes the oldest files until at most `keep` are left. Their names say how old they are.
    fn remove_oldest(&self, keep: usize) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(self.prefix) && name.ends_with(self.suffix) {
                files.push(self.directory.join(&*name));
            }
        }
        files.sort();
        let excess = files.len().saturating_sub(keep);
        files.iter().take(excess).try_for_each(fs::remove_file)
    }
}

/// A file that only grows.
#[derive(Debug)]
pub(super) struct GrowingFile {
    pub(super) file: BufferedFile,
    /// Its length as far as it is whole.
    pub(super) bytes: u64,
}

impl GrowingFile {
    /// Appends whole lines or, as far as the file lets us, nothing.
    pub(super) async fn append(&mut self, lines: Vec<u8>) -> Result<(), SeriesError> {
        let wanted = lines.len() as u64;
        if let Err(error) = self.write_all(lines).await {
            // Half a line would be damage in the middle of the file.
            let _ = self.file.truncate(self.bytes).await;
            return Err(error);
        }
        self.bytes += wanted;
        Ok(())
    }

    async fn write_all(&self, mut lines: Vec<u8>) -> Result<(), SeriesError> {
        let mut at = self.bytes;
        while !lines.is_empty() {
            let rest = lines.clone();
            let taken = self.file.write_at(rest, at).await?;
            if taken == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            lines.drain(..taken.min(lines.len()));
            at += taken as u64;
        }
        Ok(())
    }
}

/// Makes the directory and a file in it, and removes the file.
pub(super) fn try_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!(".tipring-{}", std::process::id()));
    fs::write(&path, b"")?;
    fs::remove_file(&path)
}
