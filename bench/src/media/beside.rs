//! Calls without media beside those with: a second generator, started on the first one's core while the
//! media runs, so that both share the router's shard.

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::media::cli::MediaArgs;

/// Users that are routed past the media, to [`callee`].
pub(crate) const USERS: &str = "9555#######";
/// The pattern of their routing record.
pub(crate) const PATTERN: &str = "^9555[0-9]+$";
/// How far the second callee's port lies above the first's.
const PORTS_ABOVE: u16 = 5;

/// Where the calls beside are answered.
///
/// # Errors
/// No callee is given, or there is no port above its own.
pub(crate) fn callee(args: &MediaArgs) -> io::Result<SocketAddr> {
    let first = args.load.callee.first().copied();
    let second = first.and_then(|first| {
        let port = first.port().checked_add(PORTS_ABOVE)?;
        Some(SocketAddr::new(first.ip(), port))
    });
    second.ok_or_else(|| io::Error::other("calls beside the media need a callee's address"))
}

/// The second generator; it prints its own report when it ends.
pub(crate) struct Beside(Child);

impl Beside {
    /// Starts it, when calls beside the media are wanted.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(args: &MediaArgs) -> io::Result<Option<Beside>> {
        let Some(rate) = args.caps else {
            return Ok(None);
        };
        let child = command(args, rate)?.stdin(Stdio::null()).spawn()?;
        Ok(Some(Beside(child)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It failed, or calls did.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let status = self.0.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "the calls beside the media: {status}"
            ))),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(args: &MediaArgs, rate: f64) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("calls")
        .args(["--target", &args.target.to_string()])
        .args(["--callee", &callee(args)?.to_string()])
        .args(["--user", USERS])
        .args(["--rate", &rate.to_string()])
        .args(["--duration", &args.duration.to_string()])
        .args(["--warmup", &args.warmup.to_string()])
        .args(["--cpu", &args.load.cpu.to_string()])
        .args(["--tick-us", &args.rhythm().tick.as_micros().to_string()]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use clap::Parser;

    fn args(words: &[&str]) -> MediaArgs {
        let words = ["tipring-bench", "media"].iter().chain(words);
        match cli::Command::parse_from(words) {
            cli::Command::Media(args) => args,
            _ => unreachable!("the words say media"),
        }
    }

    #[test]
    fn the_calls_beside_have_a_callee_and_users_of_their_own() {
        let args = args(&["--caps", "5000", "--duration", "20"]);
        assert_eq!(callee(&args).unwrap().port(), 5095);
        let command = command(&args, 5000.0).unwrap();
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        for pair in [
            ["--rate", "5000"],
            ["--user", USERS],
            ["--callee", "127.0.0.1:5095"],
            ["--duration", "20"],
        ] {
            assert!(words.windows(2).any(|w| w == pair), "{pair:?} in {words:?}");
        }
        assert!(USERS.starts_with(&PATTERN[1..5]));
    }

    #[test]
    fn none_are_started_unless_wanted() {
        assert!(Beside::start(&args(&[])).unwrap().is_none());
    }
}
