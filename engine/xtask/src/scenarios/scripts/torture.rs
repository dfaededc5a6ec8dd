//! The messages of RFC 4475 and RFC 5118, one by one: what each is answered, whether it reaches the callee,
//! or that nothing comes of it, with the words of the RFC that ask for it.

use super::{CALLEE_TAG, Stage};
use crate::agent::Agent;
use crate::failure::{Failure, check};
use crate::sip::Message;
use crate::torture;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What becomes of a message.
#[derive(Clone, Copy)]
enum Then {
    /// The router answers so.
    Answered(u16),
    /// The callee gets it, with its body, and its answer comes back.
    Relayed,
    /// Nobody hears of it, and the router answers the next request.
    Dropped,
}
use Then::{Answered, Dropped, Relayed};

/// Section, name, reaction, and why in the RFC's words or those of RFC 3261.
type Row = (&'static str, &'static str, Then, &'static str);

/// The router is no registrar: RFC 3261 8.2.1, 21.4.6.
const NO_REGISTRAR: &str = "\"parsers must accept this message\"; no registrar here: 3261 8.2.1";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("4475 3.1.1.1", "wsinv", Answered(481), "well-formed; its To tag names no dialog: 3261 12.2.2"),
    ("4475 3.1.1.2", "intmeth", Answered(501), "\"unusual, but legal\"; an unknown method: 3261 21.5.2"),
    ("4475 3.1.1.3", "esc01", Relayed, "\"well-formed\" escapes, which are not undone"),
    ("4475 3.1.1.4", "escnull", Answered(405), NO_REGISTRAR),
    ("4475 3.1.1.5", "esc02", Answered(501), "\"the request method is unknown. It is NOT equivalent to REGISTER\""),
    ("4475 3.1.1.6", "lwsdisp", Relayed, "no white space before < is well-formed; OPTIONS to a user: 3261 11"),
    ("4475 3.1.1.7", "longreq", Relayed, "\"legal and well-formed\", 34 Vias, each longer than usual"),
    ("4475 3.1.1.8", "dblreq", Answered(405), "\"handle the REGISTER normally and ignore the extra bits that look like an INVITE\""),
    ("4475 3.1.1.9", "semiuri", Answered(200), "the semicolon is of the user; OPTIONS: 3261 11.2"),
    ("4475 3.1.1.10", "transports", Relayed, "all transports in Via, known or not; OPTIONS to a user: 3261 11"),
    ("4475 3.1.1.11", "mpart01", Answered(404), "well-formed; a MESSAGE to nobody's number here"),
    ("4475 3.1.1.12", "unreason", Dropped, "well-formed; a response to nothing we sent: 3261 18.1.2"),
    ("4475 3.1.1.13", "noreason", Dropped, "well-formed; a response to nothing we sent: 3261 18.1.2"),
    ("4475 3.1.2.1", "badinv01", Answered(400), "\"should respond with a 400\""),
    ("4475 3.1.2.2", "clerr", Answered(400), "\"over UDP the receiving element should respond with a 400\""),
    ("4475 3.1.2.3", "ncl", Answered(400), "\"should respond with an error\""),
    ("4475 3.1.2.4", "scalar02", Answered(400), "\"should respond with a 400 due to the CSeq error\""),
    ("4475 3.1.2.5", "scalarlg", Dropped, "\"will simply discard it\""),
    ("4475 3.1.2.6", "quotbal", Answered(400), "\"should return a 400\""),
    ("4475 3.1.2.7", "ltgtruri", Answered(400), "\"reasonable always to reject with a 400\""),
    ("4475 3.1.2.8", "lwsruri", Answered(400), "\"should respond with a 400\""),
    ("4475 3.1.2.9", "lwsstart", Answered(400), "\"acceptable to reject this request as malformed\""),
    ("4475 3.1.2.10", "trws", Answered(400), "\"acceptable to reject this request as malformed\""),
    ("4475 3.1.2.11", "escruri", Answered(400), "\"acceptable to reject with a 400\""),
    ("4475 3.1.2.12", "baddate", Relayed, "an element \"shouldn't [reject] unless the Date were important to its processing\""),
    ("4475 3.1.2.13", "regbadct", Answered(405), "\"reasonable to respond with a 400\", by who reads Contact: no registrar here"),
    ("4475 3.1.2.14", "badaspec", Answered(400), "\"reasonable to reject with a 400\""),
    ("4475 3.1.2.15", "baddn", Answered(400), "\"reasonable always to reject with a 400\""),
    ("4475 3.1.2.16", "badvers", Answered(505), "\"should respond with a 505\""),
    ("4475 3.1.2.17", "mismatch01", Answered(400), "\"will respond with a 400\""),
    ("4475 3.1.2.18", "mismatch02", Answered(400), "\"should respond with a 501. A 400 is also acceptable\""),
    ("4475 3.1.2.19", "bigcode", Dropped, "\"should simply drop it\""),
    ("4475 3.2.1", "badbranch", Relayed, "\"could fall back to the RFC 2543-style transaction identifier\""),
    ("4475 3.3.1", "insuf", Answered(400), "\"ideally, it will respond with a 400\""),
    ("4475 3.3.2", "unkscm", Answered(416), "\"will reject it with a 416\""),
    ("4475 3.3.3", "novelsc", Answered(416), "\"appropriate to treat it as unknown and return a 416\""),
    ("4475 3.3.4", "unksm2", Answered(405), "\"syntactically valid\"; no registrar here: 3261 8.2.1"),
    ("4475 3.3.5", "bext01", Answered(420), "\"any element receiving this request will respond with a 420\""),
    ("4475 3.3.6", "invut", Relayed, "\"would process it just as it would any other INVITE\""),
    ("4475 3.3.7", "regaut01", Answered(405), NO_REGISTRAR),
    ("4475 3.3.8", "multi01", Answered(400), "\"would respond with a 400\""),
    ("4475 3.3.9", "mcl01", Answered(400), "\"should respond with an error\""),
    ("4475 3.3.10", "bcast", Dropped, "\"an endpoint receiving this message should simply discard it\""),
    ("4475 3.3.11", "zeromf", Answered(200), "\"an endpoint should process the request as if Max-Forwards were still positive\""),
    ("4475 3.3.12", "cparam01", Answered(405), NO_REGISTRAR),
    ("4475 3.3.13", "cparam02", Answered(405), NO_REGISTRAR),
    ("4475 3.3.14", "regescrt", Answered(405), NO_REGISTRAR),
    ("4475 3.3.15", "sdp01", Relayed, "what can be answered is the callee's matter: Accept passes"),
    ("4475 3.4.1", "inv2543", Answered(400), "only for those \"that want backwards compatibility\"; without Contact: 3261 8.1.1.8"),
    ("5118 4.1", "ipv6-good", Answered(405), NO_REGISTRAR),
    ("5118 4.2", "ipv6-bad", Answered(400), "\"should respond with a 400\""),
    ("5118 4.3", "port-ambiguous", Answered(405), "well-formed, its port part of the address; no registrar here"),
    ("5118 4.4", "port-unambiguous", Answered(405), "\"well formatted\"; no registrar here: 3261 8.2.1"),
    ("5118 4.5", "via-received-param-with-delim", Answered(481), "both spellings are to be accepted; a BYE to no dialog: 3261 15.1.2"),
    ("5118 4.5", "via-received-param-no-delim", Answered(200), "both spellings are to be accepted; OPTIONS: 3261 11.2"),
    ("5118 4.6", "ipv6-in-sdp", Answered(400), "\"valid\", but its Content-Length is more than the body shown: 3261 18.3"),
    ("5118 4.7", "mult-ip-in-header", Answered(481), "\"valid and well-formed\"; a BYE to no dialog: 3261 15.1.2"),
    ("5118 4.8", "mult-ip-in-sdp", Relayed, "\"valid and well-formed\""),
    ("5118 4.9", "ipv4-mapped-ipv6", Relayed, "\"must be prepared to parse it successfully\""),
    ("5118 4.10", "ipv6-bug-abnf-3-colons", Answered(400), "three colons are an address only by the grammar's mistake"),
    ("5118 4.10", "ipv6-correct-abnf-2-colons", Relayed, "\"the correct construct\"; OPTIONS to a user: 3261 11"),
];

/// How long the callee is listened to for what should not come.
const SILENCE: Duration = Duration::from_millis(300);

/// Each message has its reaction. Then 10,000 random datagrams; then a call succeeds.
pub(super) fn torture(stage: &Stage<'_>) -> Result<(), Failure> {
    let files = torture::files()?;
    check(files.len() == TABLE.len(), || {
        format!("{} files, {} rows", files.len(), TABLE.len())
    })?;
    one_by_one(stage, &files)?;
    super::rubbish::random_datagrams(stage)?;
    stage.establish()?.hang_up()
}

fn one_by_one(stage: &Stage<'_>, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    let callee = stage.callee()?;
    let mut wrong = Vec::new();
    for &(section, name, then, why) in TABLE {
        let found = files.get(name).ok_or_else(|| no_file(name))?;
        let played = Sender::new(stage, name, found)?.play(&callee, then);
        wrong.extend(
            played
                .err()
                .map(|it| format!("{section} {name} ({why}): {it}")),
        );
    }
    let more = callee.receive(SILENCE)?;
    wrong.extend(more.map(|more| format!("the callee got {:?}, too", more.start)));
    check(wrong.is_empty(), || wrong.join("\n"))
}

fn no_file(name: &str) -> Failure {
    Failure::Check(format!("there is no {name}.dat"))
}

/// One message and the socket its top Via tells responses to go to, at an address of nobody else's.
struct Sender {
    agent: Agent,
    name: &'static str,
    bytes: Vec<u8>,
    sent: Message,
}

impl Sender {
    fn new(stage: &Stage<'_>, name: &'static str, file: &[u8]) -> Result<Sender, Failure> {
        let bytes = told_apart(name, file);
        let text = String::from_utf8_lossy(&bytes).replace("SIP/7.0", "SIP/2.0");
        let sent = Message::parse(&text).ok_or_else(|| no_file(name))?;
        let host = std::process::id().to_be_bytes();
        let ip: IpAddr = Ipv4Addr::new(127, 44, host[2], host[3].max(1)).into();
        let address = (ip, sent_by_port(sent.header("Via"))).into();
        let agent = Agent::bind_at(name, address, stage.router.address)?;
        Ok(Sender {
            agent,
            name,
            bytes,
            sent,
        })
    }

    fn play(&self, callee: &Agent, then: Then) -> Result<(), Failure> {
        self.agent.send_bytes(&self.bytes)?;
        match then {
            Answered(code) => self.expect(code).map(drop),
            Relayed => self.expect_relayed(callee),
            Dropped => self.expect_nothing(),
        }
    }

    fn expect(&self, code: u16) -> Result<Message, Failure> {
        let answer = self
            .agent
            .expect(&format!("the answer to {}", self.name), |m| {
                m.header("Call-ID") == self.sent.header("Call-ID") && m.code() >= Some(200)
            })?;
        check(answer.code() == Some(code), || {
            format!("got {:?}, not {code}", answer.start)
        })?;
        let same_cseq = answer.header("CSeq") == self.sent.header("CSeq");
        check(same_cseq, || {
            format!("answered CSeq {:?}", answer.header("CSeq"))
        })?;
        Ok(answer)
    }

    fn expect_relayed(&self, callee: &Agent) -> Result<(), Failure> {
        let method = self.sent.start.split(' ').next().unwrap_or_default();
        let seen = callee.expect_request(method)?;
        let kind = self.sent.header("Content-Type");
        check(seen.header("Content-Type") == kind, || {
            format!("{kind:?} did not pass")
        })?;
        let empty = seen.body.is_empty() != self.sent.body.is_empty();
        let whole = !empty && self.sent.body.starts_with(&seen.body);
        check(whole, || format!("the body became {:?}", seen.body))?;
        callee.answer(&seen, 486, CALLEE_TAG, "")?;
        if method == "INVITE" {
            callee.expect_request("ACK")?;
        }
        self.expect(486).map(drop)
    }

    /// An OPTIONS behind it with the same Call-ID is worked off by the same shard, and after it.
    fn expect_nothing(&self) -> Result<(), Failure> {
        let mut options = self.agent.request("OPTIONS", "");
        options.call_id = self.sent.header("Call-ID").to_owned();
        self.agent.send(&options)?;
        let first = self
            .agent
            .expect("an answer", |m| m.header("Call-ID") == options.call_id)?;
        check(first.branch() == options.branch, || {
            format!("got {:?}", first.start)
        })
    }
}

/// Where responses over UDP go (RFC 3261 18.2.2).
fn sent_by_port(via: &str) -> u16 {
    let sent_by = via.split([';', ',']).next().unwrap_or_default();
    let (_, after) = sent_by.rsplit_once(':').unwrap_or_default();
    after.trim().parse().unwrap_or(5060)
}

/// RFC 5118 uses one branch and one Call-ID for most of its requests, and three of RFC 4475 have the branch
/// and sent-by of an earlier one: what comes second with them would be a retransmission.
fn told_apart(name: &str, file: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(file) else {
        return file.to_vec();
    };
    let text = match name {
        "novelsc" | "regescrt" | "cparam02" => {
            text.replace("z9hG4bKkdjuw", &format!("z9hG4bK-{name}"))
        }
        _ => text.replace("z9hG4bKas3-111", &format!("z9hG4bKas3-{name}")),
    };
    text.replace("9559905523997077", &format!("95-{name}"))
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_row() {
        let files = torture::files().unwrap();
        let rows: Vec<_> = TABLE.iter().map(|row| row.1.to_owned()).collect();
        assert_eq!(rows.len(), files.len());
        assert!(rows.iter().all(|row| files.contains_key(row)));
        assert!(TABLE.iter().all(|row| !row.3.is_empty()));
    }

    #[test]
    fn responses_go_to_the_port_of_the_via() {
        assert_eq!(
            sent_by_port("SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z"),
            6050
        );
        assert_eq!(sent_by_port("SIP/2.0/UDP [2001:db8::9:1];branch=z"), 5060);
        assert_eq!(sent_by_port("SIP/2.0/UDP host;branch=z:1"), 5060);
    }
}
