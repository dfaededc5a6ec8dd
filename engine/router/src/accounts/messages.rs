//! The messages of a call, on their way past: what each was is read off its first bytes.

use memchr::memmem::Finder;
use stack::{Flow, Outbox, Time};
use wire::{Message, Method};

use super::Accounts;
use super::account::{Account, Piece};
use super::timeline::Noted;
use crate::calls::CallId;
use crate::core::Side;

/// Where messages of ours say what they answer, and to which call they belong.
#[derive(Debug)]
pub(super) struct Marks {
    cseq: Finder<'static>,
    call_id: Finder<'static>,
}

impl Default for Marks {
    fn default() -> Self {
        Marks {
            cseq: Finder::new("\r\nCSeq: "),
            call_id: Finder::new("\r\nCall-ID: "),
        }
    }
}

impl Marks {
    /// Status code, 0 for a request, and method of a message of ours.
    fn read(&self, message: &[u8]) -> (u16, Method) {
        let mut words = message.splitn(3, |&byte| byte == b' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        if first != b"SIP/2.0" {
            return (0, Method::parse(first));
        }
        let code = second.unwrap_or_default().iter();
        let code = code.fold(0u16, |code, digit| {
            code.wrapping_mul(10)
                .wrapping_add(u16::from(digit.wrapping_sub(b'0')))
        });
        let cseq = value(&self.cseq, message);
        let method = cseq.rsplit(|&byte| byte == b' ').next();
        (code, Method::parse(method.unwrap_or_default()))
    }
}

/// The value of the header behind this mark.
fn value<'a>(mark: &Finder<'_>, message: &'a [u8]) -> &'a [u8] {
    let at = mark.find(message).map(|at| at + mark.needle().len());
    let rest = at.and_then(|at| message.get(at..)).unwrap_or_default();
    let end = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

impl Accounts {
    /// A message of this call came.
    pub(crate) fn received(&mut self, now: Time, id: CallId, flow: Flow, message: &Message<'_>) {
        let timeline = self.keep_timelines();
        let Some(account) = self.of(id) else {
            return;
        };
        let side = account.side_of(message.call_id());
        account.seen_at(side, flow.remote);
        if !timeline {
            return;
        }
        let body = message.body();
        if !body.is_empty() && message.has_sdp() {
            account.keep_session(side, body);
        }
        account.note(Noted {
            at: now,
            code: if message.is_request() {
                0
            } else {
                message.code()
            },
            method: message.method(),
            on_caller_leg: side == Side::Caller,
            received: true,
            with_body: !body.is_empty(),
        });
    }

    /// Messages of this call left.
    pub(crate) fn sent(&mut self, now: Time, id: CallId, before: usize, out: &Outbox) {
        if !self.keep_timelines() {
            return;
        }
        let Accounts { marks, slots, .. } = self;
        let account = slots.get_mut(id.slot as usize);
        let account = account.and_then(Option::as_deref_mut);
        let Some(account) = account.filter(|account| account.is_of(id)) else {
            return;
        };
        for (flow, bytes) in out.iter_from(before) {
            let (code, method) = marks.read(bytes);
            let side = account
                .side_at(flow)
                .unwrap_or_else(|| account.side_of(value(&marks.call_id, bytes)));
            account.note(Noted {
                at: now,
                code,
                method,
                on_caller_leg: side == Side::Caller,
                received: false,
                with_body: !bytes.ends_with(b"\r\n\r\n"),
            });
        }
    }
}

impl Account {
    /// Whose address this is, when the two have different ones.
    fn side_at(&self, flow: Flow) -> Option<Side> {
        let [caller, callee] = self.addresses;
        match (caller == Some(flow.remote), callee == Some(flow.remote)) {
            (true, false) => Some(Side::Caller),
            (false, true) => Some(Side::Callee),
            _ => None,
        }
    }

    /// The leg with this Call-ID.
    fn side_of(&self, call_id: &[u8]) -> Side {
        match self.call_id(Side::Caller) == call_id {
            true => Side::Caller,
            false => Side::Callee,
        }
    }

    fn call_id(&self, side: Side) -> &[u8] {
        match self.joined(side) {
            b"" => self.piece(Piece::CallId(side)),
            joined => joined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_ours_is_told_by_its_first_bytes() {
        let marks = Marks::default();
        let response = b"SIP/2.0 487 Request Terminated\r\nVia: x\r\nCSeq: 7 INVITE\r\n\r\n";
        assert_eq!(marks.read(response), (487, Method::Invite));
        let request = b"BYE sip:b SIP/2.0\r\nCall-ID: tpr-1\r\nCSeq: 2 BYE\r\n\r\n";
        assert_eq!(marks.read(request), (0, Method::Bye));
        assert_eq!(value(&marks.call_id, request), b"tpr-1");
        assert_eq!(marks.read(b""), (0, Method::Other));
        assert_eq!(marks.read(b"SIP/2.0 "), (0, Method::Other));
    }
}
