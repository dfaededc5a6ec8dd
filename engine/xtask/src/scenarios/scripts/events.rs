//! A phone subscribes to what the router knows of its user, and what changes it is seen to arrive: a registration, a count
//! of messages told over HTTP, a publication. The router is registrar of example.com with the users alice, bob and carol.

use super::Stage;
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// So many publishers and watchers that, with two shards, all but surely both have some of each.
const PHONES: u32 = 8;
/// The router tells changes no sooner after each other.
const PACE: Duration = Duration::from_millis(1_100);
const HTTP_PATIENCE: Duration = Duration::from_secs(5);

/// A request of one user for another.
fn asked(agent: &Agent, method: &'static str, users: [&str; 2], extra: String) -> Request {
    let [from, to] = users.map(|user| format!("sip:{user}@example.com"));
    let request = agent.request(method, "");
    Request {
        from: format!("<{from}>;tag={}", request.branch),
        to: format!("<{to}>"),
        uri: to,
        extra,
        ..request
    }
}

/// A subscription of a phone of its own.
struct Subscribed {
    agent: Agent,
    asked: Request,
    granted: Message,
    first: Message,
}

fn subscribe(stage: &Stage<'_>, users: [&str; 2], event: &str) -> Result<Subscribed, Failure> {
    let agent = stage.caller()?;
    let extra = format!("Event: {event}\r\nExpires: 300\r\n");
    let asked = asked(&agent, "SUBSCRIBE", users, extra);
    agent.send(&asked)?;
    let granted = agent.expect_answer(&asked, 200)?;
    check(granted.header("Expires") == "300", || {
        format!("{:?}", granted.headers)
    })?;
    let first = agent.expect_request("NOTIFY")?;
    agent.answer(&first, 200, "", "")?;
    state_is(&first, "active;expires=")?;
    check(first.header("Event") == event, || {
        format!("{:?}", first.headers)
    })?;
    Ok(Subscribed {
        agent,
        asked,
        granted,
        first,
    })
}

fn state_is(notify: &Message, state: &str) -> Result<(), Failure> {
    let told = notify.header("Subscription-State");
    check(told.starts_with(state), || format!("{told}, not {state}"))
}

fn says(notify: &Message, text: &str) -> Result<(), Failure> {
    check(notify.body.contains(text), || {
        format!("no {text} in {}", notify.body)
    })
}

impl Subscribed {
    /// The NOTIFY behind this one.
    fn next(&self, earlier: &Message) -> Result<Message, Failure> {
        let notify = self.agent.expect_next("NOTIFY", earlier)?;
        self.agent.answer(&notify, 200, "", "")?;
        Ok(notify)
    }

    /// Subscribes for no longer; the last NOTIFY.
    fn end(&self, last: &Message) -> Result<(), Failure> {
        let mut end = self
            .agent
            .in_dialog("SUBSCRIBE", &self.asked, &self.granted);
        end.extra = self.asked.extra.replace("300", "0");
        self.agent.send(&end)?;
        self.agent.expect_answer(&end, 200)?;
        state_is(&self.next(last)?, "terminated;reason=timeout")
    }
}

/// RFC 3680: the contact that another phone of the user registers and removes.
pub(super) fn reg(stage: &Stage<'_>) -> Result<(), Failure> {
    let watcher = subscribe(stage, ["alice", "alice"], "reg")?;
    says(&watcher.first, "state=\"init\"")?;
    let phone = stage.callee()?;
    let mut last = watcher.first.clone();
    for (cseq, expires, event) in [(1, 600, "registered"), (2, 0, "unregistered")] {
        std::thread::sleep(PACE);
        let mut register = asked(
            &phone,
            "REGISTER",
            ["alice", "alice"],
            format!("Expires: {expires}\r\n"),
        );
        register.uri = "sip:example.com".into();
        (register.call_id, register.cseq) = ("events-reg".into(), cseq);
        phone.send(&register)?;
        phone.expect_answer(&register, 200)?;
        last = watcher.next(&last)?;
        says(&last, &format!("event=\"{event}\""))?;
        says(
            &last,
            &format!("<uri>sip:{}@{}</uri>", phone.name(), phone.address),
        )?;
    }
    watcher.end(&last)?;
    let stranger = asked(
        &phone,
        "SUBSCRIBE",
        ["bob", "alice"],
        "Event: reg\r\n".into(),
    );
    phone.send(&stranger)?;
    phone.expect_answer(&stranger, 403).map(drop)
}

/// RFC 3842: what is told over HTTP is told to the phones.
pub(super) fn message_waiting(stage: &Stage<'_>) -> Result<(), Failure> {
    let phones: Result<Vec<_>, _> = (0..PHONES)
        .map(|_| subscribe(stage, ["alice", "alice"], "message-summary"))
        .collect();
    let phones = phones?;
    std::thread::sleep(PACE);
    let body = r#"{"waiting":true,"voice":{"new":2,"old":8}}"#;
    let answer = put(stage, "/api/v1/mwi/example.com/alice", body)?;
    check(answer.starts_with("HTTP/1.1 200 "), || answer.clone())?;
    for phone in &phones {
        says(&phone.first, "Messages-Waiting: no")?;
        let notify = phone.next(&phone.first)?;
        says(&notify, "Messages-Waiting: yes")?;
        says(&notify, "Voice-Message: 2/8")?;
        phone.end(&notify)?;
    }
    let answer = put(stage, "/api/v1/mwi/example.com/mallory", body)?;
    check(answer.starts_with("HTTP/1.1 404 "), || answer.clone())
}

/// The API listens, over TCP, where the callee would over UDP.
fn put(stage: &Stage<'_>, path: &str, body: &str) -> Result<String, Failure> {
    let machine = || Failure::machine("no answer from the API");
    let mut stream = TcpStream::connect(stage.callee).map_err(machine())?;
    stream
        .set_read_timeout(Some(HTTP_PATIENCE))
        .map_err(machine())?;
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        stage.callee,
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(machine())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(machine())?;
    Ok(answer)
}

/// RFC 3903: what a user publishes on one shard is told by all of them, and changed on any.
pub(super) fn publish(stage: &Stage<'_>) -> Result<(), Failure> {
    let watchers: Result<Vec<_>, _> = (0..PHONES)
        .map(|_| subscribe(stage, ["bob", "alice"], "presence"))
        .collect();
    let watchers = watchers?;
    let mut last: Vec<Message> = watchers.iter().map(|it| it.first.clone()).collect();
    let mut tag = String::new();
    for (note, expires) in [("open", "300"), ("away", "300"), ("", "0")] {
        std::thread::sleep(PACE);
        let extra = format!("Event: presence\r\nExpires: {expires}\r\n{tag}");
        let body = match note {
            "" => String::new(),
            note => format!("<presence><note>{note}</note></presence>"),
        };
        let answer = published(stage, extra, body)?;
        tag = format!("SIP-If-Match: {}\r\n", answer.header("SIP-ETag"));
        for (watcher, last) in watchers.iter().zip(&mut last) {
            *last = watcher.next(last)?;
            says(last, if note.is_empty() { "entity=" } else { note })?;
        }
    }
    let phone = stage.callee()?;
    let extra = format!("Event: presence\r\n{tag}");
    let late = asked(&phone, "PUBLISH", ["alice", "alice"], extra);
    phone.send(&late)?;
    phone.expect_answer(&late, 412).map(drop)
}

/// Each from a phone, and with a Call-ID, of its own.
fn published(stage: &Stage<'_>, extra: String, body: String) -> Result<Message, Failure> {
    let phone = stage.caller()?;
    let request = Request {
        body,
        ..asked(&phone, "PUBLISH", ["alice", "alice"], extra)
    };
    let text = phone.print(&request);
    let text = text.replace("application/sdp", "application/pidf+xml");
    phone.send_bytes(text.as_bytes())?;
    phone.expect_answer(&request, 200)
}
