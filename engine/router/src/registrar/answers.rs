//! The 200 of a REGISTER (RFC 3261 10.3 step 8): every binding there is, and what the extensions add.

use stack::{Outbox, ServerId, Time};
use wire::print;

use super::contacts::{Q_MAX, print_expires, print_preference};
use super::{Waiting, gruu};
use crate::core::Core;
use crate::location::{Binding, Registration};

/// What the registrar does without being asked. RFC 5627 5.2: not `gruu`.
const SUPPORTED: &[u8] = b"path, outbound";

/// Answers with the bindings as they are now.
pub(super) fn accept(
    core: &mut Core,
    now: Time,
    server: ServerId,
    waiting: &Waiting,
    registration: &Registration,
    out: &mut Outbox,
) {
    let mut lines = core.scratch();
    for binding in &registration.bindings {
        print_contact(core, &mut lines, now, waiting, registration, binding);
    }
    print_extensions(core, &mut lines, waiting);
    let tag = core.own_tag();
    core.answer(now, server, (200, ""), &tag, &lines, out);
    core.return_scratch(lines);
}

fn print_contact(
    core: &mut Core,
    out: &mut Vec<u8>,
    now: Time,
    waiting: &Waiting,
    registration: &Registration,
    binding: &Binding,
) {
    out.extend_from_slice(b"Contact: <");
    out.extend_from_slice(&binding.contact);
    out.push(b'>');
    out.extend_from_slice(&binding.parameters);
    if binding.q != Q_MAX {
        print_preference(out, binding.q);
    }
    print_expires(out, now, binding.expires);
    if waiting.gruu {
        let salt = core.random.next_u64();
        gruu::print(
            out,
            core.registrar.keys.current(),
            &registration.aor,
            binding,
            salt,
        );
    }
    out.extend_from_slice(b"\r\n");
}

fn print_extensions(core: &Core, out: &mut Vec<u8>, waiting: &Waiting) {
    if !waiting.path.is_empty() {
        print::header(out, "Path", &waiting.path);
    }
    let settings = core.registrar.settings.as_ref();
    if let Some(route) = settings.and_then(|settings| settings.service_route.as_ref()) {
        print::header(out, "Service-Route", route.as_bytes());
    }
    if waiting.outbound {
        print::header(out, "Require", b"outbound");
    }
    print::header(out, "Supported", SUPPORTED);
    if let Some(name) = &core.server_name {
        print::header(out, "Server", name.as_bytes());
    }
}
