//! A session description on the other leg: our addresses and ports in the place of the sender's, its
//! name hidden, and what tells of its transport withheld. Everything else passes byte for byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use media::{Family, Local};
use wire::sdp::{Connection, Edits, Line, Media, Session, print_address};
use wire::{Span, print};

/// An attribute that is not copied from one leg to the other.
#[derive(Clone, Copy, Debug)]
pub struct WithheldAttribute {
    /// Its name; with a colon, the beginning of name and value.
    pub name: &'static str,
    /// Why it does not pass.
    pub reason: &'static str,
}

const fn withheld(name: &'static str, reason: &'static str) -> WithheldAttribute {
    WithheldAttribute { name, reason }
}

const ICE: &str = "agrees on addresses of the other leg (RFC 8839): media goes to the router's";

/// The one table of attributes of steered calls that do not pass, at either level.
pub const WITHHELD_ATTRIBUTES: [WithheldAttribute; 13] = [
    withheld("candidate", "names addresses of the other leg (RFC 8839)"),
    withheld(
        "remote-candidates",
        "names addresses of the other leg (RFC 8839)",
    ),
    withheld("end-of-candidates", ICE),
    withheld("ice-ufrag", ICE),
    withheld("ice-pwd", ICE),
    withheld("ice-options", ICE),
    withheld("ice-lite", ICE),
    withheld("ice-mismatch", ICE),
    withheld("ice-pacing", ICE),
    withheld("altc", "names addresses of the other leg (RFC 6947)"),
    withheld("ccap", "names addresses of the other leg (RFC 7006)"),
    withheld(
        "source-filter",
        "names addresses of the other leg (RFC 4570)",
    ),
    withheld(
        "group:BUNDLE",
        "puts streams on one port (RFC 9143): here each has its own",
    ),
];

fn is_withheld(line: &Line<'_>) -> bool {
    line.kind == b'a'
        && WITHHELD_ATTRIBUTES
            .iter()
            .any(|row| names(row.name, line.value))
}

/// Whether the attribute begins with all of `name` and not with a longer word.
fn names(name: &str, value: &[u8]) -> bool {
    let start = value.get(..name.len());
    let after = value.get(name.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && after.is_none_or(|byte| matches!(byte, b':' | b' ' | b'\t'))
}

/// What a line is on the leg it is printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Media comes to this port of ours.
    Ours(Local),
    /// Not carried, and passes with its sender's address.
    Theirs,
    /// Its port is 0, or must be: nothing carries it.
    Closed,
}

/// What we call ourselves on one leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) session_id: u64,
    pub(super) version: u64,
    /// Our address, once there is one.
    pub(super) address: Option<IpAddr>,
    /// The address in o=. RFC 3264 8: it stays as it was said first, wherever the streams move.
    pub(super) origin: Option<IpAddr>,
    pub(super) family: Family,
}

impl Identity {
    pub(super) fn address(&self) -> IpAddr {
        self.address.unwrap_or(match self.family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        })
    }

    fn print_origin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"- ");
        print::number(out, self.session_id);
        out.push(b' ');
        print::number(out, self.version);
        out.push(b' ');
        print_address(out, self.origin.unwrap_or(self.address()));
    }
}

/// Edits `session` to say what the router says on the other leg; `shown` has an entry a section.
pub(super) fn edit(edits: &mut Edits, session: &Session<'_>, shown: &[Shown], own: &Identity) {
    edit_session(edits, session, own);
    for (section, &shown) in session.media().iter().zip(shown) {
        edit_section(edits, session, section, shown, own);
    }
}

fn edit_session(edits: &mut Edits, session: &Session<'_>, own: &Identity) {
    let mut connected = false;
    for line in session.lines() {
        match line.kind {
            b'o' => edits.replace(line.value_span, |out| own.print_origin(out)),
            b's' => edits.replace(line.value_span, |out| out.push(b'-')),
            b'c' if connected => edits.remove(line.span),
            b'c' => {
                connected = true;
                edits.replace(line.value_span, |out| {
                    print_connection(out, &line, own.address());
                });
            }
            // RFC 3605 2.1: RTCP is a line of a section. Here it could only mislead.
            _ if is_withheld(&line) || line.is_attribute("rtcp") => edits.remove(line.span),
            _ => {}
        }
    }
}

fn edit_section(
    edits: &mut Edits,
    session: &Session<'_>,
    section: &Media<'_>,
    shown: Shown,
    own: &Identity,
) {
    let address = match shown {
        Shown::Ours(local) => {
            edits.replace(section.media.port_span, |out| {
                print::number(out, local.rtp_port.into());
            });
            Some(local.address)
        }
        Shown::Closed => {
            if section.media.port != 0 {
                edits.replace(section.media.port_span, |out| out.push(b'0'));
            }
            Some(own.address())
        }
        Shown::Theirs => None,
    };
    match address {
        Some(address) => edit_connection(edits, session, section, address, own),
        None => keep_connection(edits, session, section),
    }
    for line in section.lines() {
        if is_withheld(&line) {
            edits.remove(line.span);
        } else if line.is_attribute("rtcp") {
            edit_rtcp(edits, section, &line, shown);
        }
    }
}

/// RFC 3605: written when it was there, with an address when it had one. A sender that has RTCP on its
/// RTP port is shown as one.
fn edit_rtcp(edits: &mut Edits, section: &Media<'_>, line: &Line<'_>, shown: Shown) {
    let local = match shown {
        Shown::Ours(local) => local,
        Shown::Closed => return edits.remove(line.span),
        Shown::Theirs => return,
    };
    let Some(rtcp) = section.rtcp() else {
        return edits.remove(line.span);
    };
    let same = rtcp.port == section.media.port;
    edits.replace(line.value_span, |out| {
        out.extend_from_slice(b"rtcp:");
        let port = if same {
            local.rtp_port
        } else {
            local.rtcp_port
        };
        print::number(out, port.into());
        if rtcp.connection.is_some() {
            out.push(b' ');
            print_address(out, local.address);
        }
    });
}

/// Our address at the level where the sender had its own; below the session's only where they differ.
fn edit_connection(
    edits: &mut Edits,
    session: &Session<'_>,
    section: &Media<'_>,
    address: IpAddr,
    own: &Identity,
) {
    let mut lines = section.lines().filter(|line| line.kind == b'c');
    if let Some(first) = lines.next() {
        edits.replace(first.value_span, |out| {
            print_connection(out, &first, address)
        });
        lines.for_each(|line| edits.remove(line.span));
        return;
    }
    let inherited = session.lines().find_kind(b'c');
    let held = session.connection().is_some_and(|c| c.is_unspecified());
    if inherited.is_none() || address != own.address() && !held {
        insert_connection(edits, session, section, |out| print_address(out, address));
    }
}

/// A section that is not carried says for itself what it had from the session.
fn keep_connection(edits: &mut Edits, session: &Session<'_>, section: &Media<'_>) {
    if section.own_connection().is_none()
        && let Some(line) = session.lines().find_kind(b'c')
    {
        insert_connection(edits, session, section, |out| {
            out.extend_from_slice(line.value);
        });
    }
}

/// A c= line where RFC 8866 5 has it: after m= and i=.
fn insert_connection(
    edits: &mut Edits,
    session: &Session<'_>,
    section: &Media<'_>,
    print: impl FnOnce(&mut Vec<u8>),
) {
    let title = section.lines().next().filter(|line| line.kind == b'i');
    let before = title.unwrap_or(section.line);
    let ending = Span {
        start: before.value_span.end,
        end: before.span.end,
    };
    let ending = ending.of(session.bytes());
    edits.insert(before.span.end, |out| {
        if ending.is_empty() {
            // The body ends within the line before.
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"c=");
        print(out);
        out.extend_from_slice(ending);
    });
}

/// This address in the place of that of the line; a hold stays a hold. One of the same family stays as it
/// is written; in IPv6 it is a name that has no address (RFC 6157 4.1).
fn print_connection(out: &mut Vec<u8>, line: &Line<'_>, address: IpAddr) {
    let written = Connection::parse(line.value);
    match written.filter(Connection::is_unspecified) {
        None => print_address(out, address),
        Some(held) if held.ipv6 == address.is_ipv6() => out.extend_from_slice(line.value),
        Some(_) if address.is_ipv6() => out.extend_from_slice(b"IN IP6 held.invalid"),
        Some(_) => print_address(out, Ipv4Addr::UNSPECIFIED.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

    fn local(address: &str) -> Shown {
        Shown::Ours(Local {
            address: address.parse().unwrap(),
            rtp_port: 40_000,
            rtcp_port: 40_001,
        })
    }

    fn printed(text: &str, shown: &[Shown]) -> String {
        let own = Identity {
            session_id: 5,
            version: 6,
            address: Some(OURS[0].parse().unwrap()),
            origin: None,
            family: Family::V4,
        };
        let session = Session::parse(text.as_bytes()).expect("a description");
        let (mut edits, mut out) = (Edits::new(), Vec::new());
        edit(&mut edits, &session, shown, &own);
        edits.print(session.bytes(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_withheld_attribute_is_named_once_and_does_not_pass() {
        for (at, row) in WITHHELD_ATTRIBUTES.iter().enumerate() {
            assert!(!row.reason.is_empty());
            let before = &WITHHELD_ATTRIBUTES[..at];
            assert!(before.iter().all(|other| other.name != row.name));
            for line in [row.name.to_owned(), row.name.to_uppercase()] {
                let (kept, more) = (format!("a={line}x\r\n"), format!("a={line}\r\n"));
                let text = format!("v=0\r\n{more}{kept}m=audio 9 RTP/AVP 0\r\n{kept}{more}");
                let expected = format!("v=0\r\n{kept}m=audio 9 RTP/AVP 0\r\n{kept}");
                assert_eq!(printed(&text, &[Shown::Theirs]), expected);
            }
        }
    }

    #[test]
    fn lines_pass_with_their_own_line_ends() {
        let text = "v=0\no=a 1 1 IN IP4 10.0.0.1\rs=x\r\nm=audio 9/2 RTP/AVP 0\ni=title\nb=AS:1";
        let expected = "v=0\no=- 5 6 IN IP4 198.51.100.1\rs=-\r\nm=audio 40000 RTP/AVP 0\n\
            i=title\nc=IN IP4 198.51.100.1\nb=AS:1";
        assert_eq!(printed(text, &[local(OURS[0])]), expected);
        let text = "v=0\r\nm=audio 9 RTP/AVP 0";
        let expected = "v=0\r\nm=audio 40000 RTP/AVP 0\r\nc=IN IP4 198.51.100.1";
        assert_eq!(printed(text, &[local(OURS[0])]), expected);
    }

    #[test]
    fn an_address_below_the_session_stands_only_where_it_differs() {
        let line = "m=audio 9 RTP/AVP 0\r\n";
        let text = format!("v=0\r\nc=IN IP4 10.0.0.1\r\n{line}{line}{line}c=IN IP4 10.0.0.2\r\n");
        let shown = [local(OURS[0]), local(OURS[1]), local(OURS[0])];
        let line = "m=audio 40000 RTP/AVP 0\r\n";
        let expected = format!(
            "v=0\r\nc=IN IP4 198.51.100.1\r\n{line}{line}c=IN IP4 198.51.100.2\r\n{line}\
             c=IN IP4 198.51.100.1\r\n"
        );
        assert_eq!(printed(&text, &shown), expected);
    }

    #[test]
    fn closed_lines_tell_nothing_and_groups_have_one_address() {
        let text = "v=0\r\nc=IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=video 9 RTP/AVP 0\r\n\
            c=IN IP4 224.2.1.1/127/3\r\nc=IN IP4 10.0.0.3\r\na=rtcp:10 IN IP4 10.0.0.3\r\n";
        let expected = "v=0\r\nc=IN IP4 198.51.100.1\r\nm=video 0 RTP/AVP 0\r\n\
            c=IN IP4 198.51.100.1\r\n";
        assert_eq!(printed(text, &[Shown::Closed]), expected);
    }

    /// Lines of a session or of a section, which name the sender's address in every way.
    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("c=IN IP4 10.9.8.7\r\n"),
            Just("c=IN IP4 10.9.8.7/2\n"),
            Just("c=IN IP4 0.0.0.0\r\n"),
            Just("a=rtcp:7 IN IP4 10.9.8.7\r\n"),
            Just("a=rtcp:7 10.9.8.7\r\n"),
            Just("a=rtcp:10.9.8.7\r\n"),
            Just("a=candidate:1 1 UDP 1 10.9.8.7 9 typ host\r\n"),
            Just("a=remote-candidates:1 10.9.8.7 9\r"),
            Just("a=rtpmap:0 PCMU/8000\r\n"),
            Just("a=sendonly\r\n"),
            Just("i=title\r\n"),
            Just("?\r\n"),
        ];
        proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn what_is_carried_never_tells_the_senders_address(
            head in lines(),
            sections in proptest::collection::vec((lines(), any::<bool>()), 0..5),
        ) {
            let mut text = format!("v=0\r\no=a 1 1 IN IP4 10.9.8.7\r\ns=10.9.8.7\r\n{head}");
            let mut shown = Vec::new();
            for (lines, open) in &sections {
                text += &format!("m=audio 9 RTP/AVP 0\r\n{lines}");
                shown.push(if *open { local(OURS[1]) } else { Shown::Closed });
            }
            let out = printed(&text, &shown);
            prop_assert!(!out.contains("10.9.8.7"), "{out}");
            let session = Session::parse(out.as_bytes()).expect("still a description");
            prop_assert_eq!(session.media().len(), sections.len());
            let ours: Vec<_> = session.media().iter().map(|media| media.media.port > 0).collect();
            let open: Vec<_> = sections.iter().map(|(_, open)| *open).collect();
            prop_assert_eq!(ours, open);
        }
    }
}
