//! What a party does beyond the plain call: answers of many sorts, one after the other, with the headers
//! that go with them; requests sent again after a challenge or a Retry-After; session timers (RFC 4028).

use std::time::Duration;

use stack::Time;

use super::callee::Ringing;
use super::client::Purpose;
use super::print::Body;
use super::{Agent, Alarm};
use crate::heard::Heard;

/// How often a party sends its requests again.
const RETRIES: u32 = 3;

/// What a party remembers of its manners.
#[derive(Debug)]
pub(super) struct Manners {
    next_answer: usize,
    retries: u32,
    /// The session interval it asks for, which a 422 raises.
    interval: Option<u32>,
}

impl Manners {
    pub(super) fn new(interval: Option<u32>) -> Manners {
        Manners {
            next_answer: 0,
            retries: RETRIES,
            interval,
        }
    }
}

/// Headers that go with an answer (RFC 3261 21).
pub(super) fn answer_headers(code: u16) -> &'static str {
    match code {
        302 => "Contact: <sip:elsewhere@192.0.2.77:5066>\r\n",
        401 => "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"\r\n",
        407 => "Proxy-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"\r\n",
        405 => "Allow: INVITE, ACK, CANCEL, BYE\r\n",
        413 | 480 | 500 | 503 | 600 => "Retry-After: 1\r\n",
        420 => "Unsupported: x-strange\r\n",
        _ => "",
    }
}

impl Agent {
    /// What the plan says of the next answer.
    pub(super) fn next_answer(&mut self) -> Option<u16> {
        let answers = &self.inside.answers;
        let code = answers.get(self.manners.next_answer % answers.len().max(1))?;
        self.manners.next_answer += 1;
        Some(*code)
    }

    /// Whether a request that was answered like this is worth another try, and after what time.
    pub(super) fn tries_again(&mut self, heard: &Heard) -> Option<Duration> {
        let after = match heard.code {
            401 | 407 => Duration::from_millis(5),
            422 => {
                self.manners.interval = self.manners.interval.max(heard.seconds("Min-SE"));
                Duration::ZERO
            }
            413 | 480 | 500 | 503 | 600 => {
                let seconds = heard.seconds("Retry-After")?;
                Duration::from_secs(seconds.min(4).into())
            }
            _ => return None,
        };
        let again = self.inside.retries && self.manners.retries > 0;
        self.manners.retries -= u32::from(again);
        again.then_some(after)
    }

    /// The lines of an INVITE or UPDATE of a party that knows session timers.
    pub(super) fn session_request(&self, method: &str) -> String {
        let interval = self.manners.interval.filter(|_| offers(method));
        let lines = |interval| format!("Supported: timer\r\nSession-Expires: {interval}\r\n");
        interval.map(lines).unwrap_or_default()
    }

    /// Those of its answer: the refresher is whom the request names, or the other party.
    pub(super) fn session_answer(&self, request: &Heard, code: u16) -> String {
        let knows = self.inside.min_se.is_some() && code / 100 == 2 && offers(&request.method);
        let interval = request.seconds("Session-Expires").filter(|_| knows);
        let Some(interval) = interval else {
            return String::new();
        };
        let head = request.head_text();
        let own = head.contains("refresher=uas")
            || self.inside.refreshes && !head.contains("refresher=uac");
        let refresher = match own {
            true => "uas",
            false => "uac",
        };
        let require = match supports_timer(request) {
            true => "Require: timer\r\n",
            false => "",
        };
        format!("Session-Expires: {interval};refresher={refresher}\r\n{require}")
    }

    /// An answer of either party has this session in it: whoever is the refresher refreshes it after half of the
    /// interval (RFC 4028 10). `role` is ours in the transaction.
    pub(super) fn agree_on_session(
        &mut self,
        now: Time,
        dialog: usize,
        answer: &Heard,
        role: &str,
    ) {
        let accepted = answer.code / 100 == 2 && offers(&answer.method);
        let ours = format!("refresher={role}");
        let interval = answer.seconds("Session-Expires").filter(|_| accepted);
        let refreshes = self.inside.refreshes && answer.head_text().contains(&ours);
        if let Some(interval) = interval.filter(|_| refreshes) {
            let half = Duration::from_secs(interval.into()) / 2;
            let method = self.draw.pick(&["INVITE", "UPDATE"]);
            self.alarms.plan(now + half, Alarm::Inside(dialog, method));
        }
    }

    /// RFC 4028 9: an interval that is too short is refused to who knows what that means.
    pub(super) fn refuses_interval(&mut self, now: Time, server: usize) -> bool {
        let request = &self.servers[server].request;
        let asked = request
            .seconds("Session-Expires")
            .filter(|_| supports_timer(request));
        let min = self.inside.min_se.filter(|_| offers(&request.method));
        let (Some(asked), Some(min)) = (asked, min) else {
            return false;
        };
        if asked < min {
            let extra = format!("Min-SE: {min}\r\n");
            let tag = match request.to_tag.is_empty() {
                true => self.name("tag"),
                false => String::new(),
            };
            self.answer(now, server, 422, &tag, &extra, &Body::NONE);
        }
        asked < min
    }

    /// The INVITE is sent again, as another one of the same call.
    pub(super) fn call_again(&mut self, now: Time) {
        if self.cancelled || self.dialogs[0].end.is_some() {
            return self.on_call_failed();
        }
        self.pracked = 0;
        self.dialogs[0].remote_tag.clear();
        self.dialogs[0].target = self.first_target();
        self.invite = self.clients.len();
        let body = self.first_offer();
        self.send_request(
            now,
            0,
            "INVITE",
            Purpose::Invite,
            &self.first_extra(),
            &body,
        );
        self.dialogs[0].invite_cseq = self.dialogs[0].cseq;
    }

    /// An INVITE after one that was only refused for now begins anew, where the plan had come to.
    pub(super) fn rings_again(&mut self) -> bool {
        let refused = self.facts.final_code.is_some_and(|code| code >= 300);
        let again = refused && self.ringing.has_more(self.steps());
        if again {
            self.ringing = Ringing::after(&self.ringing);
            self.facts.final_code = None;
            self.facts.invites = 1;
        }
        again
    }
}

fn offers(method: &str) -> bool {
    matches!(method, "INVITE" | "UPDATE")
}

fn supports_timer(request: &Heard) -> bool {
    let head = request.head_text();
    let mut lines = head.lines();
    lines.any(|line| line.starts_with("Supported:") && line.contains("timer"))
}
