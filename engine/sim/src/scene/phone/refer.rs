//! Transfers as the three parties of one see them (RFC 3515, RFC 3891, RFC 5589): who refers, and who is
//! referred and calls the target. The target sees a call as any other, or one that replaces another.

use stack::Time;

use super::Phone;
use super::dialog::{Dialog, uri_of};
use super::exchange::Purpose;
use super::print::Body;
use super::watch::{Role, Watch};
use crate::scene::plan::{Leaving, Referred};

/// The package of a REFER's subscription.
pub(super) const REFER: &str = "refer";

impl Phone {
    /// Refers the other party of this call to a URI.
    pub(super) fn refer(&mut self, now: Time, call: usize, target: &str) {
        let Some(&dialog) = self.calls.get(call) else {
            return;
        };
        if !self.dialogs[dialog].is_up() {
            return;
        }
        let id = self.dialogs[dialog].cseq + 1;
        self.watches.push(Watch::new(
            dialog,
            Role::Subscriber,
            format!("{REFER};id={id}"),
        ));
        let (watch, extra) = (self.watches.len() - 1, format!("Refer-To: <{target}>\r\n"));
        let none = Body::default();
        self.send_inside(now, dialog, "REFER", Purpose::Refer(watch), &extra, &none);
    }

    /// Refers the other party of one call to that of another, in this phone's place there.
    pub(super) fn transfer(&mut self, now: Time, call: usize, other: usize) {
        let Some(&consulted) = self.calls.get(other) else {
            return;
        };
        let consulted = &self.dialogs[consulted];
        if consulted.is_up() {
            let replaces = escaped(&consulted.replaces());
            let target = format!("{}?Replaces={replaces}", consulted.target);
            self.refer(now, call, &target);
        }
    }

    /// A notification of how a referral goes has come.
    pub(super) fn on_reported(&mut self, now: Time, watch: usize, code: u16) {
        let dialog = self.watches[watch].dialog;
        if code >= 200 && self.plan.leaves == Leaving::Told {
            self.hang_up(now, dialog);
        }
    }

    /// This phone is referred to somebody.
    pub(super) fn on_refer(&mut self, now: Time, server: usize, dialog: usize) {
        let request = self.servers[server].request.clone();
        let target = request.values("Refer-To").first().cloned();
        let Some(target) = target.filter(|_| self.dialogs[dialog].is_up()) else {
            return self.answer_plainly(now, server, 481);
        };
        if let Referred::Refuses(code) = self.plan.referred {
            return self.answer_plainly(now, server, code);
        }
        let contact = self.contact();
        self.answer(now, server, 202, ("", &contact), &Body::default());
        let event = format!("{REFER};id={}", request.cseq);
        self.watches.push(Watch::new(dialog, Role::Notifier, event));
        let watch = self.watches.len() - 1;
        self.report(now, watch, 100);
        if self.plan.referred == Referred::HangsUp {
            self.hang_up(now, dialog);
        }
        self.call_target(now, uri_of(&target), watch);
    }

    /// RFC 3261 19.1.5: the headers of the URI go into the INVITE.
    fn call_target(&mut self, now: Time, target: &str, watch: usize) {
        let (uri, headers) = target.split_once('?').unwrap_or((target, ""));
        let replaces = headers.strip_prefix("Replaces=").map(unescaped);
        let extra = replaces.map(|value| format!("Replaces: {value}\r\nRequire: replaces\r\n"));
        let dialog = Dialog {
            target: uri.to_owned(),
            remote: format!("<{uri}>"),
            ..self.first_dialog("")
        };
        self.call(now, dialog, &extra.unwrap_or_default(), Some(watch));
    }

    /// Says how a referral goes (RFC 3515 2.4.5).
    pub(super) fn report(&mut self, now: Time, watch: usize, code: u16) {
        let state = match code {
            ..200 => "active;expires=60",
            _ => "terminated;reason=noresource",
        };
        let body = Body {
            kind: "message/sipfrag;version=2.0",
            text: format!("SIP/2.0 {code} {}\r\n", wire::print::reason_phrase(code)),
        };
        self.notify(now, watch, state, body);
    }
}

/// What of a value cannot stand in the headers of a URI (RFC 3261 25.1 `hvalue`).
fn escaped(value: &str) -> String {
    let escape = |c: char| match c {
        ';' | '=' | '@' | ':' | '%' => format!("%{:02X}", c as u32),
        c => c.to_string(),
    };
    value.chars().map(escape).collect()
}

fn unescaped(value: &str) -> String {
    let mut parts = value.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        match u8::from_str_radix(code, 16) {
            Ok(code) => text.push(code.into()),
            Err(_) => text.push_str(code),
        }
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_is_read_as_it_was() {
        let value = "a:b%c@h;to-tag=1;from-tag=2";
        assert_eq!(escaped(value), "a%3Ab%25c%40h%3Bto-tag%3D1%3Bfrom-tag%3D2");
        assert_eq!(unescaped(&escaped(value)), value);
    }
}
