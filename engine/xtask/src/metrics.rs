//! The router's counters, as its HTTP listener tells them. What they should be is the caller's business.

use crate::failure::Failure;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long the listener may take to answer, and a counter to show what has happened.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer of the listener at `address`, with its HTTP head.
pub(crate) fn ask(address: SocketAddr) -> Result<String, Failure> {
    exchange(address).map_err(Failure::machine(format!("asking {address} for metrics")))
}

fn exchange(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: router\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A metric of all shards together, once with one label and its value (`outcome="joined"`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    /// The name of the metric.
    pub(crate) name: &'static str,
    /// What must stand among its labels; empty for any.
    pub(crate) label: &'static str,
}

impl Total {
    /// What it is now.
    pub(crate) fn read(self, address: SocketAddr) -> Result<u64, Failure> {
        Ok(self.sum(&ask(address)?))
    }

    /// Waits until it is `value`.
    pub(crate) fn becomes(self, address: SocketAddr, value: u64) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = self.read(address)?;
            if now == value {
                return Ok(());
            }
            if Instant::now() > until {
                let Total { name, label } = self;
                return Err(Failure::Check(format!(
                    "{name} {label} is {now}, not {value}"
                )));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn sum(self, text: &str) -> u64 {
        let values = text.lines().filter_map(|line| {
            let (metric, value) = line.rsplit_once(' ')?;
            let (name, labels) = metric.split_once('{')?;
            let is_it = name == self.name && labels.contains(self.label);
            is_it.then(|| value.parse::<u64>().ok()).flatten()
        });
        values.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_added_and_labels_told_apart() {
        let text = "# HELP ends Of transfers.\n\
            ends{shard=\"0\",outcome=\"joined\"} 2\nends{shard=\"1\",outcome=\"joined\"} 1\n\
            ends{shard=\"0\",outcome=\"failed\"} 4\nends_all{shard=\"0\"} 8\n";
        let sum = |label| {
            let name = "ends";
            Total { name, label }.sum(text)
        };
        assert_eq!(sum("outcome=\"joined\""), 3);
        assert_eq!(sum(""), 7);
    }
}
