//! The session description of one audio stream: printed for our ends, and read only so far as to learn where packets go.

use std::net::{IpAddr, SocketAddr};

/// Where the other side wants the packets of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
}

/// Where the other side of a call of one of our SIP sockets wants its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Number of the SIP socket.
    pub(crate) socket: usize,
    pub(crate) remote: Remote,
}

impl Heard {
    /// Reads a body that came to a socket; `None` when it names no usable stream.
    pub(crate) fn new(socket: usize, body: &[u8]) -> Option<Heard> {
        let remote = read(body)?;
        Some(Heard { socket, remote })
    }
}

/// The descriptions of SIP sockets, without end: one of `media` each, in turn, or `without` when there is none.
pub(crate) fn for_sockets(without: &str, media: &[SocketAddr]) -> impl Iterator<Item = String> {
    (0..).map(move |socket: usize| match media {
        [] => without.to_owned(),
        _ => print(media[socket % media.len()]),
    })
}

/// PCMA at `local`, RTCP on the port above (RFC 4566, RFC 3551).
pub(crate) fn print(local: SocketAddr) -> String {
    let (ip, port) = (local.ip(), local.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=bench 3730000000 3730000001 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Reads the first audio stream; `None` without one or when it is refused (port 0).
pub(crate) fn read(body: &[u8]) -> Option<Remote> {
    let text = str::from_utf8(body).ok()?;
    let mut lines = text.lines().map(str::trim_end);
    let session: Vec<&str> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("m="))
        .collect();
    let start = text.find("\nm=audio ")? + 1;
    let mut section = text[start..].lines().map(str::trim_end);
    let port: u16 = section.next()?.split(' ').nth(1)?.parse().ok()?;
    let section: Vec<&str> = section.take_while(|line| !line.starts_with("m=")).collect();
    let address = connection(&section).or_else(|| connection(&session))?;
    let rtcp = section.iter().find_map(|line| line.strip_prefix("a=rtcp:"));
    let rtcp_port = rtcp.and_then(|value| value.split(' ').next()?.parse().ok());
    (port > 0).then(|| Remote {
        rtp: SocketAddr::new(address, port),
        rtcp: SocketAddr::new(address, rtcp_port.unwrap_or(port.saturating_add(1))),
    })
}

fn connection(lines: &[&str]) -> Option<IpAddr> {
    let line = lines.iter().find(|line| line.starts_with("c="))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        for local in ["192.0.2.1:4000", "[2001:db8::1]:4000"] {
            let local: SocketAddr = local.parse().unwrap();
            let remote = read(print(local).as_bytes()).unwrap();
            assert_eq!(remote.rtp, local);
            assert_eq!(remote.rtcp, SocketAddr::new(local.ip(), 4001));
        }
    }

    #[test]
    fn the_streams_own_connection_and_rtcp_port_win() {
        let body = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=video 9 RTP/AVP 96\r\nc=IN IP4 192.0.2.2\r\n\
            m=audio 5000 RTP/AVP 8\r\nc=IN IP4 192.0.2.3\r\na=rtcp:5009 IN IP4 192.0.2.3\r\nm=audio 0 RTP/AVP 8\r\n\r\n";
        let remote = read(body).unwrap();
        assert_eq!(remote.rtp, "192.0.2.3:5000".parse().unwrap());
        assert_eq!(remote.rtcp, "192.0.2.3:5009".parse().unwrap());
    }

    #[test]
    fn a_body_without_a_usable_stream_gives_nothing() {
        assert_eq!(read(b""), None);
        assert_eq!(
            read(b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 8\r\n"),
            None
        );
        assert_eq!(read(b"v=0\r\nm=audio 7 RTP/AVP 8\r\n"), None);
        assert_eq!(read(b"m=audio"), None);
    }
}
