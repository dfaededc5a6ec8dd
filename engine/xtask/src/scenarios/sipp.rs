//! One sipp process: its command line, its end, its statistics. What the messages mean is for `rules`.

use crate::failure::{Failure, check};
use crate::house;
use crate::spawned::Spawned;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How much of sipp's first error is told: enough for the start line and the reason.
const ERROR_CHARACTERS: usize = 300;

/// How a sipp is started.
#[derive(Debug)]
pub(crate) struct Play<'a> {
    /// `caller` or `callee`: the folder of the file and the name of the logs.
    pub(crate) role: &'static str,
    /// The file without `.xml`, or `stock`.
    pub(crate) file: &'a str,
    /// The agent's own address.
    pub(crate) own: SocketAddr,
    /// Where the caller sends.
    pub(crate) target: Option<SocketAddr>,
    /// The number dialled.
    pub(crate) number: &'a str,
    /// How many calls.
    pub(crate) calls: u32,
    /// Calls per second.
    pub(crate) rate: u32,
    /// Whether messages are traced.
    pub(crate) traced: bool,
    /// Seconds after which sipp gives up.
    pub(crate) limit_s: u64,
    /// Further options.
    pub(crate) options: &'a [String],
}

/// A sipp that plays.
#[derive(Debug)]
pub(crate) struct Sipp {
    process: Spawned,
    role: &'static str,
    calls: u32,
    directory: PathBuf,
}

impl Sipp {
    /// Starts sipp in `directory`.
    pub(crate) fn start(play: &Play<'_>, directory: &Path) -> Result<Sipp, Failure> {
        let arguments = arguments(play);
        let command = format!("sipp {}\n", arguments.join(" "));
        let _ = std::fs::write(directory.join(format!("{}.command", play.role)), command);
        let process = Spawned::start(play.role, "sipp".as_ref(), &arguments, directory)?;
        let directory = directory.to_owned();
        Ok(Sipp {
            process,
            role: play.role,
            calls: play.calls,
            directory,
        })
    }

    /// Waits until it holds `address`.
    pub(crate) fn wait_until_bound(&mut self, address: SocketAddr) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            check(self.process.is_running(), || {
                self.reason("did not start".into())
            })?;
            if UdpSocket::bind(address).is_err() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::Timeout(format!(
            "sipp {} to bind {address}",
            self.role
        )))
    }

    /// Waits for its end; it must be the end of every call with success and without a surprise.
    pub(crate) fn finish(&mut self, limit: Duration) -> Result<(), Failure> {
        let status = self.process.wait(limit);
        let stats = Statistics::read(&self.directory.join(format!("{}.csv", self.role)));
        let status = status.map_err(|_| {
            Failure::Check(self.reason(format!("still waits ({})", stats.summary())))
        })?;
        check(status.success(), || {
            self.reason(format!("{status} ({})", stats.summary()))
        })?;
        let surprises = stats.surprises(self.calls);
        check(surprises.is_empty(), || self.reason(surprises.join(", ")))
    }

    /// Puts the first words of sipp's error log behind what was found.
    fn reason(&self, found: String) -> String {
        let log = self.directory.join(format!("{}.errors", self.role));
        let errors = std::fs::read_to_string(log).unwrap_or_default();
        let first = errors
            .lines()
            .find(|line| !line.contains("The following events occurred"));
        match first {
            Some(line) => {
                let words: String = line.trim().chars().take(ERROR_CHARACTERS).collect();
                format!("sipp {}: {found}: {words}", self.role)
            }
            None => format!("sipp {}: {found}", self.role),
        }
    }
}

fn arguments(play: &Play<'_>) -> Vec<String> {
    let Play {
        role,
        own,
        calls,
        rate,
        number,
        limit_s,
        ..
    } = play;
    let mut line = match (play.file, *role) {
        ("stock", "caller") => "-sn uac".to_owned(),
        ("stock", _) => "-sn uas".to_owned(),
        (file, _) => format!("-sf {role}/{file}.xml"),
    };
    line += &format!(" -i {} -p {} -m {calls} -nostdin", own.ip(), own.port());
    line += &format!(" -trace_stat -stf {role}.csv -trace_err -error_file {role}.errors");
    line += &format!(" -trace_screen -screen_file {role}.screen");
    line += &format!(
        " -timeout {limit_s} -timeout_error -recv_timeout {}",
        limit_s * 1000
    );
    if play.traced {
        line += &format!(" -trace_msg -message_file {role}.messages");
    }
    if let Some(target) = play.target {
        line += &format!(" -r {rate} -s {number}");
        line += &format!(" {target}");
    }
    let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if arguments[0] == "-sf" {
        arguments[1] = house::scenarios().join(&arguments[1]).display().to_string();
    }
    arguments.extend(play.options.iter().cloned());
    arguments
}

/// The last line of sipp's statistics file: what was counted until its end.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Vec<(String, u64)>);

impl Statistics {
    fn read(path: &Path) -> Statistics {
        Statistics::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> Statistics {
        let (Some(names), Some(values)) = (text.lines().next(), text.lines().last()) else {
            return Statistics::default();
        };
        let pairs = names.split(';').zip(values.split(';'));
        let cumulative = pairs.filter_map(|(name, value)| {
            Some((
                name.strip_suffix("(C)")?.to_owned(),
                value.trim().parse().ok()?,
            ))
        });
        Statistics(cumulative.collect())
    }

    fn get(&self, name: &str) -> u64 {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or(0, |(_, value)| *value)
    }

    /// What must not be: failed calls, unexpected messages, messages for no call, missing calls.
    fn surprises(&self, calls: u32) -> Vec<String> {
        let bad = |name: &str| {
            name.starts_with("Failed")
                || ["OutOfCallMsgs", "DeadCallMsgs", "FatalErrors"].contains(&name)
        };
        let counted = self
            .0
            .iter()
            .filter(|(name, value)| bad(name) && *value > 0);
        let mut found: Vec<String> = counted
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let succeeded = self.get("SuccessfulCall");
        if succeeded != u64::from(calls) {
            found.push(format!("{succeeded} of {calls} calls succeeded"));
        }
        found
    }

    fn summary(&self) -> String {
        let failed = self
            .0
            .iter()
            .filter(|(n, v)| n.starts_with("Failed") && *v > 0);
        let failed: Vec<String> = failed
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!(
            "{} succeeded {}",
            self.get("SuccessfulCall"),
            failed.join(" ")
        )
        .trim()
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "CurrentTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);\
        FailedUnexpectedMessage(C);OutOfCallMsgs(C);Retransmissions(C);\n";

    fn surprises(line: &str, calls: u32) -> Vec<String> {
        Statistics::parse(&format!("{NAMES}x;0;0;0;0;0;0;0;\n{line}\n")).surprises(calls)
    }

    #[test]
    fn success_is_no_surprise() {
        assert!(surprises("x;1;4;0;0;0;0;7;", 4).is_empty());
    }

    #[test]
    fn failures_unexpected_and_missing_calls_are() {
        assert_eq!(surprises("x;1;3;0;1;1;0;0;", 4).len(), 3);
        assert_eq!(surprises("x;1;4;0;0;0;2;0;", 4), ["OutOfCallMsgs 2"]);
        assert_eq!(
            Statistics::parse("").surprises(1),
            ["0 of 1 calls succeeded"]
        );
    }

    #[test]
    fn the_caller_is_told_whom_to_call() {
        let play = Play {
            role: "caller",
            file: "stock",
            own: "127.0.0.11:5061".parse().unwrap(),
            target: Some("[::1]:5060".parse().unwrap()),
            number: "12345",
            calls: 2,
            rate: 1,
            traced: false,
            limit_s: 20,
            options: &["-nr".to_owned()],
        };
        let line = arguments(&play).join(" ");
        assert!(line.starts_with("-sn uac -i 127.0.0.11 -p 5061 -m 2 "));
        assert!(line.ends_with(" -r 1 -s 12345 [::1]:5060 -nr"));
        assert!(!line.contains("-trace_msg"));
    }
}
