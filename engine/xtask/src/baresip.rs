//! baresip as a softphone without a sound device: it plays a tone from a file, records what it decodes, does
//! what is typed on its console, and tells its calls and its SIP messages in its log. What it must have heard
//! and seen is asked here; whom it calls is the caller's business.

use crate::failure::{Failure, check};
use crate::log::Log;
use crate::sip::Message;
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
/// What baresip says when the other side has ended a call.
pub(crate) const CLOSED: &str = "session closed";
/// How long a recording is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds of tone in the file that is played: longer than any call here.
const TONE_S: u32 = 30;
/// Seconds of the other's tone that must have been heard.
const HEARD_S: f64 = 1.0;
/// Bytes of a recording that long, and half as long again: 8000 samples of 16 bits in a second.
const RECORDED_BYTES: u64 = 24_000;
/// What baresip writes before and after each message of its SIP trace.
const TRACED: (&str, &str) = ("\x1b[36;1m#\n", "\x1b[;m");

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
        let mut arguments = vec![
            "-4".to_owned(),
            "-s".into(),
            "-f".into(),
            home.display().to_string(),
        ];
        arguments.extend(options.iter().cloned());
        let command = ("baresip".as_ref(), &arguments[..]);
        Spawned::start_console(self.name, command, self.directory, &[])
    }

    /// Starts it and waits until it listens.
    pub(crate) fn ready(&self) -> Result<Spawned, Failure> {
        let running = self.start(&[])?;
        self.says("baresip is ready")?;
        Ok(running)
    }

    /// Waits until its log has `words`.
    pub(crate) fn says(&self, words: &str) -> Result<(), Failure> {
        self.log().says(words)
    }

    /// Waits until its log has `words` this often.
    pub(crate) fn says_often(&self, words: &str, times: usize) -> Result<(), Failure> {
        self.log().says_often(words, times)
    }

    /// Waits until it has sent or received a SIP message that `is_it`.
    pub(crate) fn traces(
        &self,
        what: &str,
        is_it: impl Fn(&Message) -> bool,
    ) -> Result<Message, Failure> {
        self.log()
            .find(what, |text| traced(text).find(|seen| is_it(seen)))
    }

    /// Fails when it has sent or received a request of this method so far.
    pub(crate) fn traced_no(&self, method: &str) -> Result<(), Failure> {
        let text = self.log().text();
        let seen = traced(&text).any(|seen| seen.request_method() == Some(method));
        check(!seen, || format!("{} met {method}", self.name))
    }

    /// Waits until its newest recording is long enough for [`Phone::heard`].
    pub(crate) fn records(&self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        let length = || {
            let file = self.recording().ok()?;
            std::fs::metadata(file).ok().map(|file| file.len())
        };
        while length().unwrap_or(0) < RECORDED_BYTES {
            check(Instant::now() < until, || {
                format!("{} records {:?} bytes of sound", self.name, length())
            })?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
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

    fn log(&self) -> Log {
        Log(self.directory.join(format!("{}.log", self.name)))
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

    /// The console, a codec, the menu, and for one that plays: its source, a player that needs no device, the recorder.
    fn configuration(&self) -> String {
        let modules = MODULES
            .iter()
            .find(|path| Path::new(path).is_dir())
            .unwrap_or(&MODULES[0]);
        let (address, home) = (self.address, self.home());
        let mut text = format!("sip_listen {address}\nmodule_path {modules}\n");
        text += "module stdio.so\nmodule g711.so\n";
        if self.plays.is_some() {
            let home = home.display();
            text += "module aufile.so\nmodule aubridge.so\nmodule sndfile.so\n";
            text += &format!("audio_source aufile,{home}/tone.wav\naudio_player aubridge,heard\n");
            text += &format!("audio_alert aubridge,alert\nsnd_path {home}\n");
        }
        text + "module_tmp account.so\nmodule_app menu.so\n"
    }
}

/// The SIP messages in a log, those that have been written to their end.
fn traced(log: &str) -> impl Iterator<Item = Message> {
    let (begin, end) = TRACED;
    let pieces = log.split(begin).skip(1);
    pieces.filter_map(move |piece| {
        let (text, _) = piece.split_once(end)?;
        let (_addresses, message) = text.split_once('\n')?;
        Message::parse(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_read_to_the_last_whole_message() {
        let log = "call: up\n\x1b[36;1m#\nUDP 127.0.0.1:1 -> 127.0.0.2:2\nINFO sip:a@b SIP/2.0\r\n\
            CSeq: 7 INFO\r\n\r\nSignal=1\x1b[;m\n0:01 audio\x1b[36;1m#\nUDP 127.0.0.1:1 -> 127";
        let seen: Vec<Message> = traced(log).collect();
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (seen[0].cseq_number(), seen[0].body.as_str()),
            (Some(7), "Signal=1")
        );
    }

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
