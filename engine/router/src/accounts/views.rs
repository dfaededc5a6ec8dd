//! Answers to questions about calls.

use media::{StreamId, Summary};
use stack::dialog::Dialog;
use stack::{Flow, Token};
use wire::sdp;

use super::Account;
use crate::calls::{CallId, Calls};
use crate::core::{Core, Side};
use crate::entry::Entry;
use crate::query::{CallDetail, CallsPage, LegView, Said, StreamView};

/// Calls in one page, however many were asked for.
const PAGE_MAX: usize = 250;
/// Entries looked at for each call of a page.
const LOOKED_AT: usize = 10;

/// Some of the calls, by slot: one that stays in its slot is met once, whatever begins or ends meanwhile.
pub(crate) fn page(core: &Core, asked: &CallsPage) -> Said {
    let limit = usize::from(asked.limit).clamp(1, PAGE_MAX);
    let slots = &core.accounts.slots;
    let from = usize::try_from(asked.from).unwrap_or(usize::MAX);
    let mut calls = Vec::new();
    let mut next = from.min(slots.len());
    for slot in slots.iter().skip(from).take(limit * LOOKED_AT) {
        if calls.len() == limit {
            break;
        }
        next += 1;
        let account = slot.as_deref().filter(|account| account.matches(asked));
        calls.extend(account.map(Account::view));
    }
    let next = u32::try_from(next).ok();
    Said::Calls {
        calls,
        next: next.filter(|&next| (next as usize) < slots.len()),
    }
}

impl Account {
    fn matches(&self, asked: &CallsPage) -> bool {
        let state = asked.state.is_none_or(|state| state == self.state());
        let user = || (asked.user.as_deref()).is_none_or(|user| self.concerns(user));
        self.is_open() && state && user()
    }
}

/// The call of this name in full.
pub(crate) fn detail(core: &mut Core, calls: &mut Calls, name: &str) -> Option<CallDetail> {
    let (id, account) = core.accounts.named(name)?;
    let (route, why) = account.route();
    let view = account.view();
    let timeline = account.timeline().entries();
    let sessions = [Side::Caller, Side::Callee].map(|side| summary(account.session(side)));
    let (legs, streams) = parts(calls, id, sessions)?;
    let stream = |(line, stream)| Some(stream_view(line, core.media.summary(stream)?));
    Some(CallDetail {
        view,
        legs,
        route,
        why,
        streams: streams.into_iter().filter_map(stream).collect(),
        timeline,
    })
}

type Parts = (Vec<LegView>, Vec<(usize, StreamId)>);

/// The legs of a call, and its streams with their lines.
fn parts(calls: &mut Calls, id: CallId, sessions: [String; 2]) -> Option<Parts> {
    let [of_caller, of_callee] = sessions;
    match calls.entry_mut(id)? {
        Entry::Bridge(call) => {
            let view = |side, session| {
                let leg = call.leg(side);
                leg_view(&leg.dialog, call.tag(side), leg.peer, session)
            };
            let legs = vec![view(Side::Caller, of_caller), view(Side::Callee, of_callee)];
            Some((legs, call.streams()))
        }
        Entry::Echo(echo) => {
            let leg = leg_view(echo.dialog(), echo.tag(), echo.peer(), of_caller);
            Some((vec![leg], echo.streams()))
        }
        Entry::Proxy(_) | Entry::Subscription(_) | Entry::Notifier(_) => None,
    }
}

fn leg_view(dialog: &Dialog, tag: Token, peer: Flow, session: String) -> LegView {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    LegView {
        call_id: text(dialog.call_id()),
        local_tag: text(&tag.tag_text()),
        remote_tag: text(dialog.remote_tag()),
        remote_target: text(dialog.target()),
        remote: peer.remote,
        session,
    }
}

fn stream_view(line: usize, summary: Summary) -> StreamView {
    let both = [&summary.from_caller, &summary.from_callee];
    StreamView {
        line: u16::try_from(line).unwrap_or(u16::MAX),
        packets: both.map(|reception| reception.packets),
        octets: both.map(|reception| reception.bytes),
        lost: both.map(|reception| reception.lost),
        jitter_us: both.map(|reception| (reception.jitter_ms * 1_000.0) as u64),
    }
}

/// A session description in one line: for each m= line what it is, its formats, its address and its
/// direction.
fn summary(description: &[u8]) -> String {
    let Ok(session) = sdp::Session::parse(description) else {
        return String::new();
    };
    let lines = session.media().iter().map(stream_summary);
    lines.collect::<Vec<_>>().join("; ")
}

fn stream_summary(media: &sdp::Media<'_>) -> String {
    let line = &media.media;
    let kind = match line.kind {
        sdp::Kind::Audio => "audio",
        sdp::Kind::Video => "video",
        sdp::Kind::Image => "image",
        sdp::Kind::Application => "application",
        sdp::Kind::Message => "message",
        sdp::Kind::Other => "other",
    };
    let format = |format: &[u8]| {
        let number = std::str::from_utf8(format)
            .ok()
            .and_then(|text| text.parse().ok());
        let name = number
            .and_then(|number| media.rtpmap(number))
            .map(|map| map.name);
        String::from_utf8_lossy(name.unwrap_or(format)).into_owned()
    };
    let formats: Vec<String> = line.formats().map(format).collect();
    let proto = String::from_utf8_lossy(line.proto);
    let host = media.connection().map(|connection| connection.host);
    let host = host.map_or_else(String::new, |host| written(&host));
    let direction = media.direction().name();
    format!(
        "{kind} {proto} {} {host}:{} {direction}",
        formats.join("/"),
        line.port
    )
}

fn written(host: &wire::Host<'_>) -> String {
    match host {
        wire::Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        wire::Host::Ip(ip) => ip.to_string(),
        wire::Host::Name(name) => String::from_utf8_lossy(name).into_owned(),
        wire::Host::None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_description_is_one_line() {
        let audio = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n\
                     m=image 0 udptl t38\r\nc=IN IP6 ::1\r\n";
        assert_eq!(
            summary(audio.as_bytes()),
            "audio RTP/AVP PCMA/0/telephone-event 192.0.2.1:4000 sendonly; \
             image udptl t38 [::1]:0 sendrecv"
        );
        assert_eq!(summary(b"nonsense"), "");
    }
}
