//! The bindings of a user as a document (RFC 3680 5): always the full state, with what has gone since the last one.

use std::sync::Arc;

use stack::{Time, sip_hash};

use super::xml::{attribute, escape};
use crate::location::{Aor, Binding, Registration};
use crate::registrar::gruu;

const HEAD: &[u8] =
    b"<?xml version=\"1.0\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
    xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\"";

/// What a subscriber is told.
pub(super) struct State<'r> {
    pub(super) aor: &'r Aor,
    /// As it is now; `None` without bindings.
    pub(super) now: Option<&'r Arc<Registration>>,
    /// As this subscriber was told last.
    pub(super) told: Option<&'r Arc<Registration>>,
    /// The number of this document among those of the subscription.
    pub(super) version: u32,
}

fn bindings(registration: Option<&Arc<Registration>>) -> &[Binding] {
    registration.map_or(&[], |it| &it.bindings)
}

impl State<'_> {
    pub(super) fn print(&self, out: &mut Vec<u8>, now: Time) {
        out.extend_from_slice(HEAD);
        attribute(out, "version", self.version.to_string().as_bytes());
        out.extend_from_slice(b" state=\"full\">\r\n<registration");
        attribute(out, "aor", format!("sip:{}", self.aor).as_bytes());
        attribute(out, "id", &identifier(b'r', self.aor.as_str().as_bytes()));
        let living = || bindings(self.now).iter().filter(|it| it.expires > now);
        attribute(out, "state", self.word(living().count() > 0).as_bytes());
        out.extend_from_slice(b">\r\n");
        for binding in living() {
            self.print_living(out, now, binding);
        }
        let gone = |it: &&Binding| !living().any(|other| name(other) == name(it));
        for binding in bindings(self.told).iter().filter(gone) {
            self.print_gone(out, now, binding);
        }
        out.extend_from_slice(b"</registration>\r\n</reginfo>\r\n");
    }

    fn word(&self, lives: bool) -> &'static str {
        match (lives, bindings(self.told).is_empty()) {
            (true, _) => "active",
            (false, false) => "terminated",
            (false, true) => "init",
        }
    }

    fn print_living(&self, out: &mut Vec<u8>, now: Time, binding: &Binding) {
        let told = bindings(self.told).iter();
        let before = told.clone().find(|it| name(it) == name(binding));
        let left = binding.expires.duration_since(now);
        let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        begin(out, now, binding, ("active", event(before, binding)));
        attribute(out, "expires", left.to_string().as_bytes());
        out.extend_from_slice(b">\r\n");
        self.end(out, binding);
    }

    fn print_gone(&self, out: &mut Vec<u8>, now: Time, binding: &Binding) {
        let event = match binding.expires <= now {
            true => "expired",
            false => "unregistered",
        };
        begin(out, now, binding, ("terminated", event));
        out.extend_from_slice(b">\r\n");
        self.end(out, binding);
    }

    /// What stands inside the element of a contact. RFC 5628 5.2: its public GRUU.
    fn end(&self, out: &mut Vec<u8>, binding: &Binding) {
        out.extend_from_slice(b"<uri>");
        escape(out, &binding.contact);
        out.extend_from_slice(b"</uri>\r\n");
        let mut public = Vec::new();
        if gruu::print_public(&mut public, self.aor, binding) {
            out.extend_from_slice(b"<gr:pub-gruu");
            attribute(out, "uri", &public);
            out.extend_from_slice(b"/>\r\n");
        }
        out.extend_from_slice(b"</contact>\r\n");
    }
}

/// RFC 3680 4.1: what has brought a contact into its state since the subscriber knew it as `before`.
fn event(before: Option<&Binding>, binding: &Binding) -> &'static str {
    match before {
        Some(before) if before.registered == binding.registered => "registered",
        Some(before) if before.expires > binding.expires => "shortened",
        Some(_) => "refreshed",
        None => "registered",
    }
}

fn begin(out: &mut Vec<u8>, now: Time, binding: &Binding, (state, event): (&str, &str)) {
    out.extend_from_slice(b"<contact");
    attribute(out, "id", &identifier(b'c', &name(binding)));
    attribute(out, "state", state.as_bytes());
    attribute(out, "event", event.as_bytes());
    let age = now.duration_since(binding.registered).as_secs();
    attribute(out, "duration-registered", age.to_string().as_bytes());
    let q = format!("{}.{:03}", binding.q / 1000, binding.q % 1000);
    attribute(out, "q", q.as_bytes());
    attribute(out, "callid", &binding.call_id);
    attribute(out, "cseq", binding.cseq.to_string().as_bytes());
}

/// What a contact is known by: a flow by its instance and number (RFC 5626 6), any other by its URI.
fn name(binding: &Binding) -> Vec<u8> {
    match (&binding.instance, binding.reg_id) {
        (Some(instance), Some(id)) => [&id.to_be_bytes()[..], instance].concat(),
        _ => binding.contact.to_vec(),
    }
}

/// RFC 3680 5.1: the same in all documents, and for nothing else.
fn identifier(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut text = vec![kind];
    wire::print::hex(&mut text, sip_hash(name, [0, 0]), 16);
    text
}
