//! Requests outside any dialog: the caller sends them to the number it calls, the callee answers each with a
//! tag of its own. No call is needed for them, and none may suffer.

use stack::Time;

use super::Agent;
use super::client::Purpose;
use super::print::{Body, Line};

/// What a callee takes outside any dialog.
const TAKEN: [&str; 4] = ["MESSAGE", "OPTIONS", "INFO", "PUBLISH"];

/// Whether this request is taken, which has found no dialog.
pub(super) fn is_taken(method: &str, to_tag: &str) -> bool {
    to_tag.is_empty() && TAKEN.contains(&method)
}

impl Agent {
    pub(super) fn say_aside(&mut self, now: Time, method: &'static str) {
        let (address, router) = (self.identity.address, self.identity.router);
        let number = self.identity.number.clone();
        let line = Line {
            method: method.to_owned(),
            uri: format!("sip:{number}@{router}"),
            branch: format!("z9hG4bK{}", self.name("branch")),
            from: format!("<sip:caller@{address}>;tag={}", self.name("tag")),
            to: format!("<sip:{number}@{router}>"),
            call_id: self.name("call"),
            cseq: self.draw.between(0, 2_000) as u32,
        };
        let body = self.odd_body();
        let bytes = self.print_request(&line, "", &body);
        self.start_client(now, router, line, Purpose::Aside, bytes);
    }

    pub(super) fn on_aside(&mut self, now: Time, server: usize) {
        if self.inside.mute {
            return;
        }
        let tag = self.name("tag");
        self.answer(now, server, 200, &tag, "", &Body::NONE);
    }
}
