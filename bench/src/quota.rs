//! A limit on a server's CPU time, by the kernel's cgroups: makes a server slow enough for one generator to offer it ten times what
//! it can carry. What each message costs it stays what it is; there is only less time for all of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Length of a period in microseconds: the server may run for its share of each. Short, so that a wait for the next one does not
/// look like a queue.
const PERIOD_US: u64 = 4_000;

/// The largest shares (cgroup v1) and weight (v2) there are.
const SHARES_MAX: u64 = 262_144;
const WEIGHT_MAX: u64 = 10_000;

/// A group of this process's own; it goes when this is dropped, after the server has ended.
pub(crate) struct Quota {
    directory: PathBuf,
}

impl Quota {
    /// Limits the process with this id to `percent` of one CPU.
    pub(crate) fn limit(pid: u32, percent: u64) -> io::Result<Quota> {
        let name = format!("tipring-bench-{}", std::process::id());
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let is_version_1 = version_1.join("cpu.cfs_quota_us").exists();
        let root = if is_version_1 {
            version_1
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let quota = Quota {
            directory: root.join(name),
        };
        fs::create_dir_all(&quota.directory)?;
        let run_us = (PERIOD_US * percent / 100).max(1_000);
        let period_us = run_us * 100 / percent.max(1);
        let write = |file: &str, text: String| fs::write(quota.directory.join(file), text);
        // Within its quota it is not to wait for others.
        if is_version_1 {
            write("cpu.shares", SHARES_MAX.to_string())?;
            write("cpu.cfs_period_us", period_us.to_string())?;
            write("cpu.cfs_quota_us", run_us.to_string())?;
        } else {
            write("cpu.weight", WEIGHT_MAX.to_string())?;
            write("cpu.max", format!("{run_us} {period_us}"))?;
        }
        write("cgroup.procs", pid.to_string())?;
        Ok(quota)
    }

    /// Takes the limit away: the server ends as fast as it would without.
    pub(crate) fn lift(&self) -> io::Result<()> {
        let version_1 = self.directory.join("cpu.cfs_quota_us");
        match version_1.exists() {
            true => fs::write(version_1, "-1"),
            false => fs::write(self.directory.join("cpu.max"), "max"),
        }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.directory) {
            eprintln!("tipring-bench: {} stays: {error}", self.directory.display());
        }
    }
}
