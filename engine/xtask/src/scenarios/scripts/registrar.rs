//! Phones that register, each said by hand: what their 200 tells, what is refused, what another shard knows, and how a
//! flow is kept open. The router is registrar of example.com with the users alice, bob and carol.

use super::Stage;
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::time::{Duration, Instant};

/// Alice's instance, as her phone writes it.
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
/// So many Call-IDs that, with two shards, all but surely both have some.
const CALL_IDS: u32 = 16;

/// A phone of alice's. Its Call-ID stays, its CSeq rises.
struct Phone {
    agent: Agent,
    call_id: String,
    cseq: u32,
}

impl Phone {
    fn new(stage: &Stage<'_>, call_id: &str) -> Result<Phone, Failure> {
        Ok(Phone {
            agent: stage.caller()?,
            call_id: call_id.to_owned(),
            cseq: 0,
        })
    }

    /// Its Contact, without parameters.
    fn contact(&self) -> String {
        format!("<sip:alice@{}>", self.agent.address)
    }

    fn register(&mut self, headers: &str) -> Request {
        self.cseq += 1;
        Request {
            uri: "sip:example.com".into(),
            from: "<sip:alice@example.com>;tag=alice".into(),
            to: "<sip:alice@example.com>".into(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            extra: headers.to_owned(),
            ..self.agent.request("REGISTER", "")
        }
    }

    /// Sends a REGISTER whose only Contacts are in these header lines, and waits for this answer.
    fn send(&mut self, headers: &str, code: u16) -> Result<Message, Failure> {
        let register = self.register(headers);
        self.send_as(&register, code)
    }

    fn send_as(&self, register: &Request, code: u16) -> Result<Message, Failure> {
        let own = format!(
            "Contact: <sip:{}@{}>\r\n",
            self.agent.name(),
            self.agent.address
        );
        let text = self.agent.print(register).replace(&own, "");
        self.agent.send_bytes(text.as_bytes())?;
        self.agent.expect_answer(register, code)
    }
}

/// What an answer lists must be these Contact values, `expires` aside when they name none.
fn lists(answer: &Message, expected: &[String]) -> Result<(), Failure> {
    let told: Vec<&str> = answer.all("Contact").collect();
    let alike = told.len() == expected.len()
        && told
            .iter()
            .zip(expected)
            .all(|(told, expected)| told.starts_with(expected.as_str()));
    check(alike, || format!("{told:?}, not {expected:?}"))
}

/// RFC 3261 10.2: added, refreshed, asked for, removed one by one and by `*`.
pub(super) fn lifecycle(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "lifecycle")?;
    let own = phone.contact();
    let other = "<sip:alice@192.0.2.9:5060>".to_owned();
    let added = phone.send(&format!("Contact: {own};q=0.5\r\n"), 200)?;
    lists(&added, &[format!("{own};q=0.5;expires=3600")])?;
    let both = phone.send(&format!("Contact: {other}\r\nExpires: 600\r\n"), 200)?;
    lists(
        &both,
        &[format!("{own};q=0.5"), format!("{other};expires=600")],
    )?;
    let refreshed = phone.send(&format!("Contact: {own};expires=1200\r\n"), 200)?;
    check(
        refreshed
            .all("Contact")
            .any(|it| it == format!("{own};expires=1200")),
        || format!("refreshed: {:?}", refreshed.headers),
    )?;
    check(phone.send("", 200)?.all("Contact").count() == 2, || {
        "not both".into()
    })?;
    let left = phone.send(&format!("Contact: {own};expires=0\r\n"), 200)?;
    lists(&left, &[other])?;
    phone.send("Contact: *\r\nExpires: 10\r\n", 400)?;
    lists(&phone.send("Contact: *\r\nExpires: 0\r\n", 200)?, &[])?;
    lists(&phone.send("", 200)?, &[])
}

/// What is refused, and that it changes nothing.
pub(super) fn refusals(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "refusals")?;
    let contact = phone.contact();
    let brief = phone.send(&format!("Contact: {contact};expires=5\r\n"), 423)?;
    check(brief.header("Min-Expires") == "60", || {
        format!("{:?}", brief.headers)
    })?;
    let three = format!("Contact: {contact}, <sip:alice@192.0.2.1>, <sip:alice@192.0.2.2>\r\n");
    phone.send(&three, 403)?;
    let mut stranger = phone.register(&format!("Contact: {contact}\r\n"));
    stranger.to = "<sip:mallory@example.com>".into();
    phone.send_as(&stranger, 404)?;
    let mut elsewhere = phone.register(&format!("Contact: {contact}\r\n"));
    elsewhere.uri = "sip:example.net".into();
    phone.send_as(&elsewhere, 405)?;
    let asked = phone.send("Require: path, nothing\r\n", 420)?;
    check(asked.header("Unsupported") == "nothing", || {
        format!("{:?}", asked.headers)
    })?;
    lists(&phone.send("", 200)?, &[])?;
    phone.cseq = 100;
    phone.send(&format!("Contact: {contact}\r\n"), 200)?;
    phone.cseq = 50;
    phone.send(&format!("Contact: {contact};expires=0\r\n"), 500)?;
    phone.cseq = 200;
    lists(&phone.send("", 200)?, &[contact])
}

/// A binding ends in the second it was to end, and not before.
pub(super) fn expiry(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "expiry")?;
    let contact = phone.contact();
    let asked = Instant::now();
    phone.send(&format!("Contact: {contact};expires=2\r\n"), 200)?;
    let given = Instant::now();
    loop {
        let began = Instant::now();
        let listed = phone.send("", 200)?.all("Contact").count();
        if listed == 0 {
            let lived = given.elapsed();
            return check(
                asked.elapsed() >= Duration::from_secs(2) && lived < Duration::from_secs(3),
                || format!("it lived for {lived:?}"),
            );
        }
        // It was there when the router looked, which was after it was asked.
        check(began < given + Duration::from_secs(2), || {
            "it is still there".into()
        })?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// RFC 3327, 3608, 5626: a Path is kept and told, with the Service-Route; a flow of the edge proxy's is told by Require.
pub(super) fn path(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "path")?;
    let contact = format!("{};{INSTANCE};reg-id=1", phone.contact());
    let path = "Path: <sip:edge.example.com;lr;ob>\r\n";
    phone.send(&format!("Contact: {contact}\r\n{path}"), 420)?;
    let supported = "Supported: path, outbound\r\n";
    let answer = phone.send(&format!("Contact: {contact}\r\n{path}{supported}"), 200)?;
    for (name, value) in [
        ("Path", "<sip:edge.example.com;lr;ob>"),
        ("Service-Route", "<sip:home.example.com;lr>"),
        ("Require", "outbound"),
    ] {
        check(answer.header(name) == value, || {
            format!("{name}: {:?}", answer.header(name))
        })?;
    }
    lists(&answer, &[contact])
}

/// RFC 5627 5.2: a public GRUU, always the same, and a temporary one, always another.
pub(super) fn gruu(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "gruu")?;
    let headers = format!(
        "Contact: {};{INSTANCE}\r\nSupported: gruu\r\n",
        phone.contact()
    );
    let public =
        "pub-gruu=\"sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
    let mut temporary = Vec::new();
    for _ in 0..2 {
        let answer = phone.send(&headers, 200)?;
        let contact = answer.header("Contact").to_owned();
        check(contact.contains(public), || contact.clone())?;
        let (_, rest) = contact.split_once("temp-gruu=\"").unwrap_or_default();
        let (uri, _) = rest.split_once('"').unwrap_or_default();
        check(
            uri.starts_with("sip:tgruu.") && uri.ends_with("@example.com;gr"),
            || contact.clone(),
        )?;
        temporary.push(uri.to_owned());
    }
    check(temporary[0] != temporary[1], || "the same twice".into())
}

/// What one shard was told is known to the other before the 200 leaves: asked under many Call-IDs, always the same.
pub(super) fn every_shard_knows(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut phone = Phone::new(stage, "shards")?;
    let contact = phone.contact();
    for round in 0..CALL_IDS {
        let expires = 100 + round;
        phone.send(&format!("Contact: {contact};expires={expires}\r\n"), 200)?;
        let mut asks = Phone::new(stage, &format!("shards-{round}"))?;
        let told = asks.send("", 200)?;
        // A second may have passed.
        let fresh = [expires, expires - 1].map(|left| format!("{contact};expires={left}"));
        let listed: Vec<&str> = told.all("Contact").collect();
        check(
            listed.len() == 1 && fresh.iter().any(|it| it == listed[0]),
            || format!("round {round}: {listed:?}"),
        )?;
    }
    let mut other = Phone::new(stage, "shards-other")?;
    lists(&other.send("Contact: *\r\nExpires: 0\r\n", 200)?, &[])?;
    lists(&phone.send("", 200)?, &[])
}

/// RFC 5626 8: a STUN Binding request on the SIP port is told where it came from; a CRLF gets nothing.
pub(super) fn stun(stage: &Stage<'_>) -> Result<(), Failure> {
    let machine = || Failure::machine("a socket for STUN");
    let socket = std::net::UdpSocket::bind((stage.caller_ip, 0)).map_err(machine())?;
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).map_err(machine())?;
    let port = socket.local_addr().map_err(machine())?.port();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(b"keeps-a-flow");
    for ping in [b"\r\n\r\n".as_slice(), &request] {
        socket
            .send_to(ping, stage.router.address)
            .map_err(machine())?;
    }
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).map_err(machine())?;
    let hidden = port ^ 0x2112;
    let answer = &buffer[..length];
    let told = answer.len() == 32
        && answer[..2] == [1, 1]
        && answer[8..20] == request[8..20]
        && answer[26..28] == hidden.to_be_bytes();
    check(told, || format!("answered {answer:02x?}"))
}
