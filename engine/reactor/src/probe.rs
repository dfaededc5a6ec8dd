//! What this kernel, this process's limits and this machine allow, judged against what a reactor
//! wants: the facts behind `tipring doctor`. Reads only; changes nothing. Each fact is read in one
//! place and judged in another, so that the judgement can be tested without the machine.

use std::fs;

use crate::affinity;
use crate::config::ReactorConfig;
use crate::error::SteeringError;
use crate::socket::UdpOptions;
use crate::{advice, limits, ring, steering};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As wanted.
    Ok,
    /// The engine runs, slower or with less room.
    Warn,
    /// The engine does not start.
    Fail,
}

/// One line of the doctor's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub topic: &'static str,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub wanted: String,
    /// How bad the difference is.
    pub severity: Severity,
    /// What to do about it; empty when there is nothing to do.
    pub advice: &'static str,
}

impl Finding {
    fn new(
        topic: &'static str,
        found: impl Into<String>,
        wanted: impl Into<String>,
        severity: Severity,
        advice: &'static str,
    ) -> Finding {
        let advice = if severity == Severity::Ok { "" } else { advice };
        Finding {
            topic,
            found: found.into(),
            wanted: wanted.into(),
            severity,
            advice,
        }
    }
}

/// Everything that matters to `shards` reactors of this configuration, most important first.
pub fn findings(config: &ReactorConfig, options: &UdpOptions, shards: usize) -> Vec<Finding> {
    let capabilities = Capabilities::read();
    let net_admin = capabilities.has(CAP_NET_ADMIN);
    vec![
        judge_kernel(&read("/proc/sys/kernel/osrelease")),
        io_uring(config),
        judge_seccomp(&read("/proc/self/status")),
        judge_memlock(
            limit(libc::RLIMIT_MEMLOCK),
            config.locked_bytes() * shards as u64,
            capabilities.has(CAP_IPC_LOCK),
        ),
        judge_files(limits::open_files().ok(), files_needed(config, shards)),
        judge_buffer(
            &RECEIVE,
            number("rmem_max"),
            options.receive_buffer_bytes,
            net_admin,
        ),
        judge_buffer(
            &SEND,
            number("wmem_max"),
            options.send_buffer_bytes,
            net_admin,
        ),
        judge_backlog(number("netdev_max_backlog")),
        steering_program(),
        segmentation(),
        judge_capability(
            "CAP_BPF",
            capabilities.has(CAP_BPF),
            Severity::Warn,
            advice::STEERING,
        ),
        judge_capability(
            "CAP_NET_ADMIN",
            net_admin,
            Severity::Warn,
            advice::NET_ADMIN,
        ),
        judge_capability(
            "CAP_SYS_NICE",
            capabilities.has(CAP_SYS_NICE),
            Severity::Ok,
            advice::NICE,
        ),
        judge_cpus(
            affinity::allowed_cpus().map_or(0, |cpus| cpus.len()),
            shards,
        ),
        judge_isolation(&read("/sys/devices/system/cpu/isolated")),
        judge_governor(&read(
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        )),
    ]
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

/// The effective capabilities of this process, as the kernel prints them.
struct Capabilities(u64);

impl Capabilities {
    fn read() -> Capabilities {
        Capabilities::parse(&read("/proc/self/status"))
    }

    fn parse(status: &str) -> Capabilities {
        let field = status_field(status, "CapEff:");
        Capabilities(u64::from_str_radix(field, 16).unwrap_or(0))
    }

    fn has(&self, capability: u32) -> bool {
        // CAP_SYS_ADMIN stood for CAP_BPF before that existed and still does.
        let implied = capability == CAP_BPF && self.0 >> CAP_SYS_ADMIN & 1 == 1;
        self.0 >> capability & 1 == 1 || implied
    }
}

// --- reading

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    read(&format!("/proc/sys/net/core/{name}")).parse().ok()
}

fn status_field<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or("")
        .trim()
}

/// A soft limit; None is unlimited.
fn limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit.
    unsafe { libc::getrlimit(resource, &mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn io_uring(config: &ReactorConfig) -> Finding {
    let wanted = "set up, with every operation";
    match ring::build(config) {
        Ok(_) => Finding::new("io_uring", wanted, wanted, Severity::Ok, ""),
        Err(error) => {
            let advice = match error {
                crate::SetupError::TooOld { .. } => advice::KERNEL,
                crate::SetupError::Memory { .. } => advice::MEMLOCK,
                _ => advice::IO_URING,
            };
            Finding::new(
                "io_uring",
                error.to_string(),
                wanted,
                Severity::Fail,
                advice,
            )
        }
    }
}

fn steering_program() -> Finding {
    let (found, severity) = match steering::try_load() {
        Ok(()) => ("loads".to_owned(), Severity::Ok),
        Err(SteeringError::Denied) => ("bpf() is not permitted".to_owned(), Severity::Warn),
        Err(other) => (other.to_string(), Severity::Warn),
    };
    Finding::new(
        "steering program",
        found,
        "loads",
        severity,
        advice::STEERING,
    )
}

fn segmentation() -> Finding {
    const UDP_SEGMENT: i32 = 103;
    let supported = std::net::UdpSocket::bind("127.0.0.1:0").is_ok_and(|socket| {
        let off = 0i32;
        // SAFETY: the option's value is an int that outlives the call, with its size.
        let result = unsafe {
            libc::setsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                libc::SOL_UDP,
                UDP_SEGMENT,
                std::ptr::from_ref(&off).cast(),
                size_of_val(&off) as libc::socklen_t,
            )
        };
        result == 0
    });
    let (found, severity) = if supported {
        ("supported", Severity::Ok)
    } else {
        ("missing", Severity::Warn)
    };
    Finding::new(
        "UDP_SEGMENT",
        found,
        "supported",
        severity,
        advice::SEGMENTATION,
    )
}

// --- judging

fn judge_kernel(release: &str) -> Finding {
    let mut parts = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let severity = if version >= (6, 1) {
        Severity::Ok
    } else {
        Severity::Fail
    };
    Finding::new("kernel", release, "6.1 or newer", severity, advice::KERNEL)
}

fn judge_seccomp(status: &str) -> Finding {
    let filtered = status_field(status, "Seccomp:") == "2";
    let found = if filtered {
        "a filter is active"
    } else {
        "no filter"
    };
    let severity = if filtered {
        Severity::Warn
    } else {
        Severity::Ok
    };
    Finding::new(
        "seccomp",
        found,
        "permits io_uring and bpf",
        severity,
        advice::IO_URING,
    )
}

fn judge_memlock(limit: Option<u64>, needed: u64, privileged: bool) -> Finding {
    let enough = privileged || limit.is_none_or(|limit| limit >= needed);
    let severity = if enough { Severity::Ok } else { Severity::Fail };
    let found = match limit {
        _ if privileged => "not limited (CAP_IPC_LOCK)".to_owned(),
        None => "unlimited".to_owned(),
        Some(limit) => kib(limit),
    };
    Finding::new(
        "locked memory",
        found,
        kib(needed),
        severity,
        advice::MEMLOCK,
    )
}

/// The files that `shards` reactors of this configuration and what is around them have open. Also
/// what [`crate::raise_open_files`] is to be asked for.
pub fn files_needed(config: &ReactorConfig, shards: usize) -> u64 {
    /// Everything that is not a shard's: logs, timers, the control plane.
    const OTHERS: u64 = 256;
    OTHERS + shards as u64 * (u64::from(config.sockets_max) + 4)
}

/// The limits are soft and hard; the soft one is raised at the start.
fn judge_files(limits: Option<(u64, u64)>, needed: u64) -> Finding {
    let enough = limits.is_some_and(|(_, hard)| hard >= needed);
    let severity = if enough { Severity::Ok } else { Severity::Fail };
    let found = match limits {
        None => "unreadable".to_owned(),
        Some((_, hard)) if hard == libc::RLIM_INFINITY => "unlimited".to_owned(),
        Some((soft, hard)) if soft == hard => hard.to_string(),
        Some((soft, hard)) => format!("{soft}, up to {hard}"),
    };
    Finding::new(
        "open files",
        found,
        needed.to_string(),
        severity,
        advice::NOFILE,
    )
}

/// What differs between the two directions' buffers.
struct Direction {
    topic: &'static str,
    advice: &'static str,
}

const RECEIVE: Direction = Direction {
    topic: "net.core.rmem_max",
    advice: advice::RECEIVE_BUFFER,
};
const SEND: Direction = Direction {
    topic: "net.core.wmem_max",
    advice: advice::SEND_BUFFER,
};

fn judge_buffer(way: &Direction, max: Option<u64>, wanted: usize, privileged: bool) -> Finding {
    let enough = privileged || max.is_some_and(|max| max >= wanted as u64);
    let severity = if enough { Severity::Ok } else { Severity::Warn };
    let found = max.map_or("unreadable".to_owned(), kib);
    let found = if privileged {
        format!("{found} (not binding: CAP_NET_ADMIN)")
    } else {
        found
    };
    Finding::new(way.topic, found, kib(wanted as u64), severity, way.advice)
}

fn judge_backlog(backlog: Option<u64>) -> Finding {
    /// One processor's queue between the driver and UDP; a burst of a few thousand is usual.
    const WANTED: u64 = 4096;
    let severity = if backlog.is_some_and(|backlog| backlog >= WANTED) {
        Severity::Ok
    } else {
        Severity::Warn
    };
    let found = backlog.map_or("unreadable".to_owned(), |backlog| backlog.to_string());
    let wanted = format!("{WANTED} or more");
    Finding::new(
        "net.core.netdev_max_backlog",
        found,
        wanted,
        severity,
        advice::BACKLOG,
    )
}

fn judge_capability(
    topic: &'static str,
    there: bool,
    without: Severity,
    advice: &'static str,
) -> Finding {
    let found = if there { "effective" } else { "not effective" };
    let wanted = if without == Severity::Ok {
        "not needed"
    } else {
        "effective"
    };
    Finding::new(
        topic,
        found,
        wanted,
        if there { Severity::Ok } else { without },
        advice,
    )
}

fn judge_cpus(allowed: usize, shards: usize) -> Finding {
    let severity = if allowed >= shards {
        Severity::Ok
    } else {
        Severity::Warn
    };
    let wanted = format!("{shards}, one for each shard");
    Finding::new(
        "allowed cpus",
        allowed.to_string(),
        wanted,
        severity,
        advice::CPUS,
    )
}

fn judge_isolation(isolated: &str) -> Finding {
    let (found, severity) = if isolated.is_empty() {
        ("none", Severity::Warn)
    } else {
        (isolated, Severity::Ok)
    };
    Finding::new(
        "isolated cpus",
        found,
        "the shards' cpus",
        severity,
        advice::ISOLATION,
    )
}

fn judge_governor(governor: &str) -> Finding {
    let (found, severity) = match governor {
        "" => ("not readable (a virtual machine?)", Severity::Ok),
        "performance" => (governor, Severity::Ok),
        other => (other, Severity::Warn),
    };
    Finding::new(
        "cpu governor",
        found,
        "performance",
        severity,
        advice::GOVERNOR,
    )
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_as_numbers() {
        for (release, severity) in [
            ("6.1.0", Severity::Ok),
            ("6.18.44-custom", Severity::Ok),
            ("10.0", Severity::Ok),
            ("6.0.9", Severity::Fail),
            ("5.15.0-91-generic", Severity::Fail),
            ("", Severity::Fail),
        ] {
            assert_eq!(judge_kernel(release).severity, severity, "{release}");
        }
    }

    #[test]
    fn locked_memory_is_enough_or_not() {
        assert_eq!(
            judge_memlock(Some(8 << 20), 3 << 20, false).severity,
            Severity::Ok
        );
        assert_eq!(judge_memlock(None, 3 << 20, false).severity, Severity::Ok);
        assert_eq!(
            judge_memlock(Some(64 << 10), 3 << 20, true).severity,
            Severity::Ok
        );
        let finding = judge_memlock(Some(64 << 10), 3 << 20, false);
        assert_eq!(finding.severity, Severity::Fail);
        assert_eq!(
            (finding.found.as_str(), finding.wanted.as_str()),
            ("64 KiB", "3072 KiB")
        );
        assert!(finding.advice.contains("LimitMEMLOCK"));
    }

    #[test]
    fn socket_buffers_are_not_bounded_for_the_privileged() {
        let small = Some(212_992);
        assert_eq!(
            judge_buffer(&RECEIVE, small, 8 << 20, false).severity,
            Severity::Warn
        );
        assert_eq!(
            judge_buffer(&RECEIVE, small, 8 << 20, true).severity,
            Severity::Ok
        );
        assert_eq!(
            judge_buffer(&SEND, Some(16 << 20), 8 << 20, false).severity,
            Severity::Ok
        );
        assert_eq!(
            judge_buffer(&SEND, None, 8 << 20, false).severity,
            Severity::Warn
        );
    }

    #[test]
    fn capabilities_are_read_from_the_status() {
        let status = "Name:\tx\nCapEff:\t0000008000001000\nSeccomp:\t2\n";
        let capabilities = Capabilities::parse(status);
        assert!(capabilities.has(CAP_BPF) && capabilities.has(CAP_NET_ADMIN));
        assert!(!capabilities.has(CAP_IPC_LOCK));
        assert!(Capabilities::parse("CapEff:\t0000000000200000\n").has(CAP_BPF));
        assert!(!Capabilities::parse("").has(CAP_BPF));
        assert_eq!(judge_seccomp(status).severity, Severity::Warn);
    }

    #[test]
    fn open_files_grow_with_the_shards() {
        let config = ReactorConfig::default();
        let judge = |hard, shards| judge_files(Some((1024, hard)), files_needed(&config, shards));
        assert_eq!(judge(1024, 2).severity, Severity::Ok);
        assert_eq!(judge(1024, 32).severity, Severity::Fail);
        assert_eq!(judge(4096, 32).severity, Severity::Ok);
        assert_eq!(judge(4096, 32).found, "1024, up to 4096");
        assert_eq!(judge(libc::RLIM_INFINITY, 32).found, "unlimited");
    }

    #[test]
    fn this_machine_can_be_examined() {
        let findings = findings(&ReactorConfig::default(), &UdpOptions::default(), 1);
        for finding in &findings {
            assert!(
                !finding.found.is_empty() && !finding.wanted.is_empty(),
                "{finding:?}"
            );
            assert_eq!(
                finding.advice.is_empty(),
                finding.severity == Severity::Ok,
                "{finding:?}"
            );
        }
        let topics: std::collections::BTreeSet<&str> = findings.iter().map(|f| f.topic).collect();
        assert_eq!(topics.len(), findings.len(), "each topic once");
    }
}
