//! linphonec as a softphone without a sound device: it plays music from a file, does what is typed on its
//! console, and tells its calls and its SIP messages in its log. Whom it calls is the caller's business.

use crate::failure::Failure;
use crate::log::Log;
use crate::spawned::Spawned;
use std::net::SocketAddr;
use std::path::Path;

/// What it says when the media of its nth call flow, begun anew or again: this and `call N`.
pub(crate) const STREAMS: &str = "Media streams established with";

/// A linphonec that is to be started.
#[derive(Debug)]
pub(crate) struct Linphone<'a> {
    /// Its name: of its logs and its home.
    pub(crate) name: &'a str,
    /// What it calls itself in From.
    pub(crate) user: &'a str,
    /// Where it listens for SIP.
    pub(crate) address: SocketAddr,
    /// Where it sends what opens something new. It names who is called without a port (RFC 3261 20.39), in
    /// Refer-To too, so that whoever is referred needs to know as well.
    pub(crate) proxy: SocketAddr,
    /// Its port for RTP; the next one is for RTCP.
    pub(crate) media_port: u16,
    /// Whether it answers by itself.
    pub(crate) answers: bool,
    /// The directory of the logs.
    pub(crate) directory: &'a Path,
}

impl Linphone<'_> {
    /// Writes its files, starts it and waits until it can be told something.
    pub(crate) fn ready(&self) -> Result<Spawned, Failure> {
        let home = self.directory.join(format!("{}-home", self.name));
        let what = |file: &str| Failure::machine(format!("cannot write {file} of {}", self.name));
        // Where it keeps its database of calls.
        std::fs::create_dir_all(home.join(".local/share/linphone")).map_err(what("the home"))?;
        let file = home.join("linphonerc");
        std::fs::write(&file, self.configuration()).map_err(what("the configuration"))?;
        let mut arguments = ["-d", "6", "-c"].map(str::to_owned).to_vec();
        arguments.push(file.display().to_string());
        arguments.extend(self.answers.then(|| "-a".to_owned()));
        let environment = [("HOME".to_owned(), home.display().to_string())];
        let command = ("linphonec".as_ref(), &arguments[..]);
        let running = Spawned::start_console(self.name, command, self.directory, &environment)?;
        running.types("soundcard use files\n")?;
        self.says("Using wav files")?;
        Ok(running)
    }

    /// Waits until its log has `words`.
    pub(crate) fn says(&self, words: &str) -> Result<(), Failure> {
        self.log().says(words)
    }

    /// Waits until the media of its nth call flow.
    pub(crate) fn talks(&self, call: u32) -> Result<(), Failure> {
        let ends = format!("for call {call} (audio)");
        let what = format!("the media of call {call}");
        self.log().find(&what, |text| {
            let is_it = |line: &str| line.contains(STREAMS) && line.contains(&ends);
            text.lines().any(is_it).then_some(())
        })
    }

    /// Waits until its nth call has ended.
    pub(crate) fn ends(&self, call: u32) -> Result<(), Failure> {
        let (begins, ends) = (format!("Call {call} with "), " ended (");
        let what = format!("the end of call {call}");
        self.log().find(&what, |text| {
            let is_it = |line: &str| line.contains(&begins) && line.contains(ends);
            text.lines().any(is_it).then_some(())
        })
    }

    fn log(&self) -> Log {
        Log(self.directory.join(format!("{}.log", self.name)))
    }

    /// UDP at its address alone, everything by its proxy, digits by INFO, PCMU.
    fn configuration(&self) -> String {
        let Linphone {
            user,
            address,
            proxy,
            ..
        } = self;
        let (ip, port, media_port) = (address.ip(), address.port(), self.media_port);
        format!(
            "[sip]\nsip_port={port}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address={ip}\nuse_ipv6=0\n\
             guess_hostname=0\ncontact=<sip:{user}@{address}>\nauto_net_state_mon=0\nuse_info=1\n\
             use_rfc2833=0\ndefault_proxy=0\n[proxy_0]\nreg_proxy=<sip:{proxy}>\nreg_route=<sip:{proxy};lr>\n\
             reg_identity=sip:{user}@{ip}\nreg_sendregister=0\npublish=0\n[rtp]\nbind_address={ip}\naudio_rtp_port={media_port}\n\
             [audio_codec_0]\nmime=PCMU\nrate=8000\nchannels=1\nenabled=1\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_where_it_is_told_to_be_and_its_calls_are_told_apart() {
        let directory = std::env::temp_dir().join(format!("xtask-linphone-{}", std::process::id()));
        let phone = Linphone {
            name: "xtask-test",
            user: "carol",
            address: "127.0.0.33:5072".parse().unwrap(),
            proxy: "127.0.0.1:5073".parse().unwrap(),
            media_port: 4000,
            answers: true,
            directory: &directory,
        };
        let text = phone.configuration();
        assert!(text.contains("sip_port=5072\n") && text.contains("audio_rtp_port=4000\n"));
        assert!(text.contains("contact=<sip:carol@127.0.0.33:5072>\n"));
        assert!(text.contains("reg_route=<sip:127.0.0.1:5073;lr>\n"));
        std::fs::create_dir_all(&directory).unwrap();
        let log = "Media streams established with sip:b@c for call 2 (audio).\n\
            Call 1 with sip:b@c ended (None).\n";
        std::fs::write(&phone.log().0, log).unwrap();
        assert!(phone.talks(2).is_ok() && phone.ends(1).is_ok());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
