//! A session description (RFC 8866) as the parties of a simulation write and read it, and the offer and
//! answer of RFC 3264 as arithmetic over its lines. It shares nothing with the router's, so that one
//! misreading cannot be on both sides.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The attribute that names a description wherever it comes out: no router understands it.
const NAME: &str = "x-said";
/// The name of what has none: the router's own words, as an echo's.
pub(crate) const NAMELESS: &str = "-";

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Audio over RTP.
    Voice,
    /// Video over RTP.
    Picture,
    /// T.38 over udptl.
    Fax,
}

impl Sort {
    fn line(self, port: u16) -> String {
        match self {
            Sort::Voice => format!("m=audio {port} RTP/AVP 8 0\r\n"),
            Sort::Picture => format!("m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"),
            Sort::Fax => format!("m=image {port} udptl t38\r\n"),
        }
    }

    fn of(kind: &str) -> Option<Sort> {
        match kind {
            "audio" => Some(Sort::Voice),
            "video" => Some(Sort::Picture),
            "image" => Some(Sort::Fax),
            _ => None,
        }
    }
}

/// One m= line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub sort: Sort,
    /// Where it is to be sent; `None` for 0.0.0.0.
    pub host: Option<IpAddr>,
    /// 0 for none.
    pub port: u16,
    /// The RTCP port, where it is said.
    pub rtcp: Option<u16>,
    /// RTCP may come to the same port.
    pub mux: bool,
    /// Its author sends.
    pub sends: bool,
    /// Its author wants to receive.
    pub receives: bool,
}

impl Line {
    /// Whether there is a stream.
    pub fn is_open(&self) -> bool {
        self.port != 0
    }

    /// Where RTP goes.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host?, self.port)).filter(|_| self.is_open())
    }

    /// Where RTCP goes. `both` says that both parties have agreed on one port.
    pub fn control(&self, both: bool) -> Option<SocketAddr> {
        let mut address = self.address()?;
        if self.sort == Sort::Fax {
            return None;
        }
        if !both {
            address.set_port(self.rtcp.unwrap_or(self.port + 1));
        }
        Some(address)
    }

    /// Whether its author takes packets of media.
    pub fn takes(&self) -> bool {
        self.receives && self.address().is_some()
    }

    fn close(&mut self) {
        (self.port, self.rtcp, self.mux) = (0, None, false);
        (self.sends, self.receives) = (true, true);
    }
}

/// A whole description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name, by which it is known again behind the router.
    pub id: String,
    /// Session number of the o= line.
    pub session: u64,
    /// Version of the o= line.
    pub version: u64,
    /// Address of the o= line.
    pub ip: IpAddr,
    /// Its m= lines.
    pub lines: Vec<Line>,
}

impl Description {
    /// Its text.
    pub fn print(&self) -> String {
        let address = |ip: IpAddr| format!("IN IP{} {ip}", if ip.is_ipv4() { 4 } else { 6 });
        let mut open = self.lines.iter().filter(|line| line.is_open());
        let held = open.next().is_some_and(|line| line.host.is_none());
        let host = if held {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            self.ip
        };
        let mut text = format!(
            "v=0\r\no=- {} {} {}\r\ns=talk\r\nc={}\r\nt=0 0\r\na={NAME}:{}\r\n",
            self.session,
            self.version,
            address(self.ip),
            address(host),
            self.id,
        );
        for line in &self.lines {
            text += &line.sort.line(line.port);
            if line.is_open() {
                print_attributes(line, &mut text);
            }
        }
        text
    }

    /// Reads what is understood here of a text; `None` when it is none of a party's.
    pub fn read(body: &[u8]) -> Option<Description> {
        let text = std::str::from_utf8(body).ok()?;
        let (mut session, mut version, mut ip, mut id) = (0, 0, None, None);
        let mut host = None;
        let mut lines: Vec<Line> = Vec::new();
        for (kind, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let words: Vec<&str> = value.split(' ').collect();
            match (kind, lines.last_mut()) {
                ("o", _) => {
                    let [_, number, edition, _, _, address] = words.as_slice() else {
                        return None;
                    };
                    session = number.parse().ok()?;
                    version = edition.parse().ok()?;
                    ip = address.parse().ok();
                }
                ("c", None) => host = read_host(&words),
                ("c", Some(line)) => line.host = read_host(&words),
                ("m", _) => lines.push(read_line(&words, host)?),
                ("a", Some(line)) => read_attribute(line, value),
                ("a", None) => {
                    let name = value.split_once(':').filter(|(name, _)| *name == NAME);
                    id = id.or(name.map(|(_, id)| id.to_owned()));
                }
                _ => {}
            }
        }
        Some(Description {
            id: id.unwrap_or_else(|| NAMELESS.to_owned()),
            session,
            version,
            ip: ip?,
            lines,
        })
    }
}

fn print_attributes(line: &Line, text: &mut String) {
    if let Some(port) = line.rtcp {
        let _ = write!(text, "a=rtcp:{port}\r\n");
    }
    if line.mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    let way = match (line.sends, line.receives) {
        (true, true) => return,
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    };
    let _ = write!(text, "a={way}\r\n");
}

fn read_host(words: &[&str]) -> Option<IpAddr> {
    let ip: IpAddr = words.last()?.parse().ok()?;
    Some(ip).filter(|ip| !ip.is_unspecified())
}

fn read_line(words: &[&str], host: Option<IpAddr>) -> Option<Line> {
    Some(Line {
        sort: Sort::of(words.first()?)?,
        host,
        port: words.get(1)?.parse().ok()?,
        rtcp: None,
        mux: false,
        sends: true,
        receives: true,
    })
}

fn read_attribute(line: &mut Line, value: &str) {
    match value.split_once(':') {
        Some(("rtcp", port)) => {
            let port = port.split(' ').next().unwrap_or_default();
            line.rtcp = port.parse().ok();
        }
        _ if value == "rtcp-mux" => line.mux = true,
        _ => match value {
            "sendonly" => line.receives = false,
            "recvonly" => line.sends = false,
            "inactive" => (line.sends, line.receives) = (false, false),
            _ => {}
        },
    }
}

/// The answer to a line, where `own` is the line as this party would have it (RFC 3264 6).
pub(super) fn answer(offer: &Line, mut own: Line, taken: bool) -> Line {
    own.sort = offer.sort;
    if !offer.is_open() || !taken {
        own.close();
        return own;
    }
    own.mux &= offer.mux;
    own.sends &= offer.takes();
    own.receives &= offer.sends;
    if own.sort == Sort::Fax {
        (own.rtcp, own.mux) = (None, false);
    }
    own
}

/// Takes a stream out of an offer.
pub(super) fn close(line: &mut Line) {
    line.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sends: bool, receives: bool) -> Line {
        Line {
            sort: Sort::Voice,
            host: "10.1.0.1".parse().ok(),
            port: 4000,
            rtcp: Some(5000),
            mux: true,
            sends,
            receives,
        }
    }

    fn description(lines: Vec<Line>) -> Description {
        Description {
            id: "a-1".to_owned(),
            session: 7,
            version: 8,
            ip: "10.1.0.1".parse().expect("an address"),
            lines,
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let mut closed = line(true, true);
        closed.close();
        let mut fax = line(false, true);
        (fax.sort, fax.rtcp, fax.mux) = (Sort::Fax, None, false);
        let said = description(vec![line(true, false), closed, fax, line(false, false)]);
        assert_eq!(Description::read(said.print().as_bytes()), Some(said));
    }

    #[test]
    fn a_hold_of_the_old_style_has_no_address() {
        let (mut held, mut closed) = (line(true, true), line(true, true));
        held.host = None;
        closed.close();
        let text = description(vec![held, closed]).print();
        assert!(text.contains("c=IN IP4 0.0.0.0"), "{text}");
        let read = Description::read(text.as_bytes()).expect("a description");
        assert_eq!(read.lines[0].address(), None);
        assert!(!read.lines[0].takes());
    }

    #[test]
    fn answers_do_what_the_offer_lets_them() {
        for (offer, sends, receives) in [
            (line(true, true), true, true),
            (line(true, false), false, true),
            (line(false, true), true, false),
            (line(false, false), false, false),
        ] {
            let answer = answer(&offer, line(true, true), true);
            assert_eq!((answer.sends, answer.receives), (sends, receives));
        }
        assert!(!answer(&line(true, true), line(true, true), false).is_open());
        let mut own = line(true, true);
        own.mux = false;
        assert!(!answer(&line(true, true), own, true).mux);
    }

    #[test]
    fn rtcp_is_above_where_it_is_said_or_on_the_same_port() {
        let mut line = line(true, true);
        let port = |line: &Line, both| line.control(both).map(|address| address.port());
        assert_eq!(
            (port(&line, false), port(&line, true)),
            (Some(5000), Some(4000))
        );
        line.rtcp = None;
        assert_eq!(port(&line, false), Some(4001));
        line.sort = Sort::Fax;
        assert_eq!(port(&line, false), None);
    }
}
