//! baresip as a softphone without a sound device: it plays a tone from a file, records what it decodes, and
//! tells its calls in its log. What it must have heard is asked here; whom it calls is the caller's business.

use crate::failure::Failure;
use crate::spawned::Spawned;
use crate::tone::Sound;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where baresip's modules may be: Debian's place first.
const MODULES: &[&str] = &[
    "/usr/lib/baresip/modules",
    "/usr/lib64/baresip/modules",
    "/usr/local/lib/baresip/modules",
];
/// What baresip says on both sides when a call is up.
pub(crate) const ESTABLISHED: &str = "Call established";
/// How long a line in the log, or a recording, is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds of tone in the file that is played: longer than any call here.
const TONE_S: u32 = 30;
/// Seconds of the other's tone that must have been heard.
const HEARD_S: f64 = 1.0;

/// A baresip that is to be started.
#[derive(Debug)]
pub(crate) struct Phone<'a> {
    /// Its name: of its logs and its home.
    pub(crate) name: &'a str,
    /// Where it listens for SIP.
    pub(crate) address: SocketAddr,
    /// Its line in the file of accounts.
    pub(crate) account: String,
    /// The directory of the logs.
    pub(crate) directory: &'a Path,
    /// The tone it plays, in hertz; None for a phone without sound.
    pub(crate) plays: Option<u32>,
}

impl Phone<'_> {
    /// Writes its files and starts it with these options.
    pub(crate) fn start(&self, options: &[String]) -> Result<Spawned, Failure> {
        let home = self.home();
        let what = |file: &str| Failure::machine(format!("cannot write {file} of {}", self.name));
        std::fs::create_dir_all(&home).map_err(what("the home"))?;
        if let Some(hertz) = self.plays {
            Sound::tone(hertz, TONE_S).write(&home.join("tone.wav"))?;
        }
        for (file, text) in [
            ("config", self.configuration()),
            ("accounts", self.account.clone()),
            ("contacts", String::new()),
        ] {
            std::fs::write(home.join(file), text).map_err(what(file))?;
        }
        let mut arguments = vec!["-4".to_owned(), "-f".into(), home.display().to_string()];
        arguments.extend(options.iter().cloned());
        Spawned::start(self.name, "baresip".as_ref(), &arguments, self.directory)
    }

    /// Waits until its log has `words`.
    pub(crate) fn says(&self, words: &str) -> Result<(), Failure> {
        let log = self.directory.join(format!("{}.log", self.name));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let text = std::fs::read(&log).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(words) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::Timeout(format!("{words:?} in {}", log.display())))
    }

    /// Waits until it has heard a tone of `hertz`.
    pub(crate) fn heard(&self, hertz: u32) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let judged = self
                .recording()
                .and_then(|path| Sound::read(&path))
                .and_then(|sound| sound.must_be(hertz, HEARD_S));
            if judged.is_ok() || Instant::now() > until {
                let named = |failure| Failure::Check(format!("{}: {failure}", self.name));
                return judged.map_err(named);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn home(&self) -> PathBuf {
        self.directory.join(format!("{}-home", self.name))
    }

    /// The file into which the module sndfile writes what was decoded: dump-TIME-dec.wav.
    fn recording(&self) -> Result<PathBuf, Failure> {
        let home = self.home();
        let what = Failure::machine(format!("cannot read {}", home.display()));
        let entries = std::fs::read_dir(&home).map_err(what)?;
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is_decoded = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let found = paths.filter(is_decoded).max();
        found.ok_or_else(|| Failure::Check(format!("no recording in {}", home.display())))
    }

    /// A codec, the menu, and for one that plays: its source, a player that needs no device, the recorder.
    fn configuration(&self) -> String {
        let modules = MODULES
            .iter()
            .find(|path| Path::new(path).is_dir())
            .unwrap_or(&MODULES[0]);
        let (address, home) = (self.address, self.home());
        let mut text = format!("sip_listen {address}\nmodule_path {modules}\nmodule g711.so\n");
        if self.plays.is_some() {
            let home = home.display();
            text += "module aufile.so\nmodule aubridge.so\nmodule sndfile.so\n";
            text += &format!("audio_source aufile,{home}/tone.wav\naudio_player aubridge,heard\n");
            text += &format!("audio_alert aubridge,alert\nsnd_path {home}\n");
        }
        text + "module_tmp account.so\nmodule_app menu.so\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(directory: &Path, plays: Option<u32>) -> Phone<'_> {
        Phone {
            name: "xtask-test-phone",
            address: "127.0.0.31:5071".parse().unwrap(),
            account: String::new(),
            directory,
            plays,
        }
    }

    #[test]
    fn it_listens_where_it_is_told_and_plays_when_it_is_told() {
        let mute = phone(Path::new("/d"), None).configuration();
        assert!(mute.starts_with("sip_listen 127.0.0.31:5071\n"));
        assert!(!mute.contains("audio_source"));
        let loud = phone(Path::new("/d"), Some(440)).configuration();
        assert!(loud.contains("audio_source aufile,/d/xtask-test-phone-home/tone.wav\n"));
    }

    #[test]
    fn the_recording_is_what_was_decoded() {
        let directory = std::env::temp_dir().join(format!("xtask-phone-{}", std::process::id()));
        let phone = phone(&directory, Some(440));
        let home = phone.home();
        std::fs::create_dir_all(&home).unwrap();
        assert!(phone.recording().is_err());
        Sound::tone(440, 2)
            .write(&home.join("dump-1-enc.wav"))
            .unwrap();
        Sound::tone(880, 2)
            .write(&home.join("dump-1-dec.wav"))
            .unwrap();
        assert!(phone.heard(880).is_ok());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
