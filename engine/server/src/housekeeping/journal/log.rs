//! The log that is being written: appended to, made durable, left for the next one when it is long or
//! when a write failed. A log whose write failed is never written to again: what the kernel has kept of
//! it is not known.

use std::io;
use std::net::SocketAddr;

use glommio::io::{BufferedFile, OpenOptions};
use journal::{Header, Sort};

use super::place::{MODE, Place};

/// A file of the journal could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    System(#[from] io::Error),
    #[error(transparent)]
    File(#[from] glommio::GlommioError<()>),
}

/// The logs of a journal.
pub(super) struct Log {
    place: Place,
    listeners: Vec<SocketAddr>,
    current: Option<Current>,
    /// The number of the next one.
    next: u64,
    /// The one before it, and how long that is.
    before: Option<(u64, u64)>,
    /// Bytes of all logs of this run.
    total: u64,
}

struct Current {
    file: BufferedFile,
    number: u64,
    /// Its length as far as it is durable.
    durable: u64,
    /// Its length.
    written: u64,
    /// Of its header.
    header: u64,
}

impl Log {
    /// Logs from this number on. Nothing is opened yet.
    pub(super) fn new(
        place: Place,
        listeners: Vec<SocketAddr>,
        next: u64,
        before: Option<(u64, u64)>,
    ) -> Log {
        Log {
            place,
            listeners,
            current: None,
            next,
            before,
            total: 0,
        }
    }

    /// The number that the next log has. What is durable now is in those before it.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of the current log that are durable.
    pub(super) fn bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.durable)
    }

    /// Bytes written to all logs.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Appends. Not durable before [`Log::sync`].
    pub(super) async fn append(&mut self, bytes: Vec<u8>, now_ms: u64) -> Result<(), FileError> {
        if self.current.is_none() {
            self.current = Some(self.begin(now_ms).await?);
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let length = write_all(&current.file, bytes, current.written).await?;
        current.written += length;
        self.total += length;
        Ok(())
    }

    /// Makes durable what was appended.
    pub(super) async fn sync(&mut self) -> Result<(), FileError> {
        if let Some(current) = &mut self.current {
            current.file.fdatasync().await?;
            current.durable = current.written;
        }
        Ok(())
    }

    /// Leaves the current log; what was not made durable is not part of it.
    pub(super) async fn leave(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.written > current.durable {
            // When this fails, too, the next log's header says where this one ends.
            let _ = current.file.truncate(current.durable).await;
        }
        if current.durable <= current.header {
            let _ = glommio::io::remove(self.place.log(current.number)).await;
            self.next = current.number;
        } else {
            self.before = Some((current.number, current.durable));
        }
        let _ = current.file.close().await;
    }

    async fn begin(&mut self, now_ms: u64) -> Result<Current, FileError> {
        let number = self.next;
        let mut header = Vec::new();
        Header {
            sort: Sort::Log,
            number,
            begun_ms: now_ms,
            before: self.before,
            listeners: self.listeners.clone(),
        }
        .append(&mut header);
        let path = self.place.log(number);
        let file = create(&path).await?;
        let begun = async {
            let length = write_all(&file, header, 0).await?;
            file.fdatasync().await?;
            sync_directory(&self.place).await?;
            Ok(length)
        };
        match begun.await {
            Ok(length) => {
                self.next = number + 1;
                Ok(Current {
                    file,
                    number,
                    durable: length,
                    written: length,
                    header: length,
                })
            }
            Err(error) => {
                let _ = file.close().await;
                let _ = glommio::io::remove(&path).await;
                Err(error)
            }
        }
    }
}

/// Makes a file that is not there, or empties one that a try before this has left.
pub(super) async fn create(path: &std::path::Path) -> Result<BufferedFile, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(MODE);
    Ok(options.buffered_open(path).await?)
}

/// Writes all of it; how much that was. A file that takes only a part is full.
pub(super) async fn write_all(
    file: &BufferedFile,
    bytes: Vec<u8>,
    at: u64,
) -> Result<u64, FileError> {
    let length = bytes.len();
    match file.write_at(bytes, at).await? {
        taken if taken == length => Ok(length as u64),
        _ => Err(io::Error::from(io::ErrorKind::StorageFull).into()),
    }
}

/// Makes names durable.
pub(super) async fn sync_directory(place: &Place) -> Result<(), FileError> {
    let directory = glommio::io::Directory::open(place.path()).await?;
    directory.sync().await?;
    directory.close().await?;
    Ok(())
}
