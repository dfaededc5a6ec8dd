//! Reads /proc: CPU time by thread, memory, process trees, and the kernel's UDP drop counters. Parsing is apart from reading, so
//! that it can be tested on text.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// A thread's name and the CPU time it has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadTime {
    pub(crate) name: String,
    pub(crate) cpu_ns: u64,
}

/// CPU time of every thread of these processes, by thread id. Threads that end while we read are left out.
pub(crate) fn thread_times(pids: &[u32]) -> BTreeMap<u32, ThreadTime> {
    let tasks = pids
        .iter()
        .flat_map(|pid| numbered_entries(format!("/proc/{pid}/task")));
    tasks
        .filter_map(|tid| Some((tid, thread_time(tid)?)))
        .collect()
}

fn thread_time(tid: u32) -> Option<ThreadTime> {
    let schedstat = fs::read_to_string(format!("/proc/{tid}/schedstat")).ok()?;
    let name = fs::read_to_string(format!("/proc/{tid}/comm")).ok()?;
    Some(ThreadTime {
        name: name.trim_end().to_owned(),
        cpu_ns: parse_schedstat(&schedstat)?,
    })
}

/// The first number of a schedstat file: nanoseconds on a CPU.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The process and everything it has forked.
pub(crate) fn process_tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = numbered_entries("/proc")
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(
            parents
                .iter()
                .filter(|&&(_, p)| p == parent)
                .map(|&(pid, _)| pid),
        );
        next += 1;
    }
    tree
}

fn parent_of(pid: u32) -> Option<u32> {
    parse_parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 4 of a stat file; the name before it may hold spaces and brackets.
fn parse_parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

fn numbered_entries(directory: impl AsRef<Path>) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Resident bytes of the processes: a single process's resident set, or the proportional sets of several, which count a page
/// they share once.
pub(crate) fn resident_bytes(pids: &[u32]) -> u64 {
    let (file, field) = if pids.len() <= 1 {
        ("status", "VmRSS:")
    } else {
        ("smaps_rollup", "Pss:")
    };
    let sizes = pids.iter().filter_map(|pid| {
        parse_kilobytes(
            &fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?,
            field,
        )
    });
    sizes.sum::<u64>() * 1024
}

fn parse_kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A socket as /proc/net/udp lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UdpSocketLine {
    port: u16,
    drops: u64,
}

fn parse_udp_line(line: &str) -> Option<UdpSocketLine> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let drops = fields.next_back()?.parse().ok()?;
    Some(UdpSocketLine {
        port: u16::from_str_radix(port, 16).ok()?,
        drops,
    })
}

fn udp_sockets(pid: Option<u32>) -> impl Iterator<Item = UdpSocketLine> {
    let pid = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let texts = ["udp", "udp6"].map(|file| fs::read_to_string(format!("/proc/{pid}/net/{file}")));
    texts.into_iter().flatten().flat_map(|text| {
        text.lines()
            .skip(1)
            .filter_map(parse_udp_line)
            .collect::<Vec<_>>()
    })
}

/// Datagrams the kernel dropped at the sockets bound to these ports, in the network namespace of `pid` (ours without one).
pub(crate) fn port_drops(ports: RangeInclusive<u16>, pid: Option<u32>) -> u64 {
    udp_sockets(pid)
        .filter(|socket| ports.contains(&socket.port))
        .map(|socket| socket.drops)
        .sum()
}

/// Whether some UDP socket is bound to one of the ports.
pub(crate) fn is_bound(ports: RangeInclusive<u16>) -> bool {
    udp_sockets(None).any(|socket| ports.contains(&socket.port))
}

/// Processes that wanted a CPU, over the last minute.
pub(crate) fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// RcvbufErrors of the whole network namespace.
pub(crate) fn receive_buffer_errors() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    parse_snmp(&text, "Udp:", "RcvbufErrors").unwrap_or(0)
}

/// A counter of /proc/net/snmp: a line of names, then a line of values, both under the protocol's name.
fn parse_snmp(text: &str, protocol: &str, counter: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(protocol));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names
        .split_ascii_whitespace()
        .position(|name| name == counter)?;
    values.split_ascii_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn schedstat_begins_with_the_time_on_the_cpu() {
        assert_eq!(parse_schedstat("67414386 49386 2\n"), Some(67_414_386));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parse_parent("42 (a b) c)) S 7 42 42 0 -1"), Some(7));
        assert_eq!(parse_parent("42 nonsense"), None);
    }

    #[test]
    fn kilobytes_are_read_by_field() {
        let status = "Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t    812 kB\n";
        assert_eq!(parse_kilobytes(status, "VmRSS:"), Some(812));
        assert_eq!(parse_kilobytes(status, "Pss:"), None);
    }

    #[test]
    fn a_udp_line_gives_port_and_drops() {
        let line = "  521: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 \
                    4711 2 0000000000000000 37";
        assert_eq!(
            parse_udp_line(line),
            Some(UdpSocketLine {
                port: 5060,
                drops: 37
            })
        );
        let v6 = "  1: 00000000000000000000000001000000:13C5 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 1 2 0 5";
        assert_eq!(
            parse_udp_line(v6),
            Some(UdpSocketLine {
                port: 5061,
                drops: 5
            })
        );
        assert_eq!(parse_udp_line("garbage"), None);
    }

    #[test]
    fn snmp_counters_are_found_by_name() {
        let text = "UdpLite: RcvbufErrors\nUdpLite: 9\nUdp: InDatagrams RcvbufErrors\nUdp: 100 3\n";
        assert_eq!(parse_snmp(text, "Udp:", "RcvbufErrors"), Some(3));
        assert_eq!(parse_snmp(text, "Udp:", "Nothing"), None);
    }

    #[test]
    fn this_process_is_read() {
        let pid = std::process::id();
        assert_eq!(process_tree(pid)[0], pid);
        assert!(
            thread_times(&[pid])
                .values()
                .any(|thread| thread.cpu_ns > 0)
        );
        assert!(resident_bytes(&[pid]) > 100_000);
        assert!(load_average().is_some_and(|load| load >= 0.0));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(is_bound(port..=port));
        assert_eq!(port_drops(port..=port, None), 0);
    }
}
