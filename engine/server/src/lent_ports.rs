//! Media ports that the kernel lends to other programs: those of `net.ipv4.ip_local_port_range`, which
//! holds for IPv6 too, without those of `net.ipv4.ip_local_reserved_ports`. Whoever has one when the engine
//! starts keeps it, and its pair is left out. Reads only.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use reactor::probe::{Finding, Severity};

use crate::config::{Config, PortRange};

const LENT: &str = "net.ipv4.ip_local_port_range";
const ADVICE: &str = "choose media.ports outside net.ipv4.ip_local_port_range, or add them to \
                      net.ipv4.ip_local_reserved_ports: other programs may have them at a start";

/// The ports the kernel lends, as far as it says so.
struct Lent {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl Lent {
    fn read() -> Option<Lent> {
        let sysctl = |name: &str| fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(name));
        let range = sysctl("ip_local_port_range").ok()?;
        let reserved = sysctl("ip_local_reserved_ports").unwrap_or_default();
        Lent::parse(&range, &reserved)
    }

    /// The two values as the kernel prints them: "32768\t60999" and "8080,9148-9155".
    fn parse(range: &str, reserved: &str) -> Option<Lent> {
        let mut ends = range.split_whitespace().map(str::parse);
        let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
        let reserved = reserved.trim().split(',').filter_map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            Some(low.parse().ok()?..=high.parse().ok()?)
        });
        Some(Lent {
            range: low..=high,
            reserved: reserved.collect(),
        })
    }

    fn lends(&self, port: u16) -> bool {
        let reserved = |range: &RangeInclusive<u16>| range.contains(&port);
        self.range.contains(&port) && !self.reserved.iter().any(reserved)
    }

    /// How many of these ports are lent.
    fn among(&self, ports: PortRange) -> usize {
        let ports = ports.low..=ports.high;
        ports.filter(|&port| self.lends(port)).count()
    }
}

/// For `tipring check`: the media ports that other programs may have.
pub(crate) fn warning(config: &Config) -> Option<String> {
    sentence(config.media.ports?, &Lent::read()?)
}

fn sentence(ports: PortRange, lent: &Lent) -> Option<String> {
    let (lent_now, all) = (lent.among(ports), ports.low..=ports.high);
    (lent_now > 0).then(|| {
        format!(
            "media.ports: {lent_now} of {} ports are in {LENT} ({}-{}); {ADVICE}",
            all.count(),
            lent.range.start(),
            lent.range.end()
        )
    })
}

/// For `tipring doctor`: the same as a row of its table.
pub(crate) fn finding(config: &Config) -> Option<Finding> {
    let (ports, lent) = (config.media.ports?, Lent::read()?);
    let (severity, advice) = match lent.among(ports) {
        0 => (Severity::Ok, ""),
        _ => (Severity::Warn, ADVICE),
    };
    Some(Finding {
        topic: "media ports",
        found: ports.to_string(),
        wanted: format!("outside {}-{}", lent.range.start(), lent.range.end()),
        severity,
        advice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(reserved: &str) -> Lent {
        Lent::parse("32768\t60999\n", reserved).expect("two numbers")
    }

    fn among(reserved: &str, low: u16, high: u16) -> usize {
        lent(reserved).among(PortRange { low, high })
    }

    #[test]
    fn ports_within_the_range_are_lent_unless_they_are_reserved() {
        assert_eq!(among("\n", 16_384, 24_575), 0);
        assert_eq!(among("", 61_000, 65_535), 0);
        assert_eq!(among("", 32_760, 32_769), 2);
        assert_eq!(among("", 40_000, 40_099), 100);
        assert_eq!(among("40000-40099\n", 40_000, 40_099), 0);
        assert_eq!(among("8080,40001,40050-40060", 40_000, 40_099), 88);
    }

    #[test]
    fn the_sentence_counts_them_and_says_what_to_do() {
        let ports = |low, high| PortRange { low, high };
        assert_eq!(sentence(ports(16_384, 24_575), &lent("")), None);
        let text = sentence(ports(32_760, 32_769), &lent("")).expect("a warning");
        let start =
            "media.ports: 2 of 10 ports are in net.ipv4.ip_local_port_range (32768-60999); ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("ip_local_reserved_ports"), "{text}");
    }

    #[test]
    fn what_the_kernel_does_not_say_lends_nothing() {
        for text in ["", "32768", "a b", "1 70000"] {
            assert!(Lent::parse(text, "").is_none(), "{text}");
        }
    }
}
