//! The log of a child process, as a place where words show up after a while.

use crate::failure::Failure;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How long something in a log is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A file that somebody writes.
#[derive(Debug)]
pub(crate) struct Log(pub(crate) PathBuf);

impl Log {
    /// Waits until it has `words`.
    pub(crate) fn says(&self, words: &str) -> Result<(), Failure> {
        self.says_often(words, 1)
    }

    /// Waits until it has `words` this often.
    pub(crate) fn says_often(&self, words: &str, times: usize) -> Result<(), Failure> {
        let what = match times {
            1 => format!("{words:?}"),
            _ => format!("{words:?} {times} times"),
        };
        self.find(&what, |text| {
            (text.matches(words).count() >= times).then_some(())
        })
    }

    /// Waits until `look` finds something in the whole of it.
    pub(crate) fn find<T>(
        &self,
        what: &str,
        look: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(found) = look(&self.text()) {
                return Ok(found);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::Timeout(format!("{what} in {}", self.0.display())))
    }

    /// What it has now.
    pub(crate) fn text(&self) -> String {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        let file = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        std::fs::write(&file, "up down up").unwrap();
        let log = Log(file.clone());
        assert!(log.says_often("up", 2).is_ok());
        assert_eq!(log.find("down", |text| text.find("down")).unwrap(), 3);
        std::fs::remove_file(file).unwrap();
    }
}
