//! Log lines: their level, shape and where they go (stderr, which systemd takes into its journal),
//! and the last line of a process that dies of a defect.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging. `verbose` adds to the configured level; TIPRING_LOG, a tracing filter such as
/// `info,tipring=debug`, replaces it.
pub(crate) fn start(log: &Log, verbose: u8) {
    let directives =
        std::env::var("TIPRING_LOG").unwrap_or_else(|_| directives(log.level, verbose));
    let filter = EnvFilter::builder().parse_lossy(directives);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = match log.format {
        LogFormat::Text => lines.with_target(false).with_ansi(is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
    };
    std::panic::set_hook(Box::new(die));
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Other crates' chatter is wanted only when everything is.
fn directives(level: LogLevel, verbose: u8) -> String {
    let ours = match (level, verbose) {
        (LogLevel::Trace, _) | (_, 2..) => "trace",
        (LogLevel::Debug, _) | (_, 1) => "debug",
        (LogLevel::Info, _) => "info",
        (LogLevel::Warn, _) => "warn",
        (LogLevel::Error, _) => "error",
    };
    format!("warn,tipring={ours}")
}

/// A panic is a defect of ours. The state of its thread cannot be trusted, and calls of a dead shard
/// would hang, so the whole process ends and the service manager starts a new one.
fn die(info: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let message = info.payload_as_str().unwrap_or("(no message)");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        thread = thread.name().unwrap_or("?"),
        place,
        "defect: {message}; the process ends. Please report this line"
    );
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_only_adds() {
        let ours = |level, verbose| {
            directives(level, verbose)
                .split("tipring=")
                .nth(1)
                .map(|rest| rest.split(',').next().unwrap_or_default().to_owned())
        };
        assert_eq!(ours(LogLevel::Warn, 0).as_deref(), Some("warn"));
        assert_eq!(ours(LogLevel::Warn, 1).as_deref(), Some("debug"));
        assert_eq!(ours(LogLevel::Trace, 1).as_deref(), Some("trace"));
        assert_eq!(ours(LogLevel::Info, 3).as_deref(), Some("trace"));
    }
}
