//! The server seen from outside: its CPU time, memory and dropped datagrams, read before and after a stretch of load.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::procfs::{self, ThreadTime};

/// Which server to watch.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pid: Option<u32>,
    pids: Vec<u32>,
    port: Option<u16>,
}

/// The server at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    threads: BTreeMap<u32, ThreadTime>,
    drops: u64,
    receive_buffer_errors: u64,
    resident_bytes: u64,
}

/// CPU time of one thread (or one-threaded process) per call.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ThreadCost {
    pub(crate) name: String,
    pub(crate) thread: u32,
    pub(crate) cpu_us_per_call: f64,
}

/// What the server used between two snapshots.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// CPU microseconds per call, all threads; absent without a pid.
    pub(crate) cpu_us_per_call: Option<f64>,
    /// CPU seconds used per second.
    pub(crate) cpu_share: Option<f64>,
    /// Threads that used any, the most expensive first.
    pub(crate) threads: Vec<ThreadCost>,
    pub(crate) resident_bytes_before: u64,
    pub(crate) resident_bytes_after: u64,
}

impl Probe {
    /// Watches the server whose first process is `pid`, with all it has forked by now, and the port it receives on.
    /// Without a pid only the port is watched.
    pub(crate) fn new(pid: Option<u32>, port: u16) -> Probe {
        Probe {
            port: Some(port),
            ..Probe::of_process(pid)
        }
    }

    /// Watches the process alone, which is quick enough to be read in the midst of a load.
    pub(crate) fn of_process(pid: Option<u32>) -> Probe {
        Probe {
            pid,
            pids: pid.map(procfs::process_tree).unwrap_or_default(),
            port: None,
        }
    }

    /// Reads the server now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            threads: procfs::thread_times(&self.pids),
            drops: self
                .port
                .map_or(0, |port| procfs::port_drops(port..=port, self.pid)),
            receive_buffer_errors: procfs::receive_buffer_errors(),
            resident_bytes: procfs::resident_bytes(&self.pids),
        }
    }
}

impl Snapshot {
    /// Resident bytes of the server at that moment; zero without a pid.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// Datagrams dropped at the server's port since `earlier`, and in the whole network namespace.
    pub(crate) fn drops_since(&self, earlier: &Snapshot) -> (u64, u64) {
        (
            self.drops.saturating_sub(earlier.drops),
            self.receive_buffer_errors
                .saturating_sub(earlier.receive_buffer_errors),
        )
    }

    /// What the server used since `earlier` for this many calls in this many seconds.
    pub(crate) fn usage_since(&self, earlier: &Snapshot, calls: f64, seconds: f64) -> Usage {
        let mut threads: Vec<(u32, &str, u64)> = self
            .threads
            .iter()
            .map(|(&tid, now)| {
                let before = earlier.threads.get(&tid).map_or(0, |before| before.cpu_ns);
                (tid, &now.name[..], now.cpu_ns.saturating_sub(before))
            })
            .collect();
        threads.sort_by_key(|&(_, _, cpu_ns)| std::cmp::Reverse(cpu_ns));
        let total_us = threads.iter().map(|&(_, _, cpu_ns)| cpu_ns).sum::<u64>() as f64 / 1e3;
        let calls = calls.max(1.0);
        let watched = !self.threads.is_empty();
        Usage {
            cpu_us_per_call: watched.then_some(total_us / calls),
            cpu_share: watched.then_some(total_us / 1e6 / seconds.max(1e-9)),
            threads: threads
                .into_iter()
                .filter(|&(_, _, cpu_ns)| cpu_ns > 0)
                .map(|(thread, name, cpu_ns)| ThreadCost {
                    name: name.to_owned(),
                    thread,
                    cpu_us_per_call: cpu_ns as f64 / 1e3 / calls,
                })
                .collect(),
            resident_bytes_before: earlier.resident_bytes,
            resident_bytes_after: self.resident_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(threads: &[(u32, u64)], drops: u64) -> Snapshot {
        let time = |cpu_ns| ThreadTime {
            name: "t".into(),
            cpu_ns,
        };
        Snapshot {
            threads: threads
                .iter()
                .map(|&(tid, cpu_ns)| (tid, time(cpu_ns)))
                .collect(),
            drops,
            receive_buffer_errors: 0,
            resident_bytes: 0,
        }
    }

    #[test]
    fn usage_is_the_difference_of_every_thread_per_call() {
        let before = snapshot(&[(1, 1_000_000), (2, 5_000), (3, 7)], 2);
        let after = snapshot(&[(1, 2_000_000), (3, 7), (4, 3_000_000)], 5);
        let usage = after.usage_since(&before, 100.0, 2.0);
        assert_eq!(usage.cpu_us_per_call, Some(40.0));
        assert_eq!(usage.cpu_share, Some(0.002));
        let threads: Vec<_> = usage
            .threads
            .iter()
            .map(|t| (t.thread, t.cpu_us_per_call))
            .collect();
        assert_eq!(threads, [(4, 30.0), (1, 10.0)]);
        assert_eq!(after.drops_since(&before), (3, 0));
    }

    #[test]
    fn without_a_process_there_is_no_cpu_figure() {
        let usage = snapshot(&[], 0).usage_since(&snapshot(&[], 0), 10.0, 1.0);
        assert_eq!(usage.cpu_us_per_call, None);
    }
}
