//! One m= line of a call, through all of its offers and answers: what each party said of it, and the
//! stream that carries it.

use std::net::{IpAddr, SocketAddr};

use media::{End, Family, Kind, Media, Remote, Reserved, StreamId};
use smallvec::SmallVec;
use stack::Time;
use wire::Host;
use wire::sdp::{self, Connection};

/// Clock rates kept of one description; a party with more payload types than this has its jitter
/// measured by the first of them.
const RATES_MAX: usize = 16;

/// Whether the router carries what this line describes.
pub(super) fn is_steered(line: &sdp::MediaLine<'_>) -> bool {
    let kind = matches!(
        line.kind,
        sdp::Kind::Audio | sdp::Kind::Video | sdp::Kind::Image
    );
    kind && (line.is_rtp() || line.is_udptl())
}

/// What one party says of a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    /// The router carries it and its port is not 0.
    pub(super) open: bool,
    kind: Kind,
    mux: bool,
    /// `rates` are those of what this party wants to hear.
    remote: Remote,
}

impl Described {
    /// Reads a section. A party that names its host instead of its address is taken to have its media
    /// where its signalling came from, `peer`: asking the resolver would hold the call up, and
    /// latching finds it wherever it is.
    pub(super) fn read(section: &sdp::Media<'_>, peer: IpAddr) -> Described {
        let line = &section.media;
        if line.port == 0 || !is_steered(line) {
            return Described::default();
        }
        let connection = section.connection();
        let address = connection.and_then(|connection| address(&connection, peer));
        let rtcp = section.rtcp().and_then(|rtcp| {
            let own = rtcp
                .connection
                .and_then(|connection| self::address(&connection, peer));
            let port = Some(rtcp.port).filter(|&port| port != 0)?;
            address.map(|ip| SocketAddr::new(own.unwrap_or(ip), port))
        });
        let direction = section.direction();
        Described {
            open: true,
            kind: if line.is_udptl() {
                Kind::Udptl
            } else {
                Kind::Rtp
            },
            mux: section.rtcp_mux(),
            remote: Remote {
                rtp: address.map(|ip| SocketAddr::new(ip, line.port)),
                rtcp,
                rtcp_mux: false,
                sends: direction.sends(),
                receives: direction.receives() && address.is_some(),
                rates: rates(section),
            },
        }
    }

    /// The family this party wants its media in, when it says.
    pub(super) fn family(&self) -> Option<Family> {
        self.remote.rtp.map(|rtp| Family::of(rtp.ip()))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

/// Where packets are wanted, if anywhere. Whether they can be sent there is for the media to know.
fn address(connection: &Connection<'_>, peer: IpAddr) -> Option<IpAddr> {
    match connection.host {
        _ if connection.is_unspecified() => None,
        Host::Ip(ip) => Some(ip.to_canonical()),
        Host::Name(_) | Host::None => Some(peer.to_canonical()),
    }
}

fn rates(section: &sdp::Media<'_>) -> SmallVec<[(u8, u32); 4]> {
    let kinds = section.media.payload_types().take(RATES_MAX);
    kinds
        .filter_map(|kind| Some((kind, section.clock_rate(kind)?)))
        .collect()
}

/// One m= line of a call.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) stream: Option<StreamId>,
    kind: Kind,
    /// What the caller and the callee said, as far as it is in force.
    said: [Option<Described>; 2],
    /// What the pending offer says of it.
    pub(super) proposed: Option<Described>,
    /// The stream was opened for the pending offer.
    pub(super) fresh: bool,
    /// The last answer wants no such stream, or the offer before it.
    pub(super) refused: bool,
    /// Ports of the other family, for the end whose offer is pending.
    reserved: Option<Reserved>,
}

impl Slot {
    /// A stream is there for what the offer says.
    pub(super) fn opened(&mut self, stream: StreamId, kind: Kind) {
        *self = Slot {
            stream: Some(stream),
            kind,
            proposed: self.proposed.take(),
            fresh: true,
            ..Slot::default()
        };
    }

    pub(super) fn said(&self, end: End) -> Option<&Described> {
        let [caller, callee] = &self.said;
        match end {
            End::Caller => caller.as_ref(),
            End::Callee => callee.as_ref(),
        }
    }

    pub(super) fn say(&mut self, end: End, described: Option<Described>) {
        let [caller, callee] = &mut self.said;
        match end {
            End::Caller => *caller = described,
            End::Callee => *callee = described,
        }
    }

    /// The family the pending offer of this end moves its stream to, if it does.
    pub(super) fn moves(&self, media: &Media, end: End) -> Option<Family> {
        let proposed = self.proposed.as_ref().filter(|proposed| proposed.open)?;
        let ours = media.family(self.stream?, end)?;
        proposed.family().filter(|family| *family != ours)
    }

    /// Keeps ports of this family for the pending offer; false when none is free.
    pub(super) fn reserve(&mut self, media: &mut Media, family: Family) -> bool {
        self.give_back(media);
        self.reserved = media.reserve(family);
        self.reserved.is_some()
    }

    pub(super) fn give_back(&mut self, media: &mut Media) {
        if let Some(reserved) = self.reserved.take() {
            media.give_back(reserved);
        }
    }

    /// The offer of this end has an answer: unless that refuses the line, the stream moves to the ports
    /// that were kept for it. Returns its family there.
    pub(super) fn change_family(
        &mut self,
        media: &mut Media,
        now: Time,
        end: End,
        answer: &Described,
    ) -> Option<Family> {
        let (stream, true) = (self.stream?, answer.open) else {
            self.give_back(media);
            return None;
        };
        let moved = media.change_family(now, stream, end, self.reserved.take()?)?;
        self.stream = Some(moved);
        media.family(moved, end)
    }

    /// The offer of this end has its answer: both are in force.
    pub(super) fn agree(&mut self, offerer: End, answer: Described) {
        if let Some(proposed) = self.proposed.take() {
            self.say(offerer, Some(proposed));
        }
        self.say(offerer.other(), Some(answer));
        self.fresh = false;
        self.weigh();
    }

    /// Whether both ends want the stream, now that both have spoken.
    pub(super) fn weigh(&mut self) {
        let open = |said: &Option<Described>| said.as_ref().is_some_and(|said| said.open);
        self.refused = !self.said.iter().all(open);
    }

    /// Tells the media what is in force at both ends.
    pub(super) fn apply(&mut self, media: &mut Media, now: Time) {
        let Some(stream) = self.stream else { return };
        if let [Some(one), Some(other)] = &self.said
            && one.kind == other.kind
            && one.kind != self.kind
            && !self.refused
        {
            self.kind = one.kind;
            media.set_kind(stream, self.kind);
        }
        for end in [End::Caller, End::Callee] {
            if self.said(end).is_some() {
                let remote = self.remote(end);
                media.set_remote(now, stream, end, &remote);
            }
        }
    }

    /// An end as both descriptions have it. What it sends it sends as the other wants to hear it (RFC
    /// 3264 5.1), so the clock rates are the other's.
    fn remote(&self, end: End) -> Remote {
        let Some(said) = self.said(end).filter(|_| !self.refused) else {
            return Remote::default();
        };
        let mut remote = said.remote.clone();
        if let Some(other) = self.said(end.other()) {
            remote.rtcp_mux = said.mux && other.mux;
            if !other.remote.rates.is_empty() {
                remote.rates.clone_from(&other.remote.rates);
            }
        }
        remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::sdp::Session;

    fn described(text: &str) -> Described {
        let text = format!("v=0\r\n{text}");
        let session = Session::parse(text.as_bytes()).expect("a description");
        Described::read(&session.media()[0], "192.0.2.5".parse().unwrap())
    }

    fn rtp(text: &str) -> Option<String> {
        described(text)
            .remote
            .rtp
            .map(|address| address.to_string())
    }

    const LINE: &str = "m=audio 4000 RTP/AVP 0 96\r\n";

    #[test]
    fn only_open_lines_of_rtp_and_fax_are_carried() {
        for (line, open, kind) in [
            ("m=audio 4000 RTP/AVP 0", true, Kind::Rtp),
            ("m=video 4000 rtp/savpf 99", true, Kind::Rtp),
            ("m=audio 4000 UDP/TLS/RTP/SAVPF 99", true, Kind::Rtp),
            ("m=image 4000 UDPTL t38", true, Kind::Udptl),
            ("m=image 4000 tcp t38", false, Kind::Rtp),
            ("m=audio 0 RTP/AVP 0", false, Kind::Rtp),
            ("m=message 4000 TCP/MSRP *", false, Kind::Rtp),
            ("m=application 4000 RTP/AVP 100", false, Kind::Rtp),
        ] {
            let said = described(&format!("c=IN IP4 10.0.0.1\r\n{line}\r\n"));
            assert_eq!((said.open, said.kind), (open, kind), "{line}");
            assert_eq!(said.family().is_some(), open, "{line}");
        }
    }

    #[test]
    fn an_address_is_where_packets_can_be_sent() {
        for (connection, expected) in [
            ("c=IN IP4 10.0.0.1\r\n", Some("10.0.0.1:4000")),
            ("c=IN IP6 2001:db8::1\r\n", Some("[2001:db8::1]:4000")),
            ("c=IN IP6 ::ffff:10.0.0.1\r\n", Some("10.0.0.1:4000")),
            ("c=IN IP4 phone.example\r\n", Some("192.0.2.5:4000")),
            ("c=IN IP4 0.0.0.0\r\n", None),
            ("c=IN IP6 held.invalid\r\n", None),
            ("c=ATM NSAP 47\r\n", None),
            ("", None),
        ] {
            let found = rtp(&format!("{connection}{LINE}"));
            assert_eq!(found.as_deref(), expected, "{connection}");
            let receives = described(&format!("{connection}{LINE}")).remote.receives;
            assert_eq!(receives, expected.is_some(), "{connection}");
        }
        let own = format!("c=IN IP4 10.0.0.1\r\n{LINE}c=IN IP4 10.0.0.2\r\n");
        assert_eq!(rtp(&own).as_deref(), Some("10.0.0.2:4000"));
    }

    #[test]
    fn rtcp_is_where_it_is_said_to_be() {
        let rtcp = |more: &str| {
            let said = described(&format!("c=IN IP4 10.0.0.1\r\n{LINE}{more}\r\n"));
            said.remote.rtcp.map(|address| address.to_string())
        };
        for (more, expected) in [
            ("a=rtcp:7", Some("10.0.0.1:7")),
            ("a=rtcp:7 IN IP4 10.0.0.2", Some("10.0.0.2:7")),
            ("a=rtcp:0", None),
            ("a=rtcp:x", None),
            ("a=ptime:20", None),
        ] {
            assert_eq!(rtcp(more).as_deref(), expected, "{more}");
        }
    }

    #[test]
    fn directions_and_clock_rates_are_read() {
        let head = format!("c=IN IP4 10.0.0.1\r\n{LINE}a=rtpmap:96 opus/48000/2\r\na=rtcp-mux\r\n");
        for (direction, sends, receives) in [
            ("", true, true),
            ("a=sendonly\r\n", true, false),
            ("a=recvonly\r\n", false, true),
            ("a=inactive\r\n", false, false),
        ] {
            let said = described(&format!("{head}{direction}"));
            let remote = &said.remote;
            assert_eq!((remote.sends, remote.receives), (sends, receives));
            assert!(
                said.mux && !remote.rtcp_mux,
                "in force only once both have it"
            );
            assert_eq!(remote.rates.as_slice(), [(0, 8000), (96, 48000)]);
        }
    }

    #[test]
    fn a_line_is_refused_unless_both_want_it() {
        let open = || described(&format!("c=IN IP4 10.0.0.1\r\n{LINE}"));
        for (offer, answer, refused) in [
            (open(), open(), false),
            (open(), Described::default(), true),
            (Described::default(), open(), true),
        ] {
            let mut slot = Slot {
                proposed: Some(offer),
                fresh: true,
                ..Slot::default()
            };
            slot.agree(End::Callee, answer);
            assert_eq!(slot.refused, refused);
            assert!(slot.proposed.is_none() && !slot.fresh);
            assert!(slot.said(End::Caller).is_some() && slot.said(End::Callee).is_some());
        }
    }
}
