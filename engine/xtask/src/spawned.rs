//! A child process that never outlives its owner: killed when dropped, and by the kernel when this
//! process dies (setpriv's parent-death signal, where util-linux is at hand).

use crate::failure::Failure;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running child.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    name: String,
}

impl Spawned {
    /// Starts `program` in `directory`, its output going to `NAME.log` there.
    pub(crate) fn start(
        name: &str,
        program: &OsStr,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Spawned, Failure> {
        Spawned::start_with(name, (program, arguments), directory, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_with(
        name: &str,
        command: (&OsStr, &[String]),
        directory: &Path,
        environment: &[(String, String)],
    ) -> Result<Spawned, Failure> {
        Spawned::launch(name, command, directory, environment, Stdio::null())
    }

    /// The same with a standard input that [`Spawned::types`] writes to.
    pub(crate) fn start_console(
        name: &str,
        command: (&OsStr, &[String]),
        directory: &Path,
        environment: &[(String, String)],
    ) -> Result<Spawned, Failure> {
        Spawned::launch(name, command, directory, environment, Stdio::piped())
    }

    fn launch(
        name: &str,
        (program, arguments): (&OsStr, &[String]),
        directory: &Path,
        environment: &[(String, String)],
        input: Stdio,
    ) -> Result<Spawned, Failure> {
        let say = format!("cannot start {name} ({})", program.to_string_lossy());
        let log = File::create(directory.join(format!("{name}.log")))
            .map_err(Failure::machine(say.clone()))?;
        let errors = log.try_clone().map_err(Failure::machine(say.clone()))?;
        let child = guarded(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, text)| (name, text)))
            .current_dir(directory)
            .stdin(input)
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(Failure::machine(say))?;
        Ok(Spawned {
            child,
            name: name.to_owned(),
        })
    }

    /// Types on its console; nothing follows that is not in `text`, no end of line either.
    pub(crate) fn types(&self, text: &str) -> Result<(), Failure> {
        let what = Failure::machine(format!("cannot type {text:?} at {}", self.name));
        let mut console = self.child.stdin.as_ref().ok_or_else(|| {
            Failure::Check(format!("{} was started without a console", self.name))
        })?;
        console.write_all(text.as_bytes()).map_err(what)
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        let until = Instant::now() + limit;
        loop {
            let status = self.child.try_wait();
            match status.map_err(Failure::machine(format!("waiting for {}", self.name)))? {
                Some(status) => return Ok(status),
                None if Instant::now() >= until => {
                    return Err(Failure::Timeout(format!("the end of {}", self.name)));
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Sends it a signal, named as in `kill -NAME`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let _ = Command::new("sh")
            .args(["-c", &kill])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program of this name is on the PATH.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(program).is_file()))
}

fn guarded(program: &OsStr) -> Command {
    if !is_installed("setpriv") {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Spawned {
        let directory = std::env::temp_dir();
        Spawned::start(
            "xtask-test-sleep",
            "sleep".as_ref(),
            &["30".into()],
            &directory,
        )
        .unwrap()
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = sleeper();
        let entry = format!("/proc/{}", child.child.id());
        assert!(Path::new(&entry).exists());
        drop(child);
        assert!(!Path::new(&entry).exists());
    }

    #[test]
    fn the_environment_is_given() {
        let directory = std::env::temp_dir();
        let line = ["-c", "test \"$as_sip_udp\" = 1.2.3.4"].map(str::to_owned);
        let given = [("as_sip_udp".to_owned(), "1.2.3.4".to_owned())];
        let command = ("sh".as_ref(), &line[..]);
        let mut shell = Spawned::start_with("xtask-test-env", command, &directory, &given).unwrap();
        assert!(shell.wait(Duration::from_secs(10)).unwrap().success());
    }

    #[test]
    fn a_term_signal_ends_it_without_success() {
        let mut child = sleeper();
        assert!(child.is_running());
        child.signal("TERM");
        assert!(!child.wait(Duration::from_secs(10)).unwrap().success());
        assert!(!child.is_running());
    }

    #[test]
    fn what_is_typed_is_read() {
        let directory = std::env::temp_dir();
        let line = ["-c", "read word; test \"$word\" = hello"].map(str::to_owned);
        let command = ("sh".as_ref(), &line[..]);
        let mut shell =
            Spawned::start_console("xtask-test-console", command, &directory, &[]).unwrap();
        shell.types("hel").unwrap();
        shell.types("lo\n").unwrap();
        assert!(shell.wait(Duration::from_secs(10)).unwrap().success());
        assert!(sleeper().types("hello\n").is_err());
    }

    #[test]
    fn installed_programs_are_found() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program-anywhere"));
    }
}
