//! Registrations for tests.

use std::sync::Arc;

use router::{Aor, Binding, Registration};
use stack::{Flow, Time};

/// The one binding of user `user`, as a telephone behind NAT has it.
pub(crate) fn registration(user: u64, version: u64) -> Arc<Registration> {
    let port = 1_024 + (user % 60_000) as u16;
    let binding = Binding {
        contact: format!("sip:u{user}@10.1.2.3:{port};transport=udp;ob")
            .into_bytes()
            .into(),
        parameters: b";+sip.ice".as_slice().into(),
        q: 1_000,
        instance: Some(
            format!("urn:uuid:00000000-0000-4000-8000-{user:012x}")
                .into_bytes()
                .into(),
        ),
        reg_id: Some(1),
        call_id: format!("{user:016x}{version:08x}@10.1.2.3")
            .into_bytes()
            .into(),
        cseq: version as u32,
        path: Box::default(),
        source: Flow {
            listener: 0,
            remote: ([192, 0, 2, (user % 250) as u8], port).into(),
        },
        at_source: true,
        user_agent: b"Telephone 12.4 (desk, 5 lines)".as_slice().into(),
        registered: Time::ZERO,
        expires: Time::from_nanos(3_600_000_000_000),
        unanswered: 0,
        unreachable: false,
    };
    Arc::new(Registration {
        aor: Aor::new(&format!("u{user}"), "example.com").expect("an AOR"),
        version,
        bindings: Box::new([binding]),
    })
}

/// User `user` has no bindings any more.
pub(crate) fn removal(user: u64, version: u64) -> Arc<Registration> {
    let bound = registration(user, version);
    Arc::new(Registration {
        bindings: Box::default(),
        ..(*bound).clone()
    })
}
