//! Phones that register: each holds one binding of its user, says so, says so again, or asks what is there. A phone with a
//! secret answers the first challenge and uses its nonce again and again, with a rising count (RFC 7616 3.3). Sans-IO.

use std::io::Write;
use std::net::SocketAddr;

use memchr::memmem;
use serde::Serialize;

use super::digest::{Algorithm, Credentials, nonce_of};
use super::tally::Tally;
use crate::io::Address;
use crate::message::{Message, Start};
use crate::outgoing::{LaneName, Outgoing};
use crate::timers::{Timers, retransmit_lane};

/// The domain of all users, and the realm of their secrets.
pub(crate) const DOMAIN: &str = "example.com";
const URI: &str = "sip:example.com";
/// Challenges answered for one registration: the second is for a nonce that has gone stale.
const PROOFS_MAX: u8 = 2;

/// The name of a user.
pub(crate) fn user_name(user: u32) -> String {
    format!("u{user:07}")
}

/// Its secret.
pub(crate) fn secret_of(user: &str) -> String {
    format!("secret-{user}")
}

/// What phones want to know or have known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Errand {
    /// To be registered, anew or still.
    Register,
    /// What is registered (RFC 3261 10.2.3); no contact at all is a failure.
    Query,
}

/// What a turn of the phones works with.
pub(crate) struct Turn<'a> {
    pub(crate) now_ns: u64,
    pub(crate) out: &'a mut [Outgoing],
    pub(crate) tally: &'a mut Tally,
}

#[derive(Clone, Default)]
struct Phone {
    cseq: u32,
    /// Copies of the request under way; 0: none is.
    copies: u32,
    /// Challenges answered since it began.
    proofs: u8,
    /// Uses of the nonce.
    count: u32,
    nonce: Option<Box<[u8]>>,
    /// When it should have begun.
    begun_ns: u64,
}

/// A copy that may have to be followed by another.
struct Sent {
    phone: u32,
    cseq: u32,
    copies: u32,
}

/// All phones of a run.
pub(crate) struct Phones {
    phones: Vec<Phone>,
    /// Phones of one user.
    contacts: u32,
    run: String,
    target: Address,
    locals: Vec<SocketAddr>,
    algorithm: Option<Algorithm>,
    errand: Errand,
    next: u32,
    live: usize,
    timers: Timers<Sent>,
}

impl Phones {
    /// Phones that are silent yet: `contacts` of each user, on these sockets in turn.
    pub(crate) fn new(
        run: String,
        target: SocketAddr,
        locals: Vec<SocketAddr>,
        (count, contacts): (u32, u32),
        algorithm: Option<Algorithm>,
    ) -> Phones {
        Phones {
            phones: vec![Phone::default(); count as usize],
            contacts: contacts.max(1),
            run,
            target: target.into(),
            locals,
            algorithm,
            errand: Errand::Register,
            next: 0,
            live: 0,
            timers: Timers::new(0),
        }
    }

    /// Phones with a request under way.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// From now on they do this.
    pub(crate) fn send_on(&mut self, errand: Errand) {
        self.errand = errand;
        self.next = 0;
    }

    /// The phone whose turn it is begins; the one `step` further is the next.
    pub(crate) fn start(&mut self, scheduled_ns: u64, step: u32, turn: &mut Turn<'_>) {
        let index = self.next;
        self.next = (index + step) % self.phones.len().max(1) as u32;
        turn.tally.attempts += 1;
        let phone = &mut self.phones[index as usize];
        if phone.copies > 0 {
            turn.tally.fail("still under way", 1);
            return;
        }
        phone.begun_ns = scheduled_ns;
        phone.proofs = 0;
        phone.count += u32::from(phone.nonce.is_some());
        self.live += 1;
        self.send_anew(index, turn);
    }

    fn send_anew(&mut self, index: u32, turn: &mut Turn<'_>) {
        let phone = &mut self.phones[index as usize];
        phone.cseq += 1;
        phone.copies = 0;
        self.send(index, turn);
    }

    fn send(&mut self, index: u32, turn: &mut Turn<'_>) {
        let phone = &mut self.phones[index as usize];
        phone.copies += 1;
        let (cseq, copies) = (phone.cseq, phone.copies);
        if let Some(lane) = retransmit_lane(copies, true) {
            let sent = Sent {
                phone: index,
                cseq,
                copies,
            };
            self.timers.arm(turn.now_ns, lane, sent);
        }
        let socket = index as usize % self.locals.len();
        turn.out[socket].push(LaneName::First, self.target, |out| self.print(index, out));
    }

    /// Appends the phone's present request. Vec takes whatever is written: no write fails.
    fn print(&self, index: u32, out: &mut Vec<u8>) {
        let phone = &self.phones[index as usize];
        let user = user_name(index / self.contacts);
        let local = self.locals[index as usize % self.locals.len()];
        let (run, cseq) = (&self.run, phone.cseq);
        let _ = write!(
            out,
            "REGISTER {URI} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{run}-{index:x}-{cseq}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag={run}\r\n\
             To: <sip:{user}@{DOMAIN}>\r\n\
             Call-ID: {run}-{index:08x}@bench\r\n\
             CSeq: {cseq} REGISTER\r\n"
        );
        if self.errand == Errand::Register {
            let line = index % self.contacts;
            let _ = write!(out, "Contact: <sip:{user}-{line}@{local}>;expires=7200\r\n");
        }
        if let (Some(algorithm), Some(nonce)) = (self.algorithm, &phone.nonce) {
            let credentials = Credentials {
                algorithm,
                user: &user,
                realm: DOMAIN,
                secret: &secret_of(&user),
                uri: URI,
                nonce,
                count: phone.count,
            };
            credentials.print(out);
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// An answer: to the request under way it ends it, a challenge aside.
    pub(crate) fn receive(&mut self, message: &Message<'_>, bytes: &[u8], turn: &mut Turn<'_>) {
        let Start::Response(code) = message.start else {
            turn.tally.unexpected += 1;
            return;
        };
        let Some((index, phone)) = self.named_by(message) else {
            turn.tally.unexpected += 1;
            return;
        };
        if phone.copies == 0 || cseq_of(message) != Some(phone.cseq) {
            turn.tally.late += 1;
            return;
        }
        match code {
            100..=199 => {}
            200 => self.done(index, message, turn),
            401 if phone.proofs < PROOFS_MAX && self.take_challenge(index, bytes) => {
                turn.tally.challenges += 1;
                self.send_anew(index, turn);
            }
            _ => {
                turn.tally.fail(format!("answered {code}"), 1);
                self.rest(index);
            }
        }
    }

    fn named_by(&self, message: &Message<'_>) -> Option<(u32, &Phone)> {
        let text = message.call_id.strip_prefix(self.run.as_bytes())?;
        let digits = std::str::from_utf8(text.get(1..9)?).ok()?;
        let index = u32::from_str_radix(digits, 16).ok()?;
        Some((index, self.phones.get(index as usize)?))
    }

    fn take_challenge(&mut self, index: u32, answer: &[u8]) -> bool {
        let nonce = self.algorithm.and_then(|it| nonce_of(answer, it));
        let Some(nonce) = nonce else { return false };
        let phone = &mut self.phones[index as usize];
        phone.nonce = Some(nonce.into());
        phone.count = 1;
        phone.proofs += 1;
        true
    }

    fn done(&mut self, index: u32, message: &Message<'_>, turn: &mut Turn<'_>) {
        let own = format!("sip:{}-", user_name(index / self.contacts));
        if memmem::find(message.contact, own.as_bytes()).is_some() {
            let begun_ns = self.phones[index as usize].begun_ns;
            turn.tally.answer(begun_ns, turn.now_ns);
        } else {
            turn.tally.fail("no contact of the user in the 200", 1);
        }
        self.rest(index);
    }

    fn rest(&mut self, index: u32) {
        self.phones[index as usize].copies = 0;
        self.live -= 1;
    }

    /// Sends again what was not answered; after 64*T1 it has failed (timers E and F, RFC 3261 17.1.2.2).
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some(sent) = self.timers.expire(turn.now_ns) {
            let phone = &self.phones[sent.phone as usize];
            if phone.copies != sent.copies || phone.cseq != sent.cseq {
                continue;
            }
            if retransmit_lane(sent.copies + 1, true).is_none() {
                turn.tally.fail("no answer", 1);
                self.rest(sent.phone);
            } else {
                turn.tally.retransmissions += 1;
                self.send(sent.phone, turn);
            }
        }
    }

    /// Gives up what is under way, each a failure.
    pub(crate) fn abandon(&mut self, tally: &mut Tally) {
        tally.fail("no answer before the end", self.live as u64);
        self.phones.iter_mut().for_each(|phone| phone.copies = 0);
        self.live = 0;
    }
}

fn cseq_of(message: &Message<'_>) -> Option<u32> {
    let line = std::str::from_utf8(message.cseq_line).ok()?;
    let value = line.split_once(':')?.1;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    struct Lab {
        phones: Phones,
        out: Vec<Outgoing>,
        tally: Tally,
    }

    impl Lab {
        fn new(count: u32, contacts: u32, algorithm: Option<Algorithm>) -> Lab {
            let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
            let locals = vec![address(1), address(2)];
            let run = "run".to_owned();
            Lab {
                phones: Phones::new(run, address(9), locals, (count, contacts), algorithm),
                out: vec![Outgoing::new(false), Outgoing::new(false)],
                tally: Tally::new(),
            }
        }

        fn turn(
            &mut self,
            now_ns: u64,
            what: impl FnOnce(&mut Phones, &mut Turn<'_>),
        ) -> Vec<String> {
            let mut turn = Turn {
                now_ns,
                out: &mut self.out,
                tally: &mut self.tally,
            };
            what(&mut self.phones, &mut turn);
            let sent = self.out.iter_mut().flat_map(Outgoing::take);
            sent.map(|it| String::from_utf8(it).unwrap()).collect()
        }

        fn start(&mut self) -> String {
            self.turn(0, |phones, turn| phones.start(0, 1, turn))
                .remove(0)
        }

        fn answer(&mut self, request: &str, status: &str, headers: &str) -> Vec<String> {
            let echoed = request.lines().filter(|line| {
                ["Via", "From", "To", "Call-ID", "CSeq"]
                    .iter()
                    .any(|name| line.starts_with(name))
            });
            let echoed: String = echoed.map(|line| format!("{line}\r\n")).collect();
            let answer = format!("SIP/2.0 {status}\r\n{echoed}{headers}\r\n");
            self.turn(1_000, |phones, turn| {
                let message = Message::parse(answer.as_bytes()).unwrap();
                phones.receive(&message, answer.as_bytes(), turn);
            })
        }
    }

    fn line<'a>(message: &'a str, name: &str) -> &'a str {
        message
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or("")
    }

    #[test]
    fn a_nonce_is_used_again_with_a_rising_count() {
        let mut lab = Lab::new(1, 1, Some(Algorithm::Md5));
        let first = lab.start();
        assert_eq!(line(&first, "Authorization:"), "");
        let challenge =
            "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\"\r\n";
        let proved = lab.answer(&first, "401 Unauthorized", challenge).remove(0);
        assert_eq!(line(&proved, "CSeq: "), "2 REGISTER");
        assert!(
            line(&proved, "Authorization:").ends_with("nc=00000001"),
            "{proved}"
        );
        let told = "Contact: <sip:u0000000-0@127.0.0.1:1>;expires=7200\r\n";
        assert!(lab.answer(&proved, "200 OK", told).is_empty());
        let again = lab.start();
        assert!(
            line(&again, "Authorization:").ends_with("nc=00000002"),
            "{again}"
        );
        lab.answer(&again, "200 OK", told);
        assert_eq!(
            (lab.tally.answered(), lab.tally.failed, lab.tally.challenges),
            (2, 0, 1)
        );
        assert_eq!(lab.phones.live(), 0);
    }

    #[test]
    fn a_wrong_secret_ends_after_its_challenges() {
        let mut lab = Lab::new(1, 1, Some(Algorithm::Md5));
        let mut request = lab.start();
        let challenge = "WWW-Authenticate: Digest nonce=\"abc\"\r\n";
        for _ in 0..PROOFS_MAX {
            request = lab
                .answer(&request, "401 Unauthorized", challenge)
                .remove(0);
        }
        assert!(
            lab.answer(&request, "401 Unauthorized", challenge)
                .is_empty()
        );
        assert_eq!(lab.tally.failures["answered 401"], 1);
    }

    #[test]
    fn phones_of_one_user_have_contacts_of_their_own() {
        let mut lab = Lab::new(3, 2, None);
        let sent = [lab.start(), lab.start(), lab.start()];
        let contacts = sent
            .each_ref()
            .map(|it| line(it, "Contact: ").split('@').next().unwrap());
        assert_eq!(
            contacts,
            ["<sip:u0000000-0", "<sip:u0000000-1", "<sip:u0000001-0"]
        );
        let ids: std::collections::BTreeSet<_> =
            sent.iter().map(|it| line(it, "Call-ID: ")).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn a_200_without_the_contact_is_a_failure_of_a_query() {
        let mut lab = Lab::new(1, 1, None);
        lab.phones.send_on(Errand::Query);
        let query = lab.start();
        assert!(!query.contains("Contact:"), "{query}");
        lab.answer(&query, "200 OK", "Contact: <sip:other@127.0.0.1>\r\n");
        assert_eq!((lab.tally.answered(), lab.tally.failed), (0, 1));
    }

    #[test]
    fn silence_is_met_with_copies_and_then_counted() {
        let mut lab = Lab::new(1, 1, None);
        let first = lab.start();
        let mut copies = 0;
        for half in 1..=65 {
            let sent = lab.turn(half * SECOND / 2, |phones, turn| {
                phones.handle_timeout(turn)
            });
            assert!(sent.iter().all(|copy| *copy == first));
            copies += sent.len();
        }
        assert_eq!(
            (copies as u64, lab.phones.live()),
            (lab.tally.retransmissions, 0)
        );
        assert_eq!(lab.tally.failures["no answer"], 1);
    }

    #[test]
    fn an_answer_to_a_copy_counts_once() {
        let mut lab = Lab::new(1, 1, None);
        let request = lab.start();
        let told = "Contact: <sip:u0000000-0@127.0.0.1:1>\r\n";
        lab.answer(&request, "200 OK", told);
        lab.answer(&request, "200 OK", told);
        assert_eq!((lab.tally.answered(), lab.tally.late), (1, 1));
    }
}
