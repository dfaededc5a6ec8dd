//! Session descriptions as the test agents write and read them (RFC 8866). Kept apart from the `wire` room
//! on purpose, as `sip` is.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A description, taken to pieces in the plainest way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    /// Lines before the first `m=`.
    pub(crate) session: Vec<String>,
    /// The streams, in order.
    pub(crate) streams: Vec<Stream>,
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its lines, the `m=` line first.
    pub(crate) lines: Vec<String>,
    /// The connection address that holds for it; None when it has none or a name.
    pub(crate) address: Option<IpAddr>,
    /// The direction attribute that holds for it; `sendrecv` when there is none.
    pub(crate) direction: String,
}

impl Description {
    /// Reads a body.
    pub(crate) fn parse(body: &str) -> Description {
        let mut sections: Vec<Vec<String>> = vec![Vec::new()];
        for line in body.lines().map(str::trim_end) {
            if line.starts_with("m=") {
                sections.push(Vec::new());
            }
            sections
                .last_mut()
                .into_iter()
                .for_each(|section| section.push(line.to_owned()));
        }
        let session = sections.remove(0);
        let streams = sections
            .into_iter()
            .map(|lines| Stream::of(lines, &session))
            .collect();
        Description { session, streams }
    }

    /// The version in `o=` (RFC 8866 5.2).
    pub(crate) fn version(&self) -> Option<u64> {
        let origin = value(&self.session, "o=")?;
        origin.split(' ').nth(2)?.parse().ok()
    }

    /// Every address that is named for audio, video and image: in `o=`, `c=`, and `a=rtcp:`.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let is_media = |stream: &&Stream| ["audio", "video", "image"].contains(&stream.kind());
        let streams = self.streams.iter().filter(is_media);
        let lines = self
            .session
            .iter()
            .chain(streams.flat_map(|stream| &stream.lines));
        let places = lines.filter(|line| {
            ["o=", "c=", "a=rtcp:"]
                .iter()
                .any(|start| line.starts_with(start))
        });
        places.filter_map(|line| address(line)).collect()
    }
}

impl Stream {
    fn of(lines: Vec<String>, session: &[String]) -> Stream {
        let connection = value(&lines, "c=").or_else(|| value(session, "c="));
        let direction = direction(&lines).or_else(|| direction(session));
        Stream {
            address: connection.and_then(address),
            direction: direction.unwrap_or("sendrecv").to_owned(),
            lines,
        }
    }

    fn words(&self) -> Vec<&str> {
        let line = self.lines.first().and_then(|line| line.strip_prefix("m="));
        line.unwrap_or("").split(' ').collect()
    }

    /// The kind: audio, video, image.
    pub(crate) fn kind(&self) -> &str {
        self.words().first().copied().unwrap_or("")
    }

    /// The port; 0 for a stream that is refused or ended.
    pub(crate) fn port(&self) -> u16 {
        let port = self.words().get(1).and_then(|word| word.parse().ok());
        port.unwrap_or(0)
    }

    /// The payload types or formats.
    pub(crate) fn formats(&self) -> Vec<&str> {
        self.words().split_off(self.words().len().min(3))
    }

    /// Where RTP (or udptl) goes.
    pub(crate) fn rtp(&self) -> Option<SocketAddr> {
        self.address.map(|ip| SocketAddr::new(ip, self.port()))
    }

    /// Where RTCP goes that has a port of its own: that of `a=rtcp:` (RFC 3605), or the next.
    pub(crate) fn rtcp(&self) -> Option<SocketAddr> {
        let rtp = self.rtp()?;
        let told = value(&self.lines, "a=rtcp:").unwrap_or("");
        let port = told.split(' ').next().and_then(|port| port.parse().ok());
        let ip = address(told).unwrap_or(rtp.ip());
        Some(SocketAddr::new(ip, port.unwrap_or(rtp.port() + 1)))
    }

    /// Whether it has exactly this line.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|own| own == line)
    }

    /// The name and rate that `a=rtpmap` gives a payload type.
    pub(crate) fn codec(&self, payload_type: &str) -> Option<&str> {
        value(&self.lines, &format!("a=rtpmap:{payload_type} "))
    }
}

/// A description that tells `address`, with the lines of its streams behind it. Its owner and name are words
/// that occur nowhere else, so that they are seen where they must not be.
pub(crate) fn describe(owner: &str, address: IpAddr, version: u32, streams: &[String]) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let mut body = format!(
        "v=0\r\no={owner}-owner {id} {version} IN {family} {address}\r\ns={owner}-session\r\n\
         c=IN {family} {address}\r\nt=0 0\r\n",
        id = identity(owner),
    );
    for stream in streams {
        let _ = write!(body, "{stream}\r\n");
    }
    body
}

/// The session id of an owner: nine digits nobody else has.
pub(crate) fn identity(owner: &str) -> u64 {
    let digits = owner.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    770_000_000 + digits % 1_000_000
}

/// An audio stream of G.711, with further lines.
pub(crate) fn audio(port: u16, further: &[&str]) -> String {
    stream(&format!("m=audio {port} RTP/AVP 0 8"), further)
}

/// A video stream, with further lines.
pub(crate) fn video(port: u16, further: &[&str]) -> String {
    let line = format!("m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000");
    stream(&line, further)
}

/// A fax stream (T.38 D.2.3), with the attributes every gateway sends.
pub(crate) fn fax(port: u16) -> String {
    stream(&format!("m=image {port} udptl t38"), FAX)
}

/// What a fax stream says of itself.
pub(crate) const FAX: &[&str] = &[
    "a=T38FaxVersion:0",
    "a=T38MaxBitRate:14400",
    "a=T38FaxRateManagement:transferredTCF",
    "a=T38FaxMaxBuffer:1024",
    "a=T38FaxMaxDatagram:238",
    "a=T38FaxUdpEC:t38UDPRedundancy",
];

/// A stream with lines behind its first.
pub(crate) fn stream(line: &str, further: &[&str]) -> String {
    let mut lines = vec![line];
    lines.extend(further);
    lines.join("\r\n")
}

fn value<'a>(lines: &'a [String], start: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(start))
}

fn direction(lines: &[String]) -> Option<&str> {
    let is_direction =
        |word: &&str| ["sendrecv", "sendonly", "recvonly", "inactive"].contains(word);
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("a="))
        .find(is_direction)
}

/// The address at the end of a line.
fn address(line: &str) -> Option<IpAddr> {
    line.split([' ', '/'])
        .rev()
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_reads_back() {
        let ip: IpAddr = "127.0.0.11".parse().unwrap();
        let body = describe(
            "alice",
            ip,
            3,
            &[audio(4000, &["a=sendonly"]), video(0, &[])],
        );
        let read = Description::parse(&body);
        assert_eq!(read.version(), Some(3));
        assert_eq!(read.addresses(), [ip, ip]);
        let [audio, video] = &read.streams[..] else {
            panic!("{read:?}");
        };
        assert_eq!((audio.kind(), audio.port()), ("audio", 4000));
        assert_eq!(audio.formats(), ["0", "8"]);
        assert_eq!(audio.direction, "sendonly");
        assert_eq!(audio.rtcp(), Some(SocketAddr::new(ip, 4001)));
        assert_eq!((video.kind(), video.port()), ("video", 0));
        assert_eq!(video.codec("99"), Some("H264/90000"));
        assert_eq!(video.direction, "sendrecv");
    }

    #[test]
    fn a_stream_may_have_its_own_address_and_report_port() {
        let body = "v=0\no=- 1 1 IN IP6 ::1\nc=IN IP4 0.0.0.0\na=inactive\nm=audio 10 RTP/AVP 0\n\
            c=IN IP6 ::1\na=rtcp:99 IN IP4 127.0.0.9\nm=audio 12 RTP/AVP 0\n";
        let read = Description::parse(body);
        assert_eq!(read.streams[0].rtp(), Some("[::1]:10".parse().unwrap()));
        assert_eq!(
            read.streams[0].rtcp(),
            Some("127.0.0.9:99".parse().unwrap())
        );
        assert_eq!(read.streams[0].direction, "inactive");
        assert_eq!(read.streams[1].rtcp(), Some("0.0.0.0:13".parse().unwrap()));
        assert_eq!(read.addresses().len(), 4);
    }

    #[test]
    fn owners_are_told_apart() {
        assert_ne!(identity("caller"), identity("callee"));
    }
}
