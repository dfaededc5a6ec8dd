//! `EchoResponder`: calls whose callee is the router. It rings, answers, and sends back what it hears.
//!
//! Here are the call and what it says when it begins; its ACKs and its end are in `ending`, requests
//! inside it in `requests`, its descriptions in `session`. Nothing here waits for anybody but the caller.

mod ending;
mod probe;
mod requests;
mod session;

use std::time::Duration;

use media::{End, Family, StreamId};
use stack::dialog::Dialog;
use stack::timer::TimerKey;
use stack::{Flow, Outbox, ServerId, Time, Token};
use wire::sdp::{Session, print_address};
use wire::{HeaderName, Message, print};

use self::session::{Choice, Unusable};
use crate::call::{Reason, Refusal, refusal};
use crate::calls::CallId;
use crate::core::{Core, Purpose, User};
use crate::local;
use crate::rdb::Record;
use crate::steer::no_ports;

/// The methods served in such a call.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO";

/// A 2xx to an INVITE whose ACK is awaited.
#[derive(Clone, Copy, Debug)]
struct Open {
    server: ServerId,
    cseq: u32,
    /// The offer was in the 2xx, the answer will be in the ACK.
    offered: bool,
}

/// A call to the router itself.
#[derive(Debug)]
pub(crate) struct EchoCall {
    id: CallId,
    shard: u8,
    /// The random part of our tag.
    secret: u64,
    dialog: Dialog,
    /// Our listener and the caller's address, as last seen.
    peer: Flow,
    open: Option<Open>,
    stream: Option<(StreamId, Family)>,
    /// Index of the stream's m= line.
    line: usize,
    /// Names our session, together with our address (RFC 8866 5.2).
    session_id: u64,
    version: u64,
    /// What we last said of our session, from behind the o= line.
    described: Vec<u8>,
    max_duration: Option<Duration>,
    alarm: Option<TimerKey>,
    /// When the caller is asked next whether its dialog still lives.
    probe: Option<TimerKey>,
    /// It is over but for the ACK of a 2xx or the answer to our BYE.
    ending: bool,
    /// Our BYE waits for the ACK of the 2xx (RFC 3261 15).
    owed_bye: Option<Reason>,
    /// Our BYE waits for its answer.
    bye_sent: bool,
}

/// The session description of a request; `None` when it has no body.
fn description<'a>(request: &Message<'a>) -> Result<Option<&'a [u8]>, Refusal> {
    if request.body().is_empty() {
        return Ok(None);
    }
    // RFC 3261 8.2.3: a body of another kind cannot be ignored.
    let description = request.session_description();
    description.map(Some).ok_or_else(|| Refusal {
        extra: b"Accept: application/sdp\r\n".to_vec(),
        ..Refusal::code(415)
    })
}

/// RFC 3261 8.2.2.3: an end that knows no extension.
fn check_required(request: &Message<'_>) -> Result<(), Refusal> {
    let required: Vec<&[u8]> = request.values(HeaderName::Require).collect();
    if required.is_empty() {
        return Ok(());
    }
    let mut extra = Vec::new();
    print::header(&mut extra, "Unsupported", &required.join(b", ".as_slice()));
    Err(Refusal {
        extra,
        ..Refusal::code(420)
    })
}

/// RFC 3261 21.4.26.
fn not_acceptable(core: &Core, source: Flow, why: Unusable) -> Refusal {
    let (code, text) = why.warning();
    Refusal {
        extra: local::warning(&core.door(source.listener).host_port, code, text),
        ..Refusal::code(488)
    }
}

/// Beginning.
impl EchoCall {
    /// Answers the INVITE: 100, 180 and 200.
    ///
    /// # Errors
    /// The answer to an INVITE that makes no call; nothing was sent or opened then.
    #[expect(clippy::too_many_arguments, reason = "an INVITE and its surroundings")]
    pub(crate) fn start(
        core: &mut Core,
        now: Time,
        id: CallId,
        source: Flow,
        server: ServerId,
        request: &Message<'_>,
        record: &Record,
        out: &mut Outbox,
    ) -> Result<EchoCall, Refusal> {
        check_required(request)?;
        if ![Family::V4, Family::V6]
            .iter()
            .any(|&family| core.media.serves(family))
        {
            let blocked = no_ports(core);
            return Err(refusal(core, blocked, source.listener, true));
        }
        let cseq = request.cseq()?.number;
        let offer = description(request)?;
        let offer = read(core, source, offer)?;
        let mut call = EchoCall::new(core, id, source, request, record)?;
        if let Err(refusal) = call.describe(core, now, offer.as_ref()) {
            call.release(core);
            return Err(refusal);
        }
        core.counters.calls_started += 1;
        core.counters.calls_echoed += 1;
        call.try_first(core, now, server, out);
        call.ring(core, now, server, out);
        call.accept(core, now, server, cseq, offer.is_none(), out);
        call.dialog.confirm();
        core.counters.calls_answered += 1;
        Ok(call)
    }

    fn new(
        core: &mut Core,
        id: CallId,
        source: Flow,
        request: &Message<'_>,
        record: &Record,
    ) -> Result<EchoCall, Refusal> {
        let secret = core.random.next_u64();
        let tag = id.token(core.shard, secret).tag_text();
        let dialog = Dialog::uas(request, &tag, &mut core.pool)?;
        Ok(EchoCall {
            id,
            shard: core.shard,
            secret,
            dialog,
            peer: source,
            open: None,
            stream: None,
            line: 0,
            // RFC 8866 5.2: a number of 63 bits is one to every reader.
            session_id: core.random.next_u64() >> 1,
            version: 1,
            described: Vec::new(),
            max_duration: record.max_duration,
            alarm: None,
            probe: None,
            ending: false,
            owed_bye: None,
            bye_sent: false,
        })
    }

    /// The 100 that the transaction would send by itself if the answer took its time; callers of test
    /// numbers look for it. RFC 3261 8.2.6.1: no tag, and nothing but the head.
    fn try_first(&self, core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
        if !core.timers.stack.trying.is_zero() {
            let end = |out: &mut Vec<u8>| print::end(out, b"");
            core.transactions
                .respond(now, server, 100, b"", None, end, out);
        }
    }

    fn ring(&self, core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
        let tag = self.tag();
        let door = core.doors.of(self.peer.listener);
        let rest = |out: &mut Vec<u8>| {
            door.print_contact(out, &tag);
            print::end(out, b"");
        };
        core.transactions
            .respond(now, server, 180, b"", Some(&tag.tag_text()), rest, out);
    }

    /// The 2xx of an INVITE, with what is described.
    fn accept(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        cseq: u32,
        offered: bool,
        out: &mut Outbox,
    ) {
        self.answer(core, now, server, true, out);
        self.open = Some(Open {
            server,
            cseq,
            offered,
        });
        let user = User {
            call: self.id,
            purpose: Purpose::Invite,
        };
        core.transactions.set_server_user(server, user);
    }

    /// A 200 with our Contact and, when asked for, our description.
    fn answer(
        &self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        described: bool,
        out: &mut Outbox,
    ) {
        let body = if described {
            self.description(core)
        } else {
            Vec::new()
        };
        let tag = self.tag();
        let name = core.server_name.as_deref();
        let door = core.doors.of(self.peer.listener);
        let rest = |out: &mut Vec<u8>| {
            door.print_contact(out, &tag);
            print::header(out, "Allow", ALLOW.as_bytes());
            print::header(out, "Accept", b"application/sdp");
            if let Some(name) = name {
                print::header(out, "Server", name.as_bytes());
            }
            if !body.is_empty() {
                print::header(out, "Content-Type", b"application/sdp");
            }
            print::end(out, &body);
        };
        core.transactions
            .respond(now, server, 200, b"", Some(&tag.tag_text()), rest, out);
    }
}

/// Media.
impl EchoCall {
    /// Takes an offer, or makes one: opens the stream and puts our description together.
    fn describe(
        &mut self,
        core: &mut Core,
        now: Time,
        offer: Option<&(Session<'_>, Choice)>,
    ) -> Result<(), Refusal> {
        let mut text = Vec::with_capacity(256);
        if let Some((offer, choice)) = offer {
            self.open_stream(core, now, choice.family)?;
            self.hear(core, now, choice);
            if let Some(local) = self.local(core) {
                session::print_answer(&mut text, offer, choice, &local);
            }
        } else if self.described.is_empty() {
            let family = core.media_family(self.peer.remote.ip());
            self.open_stream(core, now, family)?;
            if let Some(local) = self.local(core) {
                session::print_offer(&mut text, &local);
            }
        } else {
            session::print_offer_again(&mut text, &self.described);
        }
        // RFC 3264 8: the version goes up when something else has changed.
        if !self.described.is_empty() && self.described != text {
            self.version += 1;
        }
        self.described = text;
        Ok(())
    }

    /// A stream of this family, the one there is when it fits.
    fn open_stream(&mut self, core: &mut Core, now: Time, family: Family) -> Result<(), Refusal> {
        if self.stream.is_some_and(|(_, of)| of == family) {
            return Ok(());
        }
        let latching = core.peers.of(self.peer.remote.ip()).latching;
        let owner = self.id.owner();
        let Some(stream) = core.media.open_echo(now, owner, family, latching) else {
            let (blocked, first) = (no_ports(core), self.described.is_empty());
            return Err(refusal(core, blocked, self.peer.listener, first));
        };
        self.close_stream(core, now);
        self.stream = Some((stream, family));
        Ok(())
    }

    /// What the caller says of its stream.
    fn hear(&mut self, core: &mut Core, now: Time, choice: &Choice) {
        self.line = choice.line;
        if let Some((stream, _)) = self.stream {
            core.media
                .set_remote(now, stream, End::Caller, &choice.remote);
        }
    }

    fn local(&self, core: &Core) -> Option<media::Local> {
        core.media.local(self.stream?.0, End::Caller)
    }

    /// Our whole description.
    fn description(&self, core: &Core) -> Vec<u8> {
        let mut text = Vec::with_capacity(64 + self.described.len());
        let (id, version) = (self.session_id, self.version);
        text.extend_from_slice(format!("v=0\r\no=- {id} {version} ").as_bytes());
        if let Some(local) = self.local(core) {
            print_address(&mut text, local.address);
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&self.described);
        text
    }

    fn close_stream(&mut self, core: &mut Core, now: Time) {
        if let Some((stream, _)) = self.stream.take() {
            core.end_stream(now, stream, &self.tag().tag_text(), self.line);
        }
    }
}

/// Identity.
impl EchoCall {
    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    pub(crate) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Our listener and the caller's address, as last seen.
    pub(crate) fn peer(&self) -> Flow {
        self.peer
    }

    /// Its stream, with the index of its m= line.
    pub(crate) fn streams(&self) -> Vec<(usize, StreamId)> {
        let stream = self.stream.map(|(stream, _)| (self.line, stream));
        stream.into_iter().collect()
    }

    /// Our tag, and the user of our Contact.
    pub(crate) fn tag(&self) -> Token {
        self.id.token(self.shard, self.secret)
    }

    /// Whether an in-dialog request belongs here: our tag, the Call-ID and the caller's tag must all be
    /// those of the dialog (RFC 3261 12.2.2).
    pub(crate) fn owns(&self, request: &Message<'_>, tag: &Token) -> bool {
        self.tag() == *tag
            && self.dialog.remote_tag() == request.from_tag().unwrap_or_default()
            && self.dialog.call_id() == request.call_id()
    }

    /// Gives back everything the call holds.
    pub(crate) fn release(mut self, core: &mut Core) {
        core.disarm(&mut self.alarm);
        core.disarm(&mut self.probe);
        self.dialog.release(&mut core.pool);
    }
}

/// A description and the stream of it that is taken.
fn read<'a>(
    core: &Core,
    source: Flow,
    description: Option<&'a [u8]>,
) -> Result<Option<(Session<'a>, Choice)>, Refusal> {
    let Some(description) = description else {
        return Ok(None);
    };
    let session = Session::parse(description).map_err(|error| Refusal {
        phrase: error.to_string(),
        ..Refusal::code(400)
    })?;
    let serves = |family| core.media.serves(family);
    let choice = session::choose(&session, serves);
    let choice = choice.map_err(|why| not_acceptable(core, source, why))?;
    Ok(Some((session, choice)))
}
