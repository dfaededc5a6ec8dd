//! The application server in front of the routing DB: whose calls go to it, and whether it lives. One
//! shard asks it with OPTIONS (RFC 3261 11) and tells the others; each refuses calls while it is down.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{Message, Method, Uri, print};

use crate::call::{ACCEPT, Call, MAX_FORWARDS, Reason, Refusal, Setup};
use crate::calls::{CallId, Calls};
use crate::config::Event;
use crate::core::{Core, Door, Proxy, Purpose, User};
use crate::outbound::{ApplicationServer, Outbound, Probed};
use crate::rdb::Record;
use crate::target::{Addressed, HostText, host_port, ip_text};

/// What a shard knows of the application server.
#[derive(Debug)]
pub(crate) struct Server {
    settings: ApplicationServer,
    host: HostText,
    host_port: HostText,
    up: bool,
    watch: Option<Watch>,
}

/// How the one shard that asks keeps the time.
#[derive(Debug)]
struct Watch {
    every: Duration,
    due: Time,
    waiting: Option<ClientId>,
    failures: u32,
}

impl Server {
    /// A server that counts as up until it has failed. The first shard asks it, at once.
    pub(crate) fn new(settings: ApplicationServer, shard: u8, now: Time) -> Server {
        let every = settings.keep_alive.filter(|_| shard == 0);
        let watch = every.map(|every| Watch {
            every,
            due: now,
            waiting: None,
            failures: 0,
        });
        let host = ip_text(settings.address.ip());
        Server {
            host_port: host_port(&host, Some(settings.address.port())),
            host,
            up: true,
            watch,
            settings,
        }
    }

    fn is_up(&self) -> bool {
        self.up
    }

    /// When it is to be asked next, by this shard.
    pub(crate) fn due(&self) -> Option<Time> {
        self.watch.as_ref().map(|watch| watch.due)
    }

    /// Takes note of what a question came to; whether that changes the server's state.
    fn note(&mut self, probed: Probed) -> bool {
        let Some(watch) = &mut self.watch else {
            return false;
        };
        watch.waiting = None;
        watch.failures = match probed.is_alive() {
            true => 0,
            false => watch.failures.saturating_add(1),
        };
        let failed = watch.failures >= self.settings.failures.max(1);
        let up = probed.is_alive() || self.up && !failed;
        std::mem::replace(&mut self.up, up) != up
    }

    fn waits_for(&self, client: ClientId) -> bool {
        let waiting = self.watch.as_ref().and_then(|watch| watch.waiting);
        waiting == Some(client)
    }
}

impl Core {
    /// Whether calls may go to the application server; yes without one.
    pub(crate) fn application_server_is_up(&self) -> bool {
        self.application_server.as_ref().is_none_or(Server::is_up)
    }

    /// What the shard that asks has found out.
    pub(crate) fn set_application_server(&mut self, up: bool) {
        if let Some(server) = &mut self.application_server {
            server.up = up;
        }
    }

    /// Other ways for new calls; a server that stays the same keeps its state.
    pub(crate) fn set_outbound(&mut self, now: Time, outbound: &Outbound) {
        self.proxy = outbound.proxy.map(Proxy::new);
        let wanted = outbound.application_server.as_ref();
        if wanted
            != self
                .application_server
                .as_ref()
                .map(|server| &server.settings)
        {
            let fresh =
                |settings: &ApplicationServer| Server::new(settings.clone(), self.shard, now);
            self.application_server = wanted.map(fresh);
        }
    }
}

/// Whether a call from `source` is for the application server.
pub(crate) fn takes(core: &Core, source: Flow) -> bool {
    let server = core.application_server.as_ref();
    server.is_some_and(|server| !server.settings.is_source(source.remote))
}

/// Whether this is an address of the application server.
pub(crate) fn sends_from(core: &Core, source: SocketAddr) -> bool {
    let server = core.application_server.as_ref();
    server.is_some_and(|server| server.settings.is_source(source))
}

/// Starts a call towards the application server: the user stays, the host becomes the server's. No
/// routing record has a say in it.
#[expect(clippy::too_many_arguments, reason = "an INVITE and its surroundings")]
pub(crate) fn start_call(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    source: Flow,
    invite: ServerId,
    request: &Message<'_>,
    uri: &Uri<'_>,
    out: &mut Outbox,
) -> Result<Call, Refusal> {
    let addressed = addressed(core, (request.request_uri(), uri))?;
    let id = calls.reserve().ok_or_else(|| Refusal::code(503))?;
    let setup = Setup {
        id,
        request,
        source,
        server: invite,
        record: &Record::default(),
        request_uri: &addressed.request_uri,
        host: &addressed.host,
        destination: addressed.destination,
        through_proxy: addressed.through_proxy,
        found: None,
    };
    Call::start(core, now, setup, out)
}

/// A request to this URI, which is written so, goes to the server, unless that is down.
pub(crate) fn addressed(core: &mut Core, uri: (&[u8], &Uri<'_>)) -> Result<Addressed, Refusal> {
    match &core.application_server {
        Some(server) if server.up => {
            let written = (server.host.clone(), server.host_port.clone());
            Ok(Addressed::at(server.settings.address, written, uri))
        }
        _ => Err(down(core)),
    }
}

fn down(core: &mut Core) -> Refusal {
    core.counters.calls_refused_down += 1;
    let mut extra = core.retry_after();
    extra.extend_from_slice(Reason::sip(503, "Application Server Down").as_bytes());
    Refusal {
        extra,
        ..Refusal::code(503)
    }
}

/// Asks the server when that is due. A question that is not answered by then has failed.
pub(crate) fn handle_timeout(core: &mut Core, now: Time, out: &mut Outbox) {
    let watch = core.application_server.as_mut();
    let watch = watch.and_then(|server| server.watch.as_mut());
    let Some(watch) = watch.filter(|watch| watch.due <= now) else {
        return;
    };
    watch.due = now + watch.every;
    if let Some(client) = watch.waiting {
        core.transactions.fail(now, client);
        conclude(core, Probed::NoAnswer);
    }
    let sent = ask(core, now, out);
    core.counters.application_server_probes += u64::from(sent.is_some());
    let server = core.application_server.as_mut();
    if let Some(watch) = server.and_then(|server| server.watch.as_mut()) {
        watch.waiting = sent;
    }
}

/// An answer to a question.
pub(crate) fn on_answer(core: &mut Core, client: ClientId, code: u16) {
    if code >= 200 {
        on_outcome(core, client, Probed::Answered(code));
    }
}

/// What became of a question; one that was given up, or asked of a former server, tells nothing.
pub(crate) fn on_outcome(core: &mut Core, client: ClientId, probed: Probed) {
    let server = core.application_server.as_ref();
    if server.is_some_and(|server| server.waits_for(client)) {
        conclude(core, probed);
    }
}

fn conclude(core: &mut Core, probed: Probed) {
    core.counters.application_server_probes_failed += u64::from(!probed.is_alive());
    let Some(server) = &mut core.application_server else {
        return;
    };
    let changed = server.note(probed);
    core.events.push_back(Event::ApplicationServer {
        address: server.settings.address,
        up: server.up,
        change: changed.then_some(probed),
    });
}

/// Sends OPTIONS; `None` when no transaction is free or no listener fits.
fn ask(core: &mut Core, now: Time, out: &mut Outbox) -> Option<ClientId> {
    let remote = core.application_server.as_ref()?.settings.address;
    let listener = core.listener_for(remote.ip(), 0)?;
    let names = [core.own_tag(), core.own_tag()];
    let server = core.application_server.as_ref()?;
    let door = core.doors.of(listener);
    let user = User {
        call: CallId::NONE,
        purpose: Purpose::KeepAlive,
    };
    let print = |out: &mut Vec<u8>, branch: &Token| {
        let uri = [b"sip:", server.host_port.as_slice()].concat();
        print_options(out, door, (&uri, b""), &names, branch);
    };
    let flow = Flow { listener, remote };
    core.transactions
        .request(now, flow, Method::Options, user, print, out)
}

/// RFC 3261 11.1, outside any dialog. The Call-ID names this shard, so that the answer comes here.
/// `routes` are complete header lines.
pub(crate) fn print_options(
    out: &mut Vec<u8>,
    door: &Door,
    (uri, routes): (&[u8], &[u8]),
    [call_id, tag]: &[Token; 2],
    branch: &Token,
) {
    print::request_line(out, b"OPTIONS", uri);
    door.print_via(out, branch);
    out.extend_from_slice(routes);
    out.extend_from_slice(b"Max-Forwards: ");
    print::number(out, MAX_FORWARDS.into());
    out.extend_from_slice(b"\r\nFrom: <sip:");
    out.extend_from_slice(&door.host_port);
    out.extend_from_slice(b">;tag=");
    tag.print_tag(out);
    out.extend_from_slice(b"\r\nTo: <");
    out.extend_from_slice(uri);
    out.extend_from_slice(b">\r\nCall-ID: ");
    call_id.print_call_id(out);
    out.extend_from_slice(b"\r\nCSeq: 1 OPTIONS\r\nContact: <sip:");
    out.extend_from_slice(&door.host_port);
    out.extend_from_slice(b">\r\n");
    out.extend_from_slice(ACCEPT);
    print::end(out, b"");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(shard: u8, failures: u32) -> Server {
        let settings = ApplicationServer {
            address: "10.0.0.5:5060".parse().expect("an address"),
            sources: Vec::new(),
            keep_alive: Some(Duration::from_secs(10)),
            failures,
        };
        Server::new(settings, shard, Time::ZERO)
    }

    #[test]
    fn it_goes_down_with_the_last_failure_and_up_with_the_first_answer() {
        let mut server = server(0, 3);
        let outcomes = [
            (Probed::NoAnswer, true),
            (Probed::Unreachable, true),
            (Probed::Answered(404), true),
            (Probed::NoAnswer, true),
            (Probed::Answered(503), true),
            (Probed::NoAnswer, false),
            (Probed::NoAnswer, false),
            (Probed::Answered(200), true),
            (Probed::NoAnswer, true),
        ];
        for (step, (probed, up)) in outcomes.into_iter().enumerate() {
            let before = server.is_up();
            assert_eq!(server.note(probed), before != up, "step {step}");
            assert_eq!(server.is_up(), up, "step {step}");
        }
    }

    #[test]
    fn no_failures_allowed_is_one() {
        let mut server = server(0, 0);
        assert!(server.note(Probed::Unreachable));
        assert!(!server.is_up());
    }

    #[test]
    fn only_the_first_shard_asks_and_it_asks_at_once() {
        assert_eq!(server(0, 1).due(), Some(Time::ZERO));
        assert_eq!(server(1, 1).due(), None);
    }
}
