//! The first INVITE: from the caller's request and its route to our request towards the callee.

use std::net::IpAddr;

use stack::dialog::{Dialog, DialogError};
use stack::{ClientId, Flow, Outbox, ServerId, Time, Token, Transactions};
use wire::{Message, Method, Uri};

use super::early::{self, EarlyFinal};
use super::forked::Abilities;
use super::media::refusal;
use super::offers::Offers;
use super::print::{self, Request};
use super::session_timer::Sessions;
use super::{Call, Leg, Rung, Stage, Terms, Text, Within, changes};
use crate::admission::entrance;
use crate::calls::CallId;
use crate::core::{Alarm, Core, Destination, Purpose, Side, User, Waiting};
use crate::headers::POLICY;
use crate::identity::{ANONYMOUS_PARTY, Trust, Veil};
use crate::names::Names;
use crate::peers;
use crate::rdb::{CallFlow, Record};
use crate::steer::{Crossed, Steering};
use crate::transfer::OtherEnd;

/// An INVITE, or a request outside any dialog, that has a route.
pub(crate) struct Setup<'a, 'm> {
    pub(crate) id: CallId,
    pub(crate) request: &'a Message<'m>,
    pub(crate) source: Flow,
    pub(crate) server: ServerId,
    pub(crate) record: &'a Record,
    /// The Request-URI towards the callee.
    pub(crate) request_uri: &'a [u8],
    /// Its host, for the To value.
    pub(crate) host: &'a [u8],
    pub(crate) destination: Destination,
    /// The outbound proxy is the first route (RFC 3261 8.1.2).
    pub(crate) through_proxy: bool,
    /// It is for the other end of a dialog that the INVITE names.
    pub(crate) found: Option<&'a OtherEnd>,
}

/// Why a call was not started: the answer to its INVITE.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    /// Reason phrase; the standard one when empty.
    pub(crate) phrase: String,
    /// Complete header lines.
    pub(crate) extra: Vec<u8>,
}

impl Refusal {
    pub(crate) fn code(code: u16) -> Refusal {
        Refusal {
            code,
            phrase: String::new(),
            extra: Vec::new(),
        }
    }

    /// 503 with Retry-After.
    pub(crate) fn at_limit(core: &mut Core) -> Refusal {
        Refusal {
            extra: core.retry_after(),
            ..Refusal::code(503)
        }
    }

    /// Code and phrase.
    pub(crate) fn status(&self) -> (u16, &str) {
        (self.code, &self.phrase)
    }
}

impl From<DialogError> for Refusal {
    fn from(error: DialogError) -> Refusal {
        Refusal {
            phrase: error.to_string(),
            ..Refusal::code(400)
        }
    }
}

impl From<wire::ParseError> for Refusal {
    fn from(error: wire::ParseError) -> Refusal {
        Refusal {
            phrase: error.reason().to_owned(),
            ..Refusal::code(error.code())
        }
    }
}

/// Where a request that has a route leaves from and goes to.
pub(crate) enum Way {
    Known(Flow),
    Waiting {
        name: String,
        port: u16,
        listener: u16,
    },
}

impl Way {
    pub(crate) fn find(
        core: &Core,
        destination: Destination,
        source: Flow,
    ) -> Result<Way, Refusal> {
        match destination {
            Destination::Known(remote) => {
                let listener = core.listener_for(remote.ip(), source.listener);
                let listener = listener.ok_or_else(|| Refusal::code(503))?;
                Ok(Way::Known(Flow { listener, remote }))
            }
            Destination::Waiting(name, port) => Ok(Way::Waiting {
                name,
                port,
                listener: source.listener,
            }),
            Destination::None => Err(Refusal::code(503)),
        }
    }

    /// Where it goes, when that is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Way::Known(flow) => Some(flow.remote.ip()),
            Way::Waiting { .. } => None,
        }
    }

    /// Whom the parties trust. Privacy that cannot be given, and must be, ends it here.
    fn trust(&self, core: &Core, setup: &Setup<'_, '_>) -> Result<Option<Trust>, Refusal> {
        let Some(trust) = Trust::of(core, setup.source.remote.ip(), self.address()) else {
            return Ok(None);
        };
        let steered = setup.record.steer_media;
        trust.veil(Side::Caller).check(setup.request, steered)?;
        Ok(Some(trust))
    }

    /// RFC 7339 5.10: refused without Retry-After when the server has asked for fewer requests.
    ///
    /// # Errors
    /// 503.
    pub(crate) fn check_load(
        &self,
        core: &mut Core,
        now: Time,
        source: Flow,
        request: &Message<'_>,
    ) -> Result<(), Refusal> {
        match self {
            Way::Known(flow) if entrance::withholds(core, now, source, flow.remote, request) => {
                Err(Refusal::code(503))
            }
            _ => Ok(()),
        }
    }

    /// Whether the server is asked to tell its load (RFC 7339 5.1); not while its address is unknown.
    pub(crate) fn speaks_of_overload(&self, core: &Core) -> bool {
        let address = self.address();
        address.is_some_and(|address| core.peers.speaks_of_overload(address))
    }

    /// The flow of the callee's leg; the caller's own until the name is resolved.
    pub(crate) fn flow(&self, source: Flow) -> Flow {
        match self {
            Way::Known(flow) => *flow,
            Way::Waiting { listener, .. } => Flow {
                listener: *listener,
                remote: source.remote,
            },
        }
    }

    /// Sends the request as `printed`, at once or when the name has an address; `None` when no transaction is
    /// free.
    pub(crate) fn send(
        &self,
        (transactions, names): (&mut Transactions<User>, &mut Names<Waiting>),
        now: Time,
        method: Method,
        user: User,
        printed: impl FnOnce(&mut Vec<u8>, &Token),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        match self {
            Way::Known(flow) => transactions.request(now, *flow, method, user, printed, out),
            Way::Waiting {
                name,
                port,
                listener,
            } => {
                let client = transactions.request_waiting(now, method, user, printed, out)?;
                let waiting = Waiting {
                    user,
                    client,
                    listener: *listener,
                    port: *port,
                };
                names.wait(name, waiting);
                Some(client)
            }
        }
    }
}

/// What a call has once its INVITE has left.
struct Begun {
    secrets: [u64; 2],
    /// The caller's and the callee's.
    dialogs: [Dialog; 2],
    client: ClientId,
    /// CSeq numbers of the caller's INVITE and of ours.
    cseqs: [u32; 2],
    steering: Option<Box<Steering>>,
    sessions: Option<Box<Sessions>>,
    trust: Option<Trust>,
}

impl Begun {
    fn into_call(self, shard: u8, setup: &Setup<'_, '_>, way: &Way) -> Call {
        let [caller, callee] = self.dialogs;
        let [invite_cseq, callee_cseq] = self.cseqs;
        Call {
            id: setup.id,
            shard,
            secrets: self.secrets,
            stage: Stage::Calling,
            caller: Leg {
                dialog: caller,
                peer: setup.source,
            },
            callee: Leg {
                dialog: callee,
                peer: way.flow(setup.source),
            },
            forks: Vec::new(),
            server: setup.server,
            client: self.client,
            invite_cseq,
            reinvite: None,
            terms: Terms::of(setup.record),
            rung: Rung::default(),
            alarm: None,
            no_18x: None,
            forks_over: None,
            bye_waiting: None,
            lingers: false,
            unacked: false,
            owed_bye: None,
            byes: 0,
            early: EarlyFinal::of(setup.record, setup.request),
            probe: None,
            steering: self.steering,
            referrals: None,
            handled: None,
            former: None,
            sessions: self.sessions,
            trust: self.trust,
            able: Abilities::of(setup.request),
            callee_cseq,
            reliable: None,
            offers: Offers::of(setup.server, setup.request.has_sdp()),
        }
    }
}

impl Call {
    /// Sends the INVITE to the callee.
    pub(crate) fn start(
        core: &mut Core,
        now: Time,
        setup: Setup<'_, '_>,
        out: &mut Outbox,
    ) -> Result<Call, Refusal> {
        let left = print::max_forwards(setup.request).ok_or_else(|| Refusal::code(483))?;
        let way = match setup.found {
            Some(found) => Way::Known(found.flow),
            None => Way::find(core, setup.destination.clone(), setup.source)?,
        };
        let mut sessions = Sessions::of(core, setup.request)?;
        let trust = way.trust(core, &setup)?;
        let veil = trust.map(|trust| trust.veil(Side::Caller));
        way.check_load(core, now, setup.source, setup.request)?;
        let secrets = [core.random.next_u64(), core.random.next_u64()];
        let [caller_tag, callee_tag] = secrets.map(|random| setup.id.token(core.shard, random));
        let invite_cseq = setup.request.cseq()?.number;

        let caller = Dialog::uas(setup.request, &caller_tag.tag_text(), &mut core.pool)?;
        let mut callee = match callee_dialog(core, &setup, &way, veil, &callee_tag) {
            Ok(dialog) => dialog,
            Err(error) => {
                caller.release(&mut core.pool);
                return Err(error.into());
            }
        };
        let steered = steer(core, now, &setup, &way, &caller_tag);
        let (steering, body) = match steered {
            Ok(steered) => steered,
            Err(refusal) => {
                caller.release(&mut core.pool);
                callee.release(&mut core.pool);
                return Err(refusal);
            }
        };
        let cseq = callee.next_cseq();
        let sent = send_invite(
            core,
            now,
            &setup,
            &way,
            &callee,
            cseq,
            &callee_tag,
            left,
            body.of(setup.request),
            sessions.as_deref_mut(),
            veil,
            out,
        );
        body.give_back(core);
        let Some(client) = sent else {
            if let Some(mut steering) = steering {
                steering.end(core, now);
            }
            caller.release(&mut core.pool);
            callee.release(&mut core.pool);
            core.limit_reached("transactions", core.limits.transactions);
            return Err(Refusal::at_limit(core));
        };
        core.counters.calls_started += 1;
        core.counters.forwarded += 1;
        let mut call = Begun {
            secrets,
            dialogs: [caller, callee],
            client,
            cseqs: [invite_cseq, cseq],
            steering,
            sessions,
            trust,
        }
        .into_call(core.shard, &setup, &way);
        if matches!(way, Way::Known(_)) {
            call.start_alarms(core, now);
        }
        let user = User {
            call: call.id,
            purpose: Purpose::Invite,
        };
        core.transactions.set_server_user(setup.server, user);
        Ok(call)
    }

    /// The times of the routing DB count from the INVITE that leaves, whatever the callee sends.
    fn start_alarms(&mut self, core: &mut Core, now: Time) {
        self.no_18x = core.arm(now, self.id, Alarm::No18x, self.terms.no_18x.get());
        self.alarm = match self.terms.no_answer.get() {
            Some(_) => core.arm(now, self.id, Alarm::NoAnswer, self.terms.no_answer.get()),
            None => core.arm(now, self.id, Alarm::Ringing, Some(core.timers.ringing)),
        };
    }

    /// Whether the INVITE has left, and does not wait for an address.
    pub(crate) fn callee_is_known(&self) -> bool {
        self.alarm.is_some()
    }

    /// The callee's name has an address: the INVITE leaves for it now. A call that was cancelled
    /// meanwhile has no INVITE to wait for.
    pub(crate) fn callee_found(&mut self, core: &mut Core, now: Time, flow: Flow) {
        self.callee.peer = flow;
        if let Some(account) = core.accounts.of(self.id) {
            account.seen_at(Side::Callee, flow.remote);
        }
        self.trust = self
            .trust
            .map(|trust| trust.with_callee(core, flow.remote.ip()));
        if let Some(steering) = &mut self.steering {
            steering.callee_found(core, flow.remote.ip());
        }
        if self.stage == Stage::Calling {
            self.start_alarms(core, now);
        }
    }
}

impl Terms {
    pub(super) fn of(record: &Record) -> Terms {
        Terms {
            no_answer: Within::of(record.no_answer),
            no_18x: Within::of(record.no_18x),
            max_duration: Within::of(record.max_duration),
            disallow_similar_18x: record.disallow_similar_18x,
            disallow_different_18x: record.disallow_different_18x,
        }
    }
}

/// The media of the call, when its route steers it, and the body of the INVITE that leaves.
fn steer(
    core: &mut Core,
    now: Time,
    setup: &Setup<'_, '_>,
    way: &Way,
    tag: &Token,
) -> Result<(Option<Box<Steering>>, Crossed), Refusal> {
    if !setup.record.steer_media {
        return Ok((None, Crossed::AsIs));
    }
    let flows = [setup.source, way.flow(setup.source)];
    let owner = setup.id.owner();
    let named = matches!(way, Way::Waiting { .. });
    let steering = Steering::new(core, owner, tag, setup.server, flows, named);
    let mut steering = Box::new(steering);
    let from = (Side::Caller, setup.source.remote.ip());
    match steering.cross(core, now, from, setup.server, setup.request, true) {
        Ok(body) => Ok((Some(steering), body)),
        Err(blocked) => Err(refusal(core, blocked, setup.source.listener, true)),
    }
}

/// The dialog towards the callee before its first answer (RFC 3261 12.1.2), with `tag` in Call-ID and From.
pub(crate) fn callee_dialog(
    core: &mut Core,
    setup: &Setup<'_, '_>,
    way: &Way,
    veil: Option<Veil>,
    tag: &Token,
) -> Result<Dialog, DialogError> {
    let mut call_id = core.scratch();
    tag.print_call_id(&mut call_id);
    let (mut local, mut remote) = (Text::new(), Text::new());
    let door = core.door(way.flow(setup.source).listener);
    let host = door.listener.advertise_host.as_bytes();
    let hidden = veil.is_some_and(|veil| veil.hides_from(setup.request));
    let from = if hidden {
        ANONYMOUS_PARTY
    } else {
        setup.request.from()?
    };
    print::party(&mut local, &from, host, Some(tag));
    let proxy = core.proxy.as_ref().filter(|_| setup.through_proxy);
    let mut routes = proxy.map_or(b"".as_slice(), |proxy| &proxy.route);
    match setup.found {
        // Its To is an address of ours, which may hold the tag of another leg.
        Some(found) => {
            routes = &found.routes;
            for piece in [b"<", &*found.target, b">"] {
                remote.extend_from_slice(piece);
            }
        }
        None => print::party(&mut remote, &setup.request.to()?, setup.host, None),
    }
    let target = setup.request_uri;
    let dialog = Dialog::uac_through(routes, &call_id, &local, &remote, target, &mut core.pool);
    core.return_scratch(call_id);
    dialog
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one request, used once"
)]
fn send_invite(
    core: &mut Core,
    now: Time,
    setup: &Setup<'_, '_>,
    way: &Way,
    dialog: &Dialog,
    cseq: u32,
    tag: &Token,
    max_forwards: u32,
    body: &[u8],
    sessions: Option<&mut Sessions>,
    veil: Option<Veil>,
    out: &mut Outbox,
) -> Option<ClientId> {
    let flow = way.flow(setup.source);
    let door = (core.doors).towards(flow.listener, way.speaks_of_overload(core));
    let user = User {
        call: setup.id,
        purpose: Purpose::Invite,
    };
    let hidden = veil.and_then(|veil| veil.hides(setup.request, setup.record.steer_media));
    let own = offered_by_router(core, setup.request, flow);
    let print = |out: &mut Vec<u8>, branch: &Token| {
        let request = Request {
            door,
            dialog,
            method: b"INVITE",
            cseq,
            branch,
            max_forwards,
        };
        let start = out.len();
        let (original, kept) = (setup.request, sessions.as_deref());
        if setup.record.flow == CallFlow::TransformEarlyToFinal {
            early::print_invite(&request, out, original, tag, kept, hidden.as_ref(), body);
        } else {
            let changes = changes::of_invite(original, kept, hidden.as_ref(), true, &POLICY);
            let (mut lines, policy) = changes.unwrap_or((Vec::new(), POLICY));
            lines.extend_from_slice(own);
            lines.extend_from_slice(setup.found.map_or(b"", |found| &found.line));
            request.print_passing(out, original, Some(tag), &lines, body, &policy);
        }
        if let Some(sessions) = sessions {
            sessions.keep_invite(out.get(start..).unwrap_or_default());
        }
    };
    let layers = (&mut core.transactions, &mut core.names);
    way.send(layers, now, Method::Invite, user, print, out)
}

/// The option that the router offers in its own name: RFC 3262 to a peer that is to have it from every
/// caller. An INVITE without an offer is answered by whoever PRACKs (RFC 3262 5), and so left alone.
fn offered_by_router(core: &Core, invite: &Message<'_>, callee: Flow) -> &'static [u8] {
    let wanted = core.peers.of(callee.remote.ip()).reliable == peers::Reliable::Offer;
    if wanted && invite.has_sdp() && !Abilities::of(invite).reliable {
        b"Supported: 100rel\r\n"
    } else {
        b""
    }
}

/// The Request-URI of the callee: the caller's with another user (when `user` is given) and host.
/// Parameters pass; a tel: URI becomes a sip: URI of the same number (RFC 3261 19.1.6).
pub(crate) fn request_uri(
    out: &mut Text,
    original: &[u8],
    uri: &Uri<'_>,
    user: Option<&[u8]>,
    host_port: &[u8],
) {
    out.extend_from_slice(b"sip:");
    match user {
        Some(b"") => {}
        Some(user) => {
            out.extend_from_slice(user);
            out.push(b'@');
        }
        None if matches!(uri.host, wire::Host::None) => {
            out.extend_from_slice(uri.user);
            out.push(b'@');
        }
        None => {
            let scheme = original
                .iter()
                .position(|&byte| byte == b':')
                .map_or(0, |at| at + 1);
            out.extend_from_slice(print::userinfo(original, scheme).unwrap_or_default());
        }
    }
    out.extend_from_slice(host_port);
    match uri.host {
        wire::Host::None => out.extend_from_slice(b";user=phone"),
        _ => out.extend_from_slice(uri.params),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri_of(original: &str, user: Option<&str>, host_port: &str) -> String {
        let uri = Uri::parse(original.as_bytes()).expect("a good URI");
        let mut out = Text::new();
        let user = user.map(str::as_bytes);
        request_uri(
            &mut out,
            original.as_bytes(),
            &uri,
            user,
            host_port.as_bytes(),
        );
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn the_request_uri_keeps_what_the_route_does_not_change() {
        for (original, user, expected) in [
            ("sip:100@router", None, "sip:100@b:5070"),
            (
                "sip:100@router:5060;user=phone",
                None,
                "sip:100@b:5070;user=phone",
            ),
            ("sip:j%40s0n:pw@router", None, "sip:j%40s0n:pw@b:5070"),
            ("sip:100@router;x=y", Some("200"), "sip:200@b:5070;x=y"),
            ("sip:100@router", Some(""), "sip:b:5070"),
            ("sip:router", None, "sip:b:5070"),
            ("tel:+1555", None, "sip:+1555@b:5070;user=phone"),
            ("tel:+1555", Some("777"), "sip:777@b:5070;user=phone"),
        ] {
            assert_eq!(
                uri_of(original, user, "b:5070"),
                expected,
                "{original} {user:?}"
            );
        }
    }
}
