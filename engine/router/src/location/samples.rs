//! Values for the tests of the location service.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stack::{Flow, Time};

use super::{Aor, Binding, Edit, Edits, Registration, Update};

pub(super) fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

pub(super) fn aor(user: &str) -> Aor {
    Aor::new(user, "example.com").expect("an AOR")
}

/// A contact registered by CSeq 1 of the Call-ID `call`, until the second 3600.
pub(super) fn binding(contact: &str) -> Binding {
    Binding {
        contact: contact.as_bytes().into(),
        parameters: Box::default(),
        q: 1000,
        instance: None,
        reg_id: None,
        call_id: b"call".as_slice().into(),
        cseq: 1,
        path: Box::default(),
        source: Flow {
            listener: 0,
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)),
        },
        at_source: false,
        user_agent: Box::default(),
        registered: Time::ZERO,
        expires: at(3600),
        unanswered: 0,
        unreachable: false,
    }
}

pub(super) fn registration<const N: usize>(
    user: &str,
    version: u64,
    bindings: [Binding; N],
) -> Arc<Registration> {
    Arc::new(Registration {
        aor: aor(user),
        version,
        bindings: bindings.into(),
    })
}

/// A REGISTER with these contacts, each until its second; 0 removes it.
pub(super) fn update(user: &str, (call_id, cseq): (&str, u32), contacts: &[(&str, u64)]) -> Update {
    let edit = |(contact, until): &(&str, u64)| Edit {
        binding: Binding {
            call_id: call_id.as_bytes().into(),
            cseq,
            expires: at(*until),
            ..binding(contact)
        },
        remove: *until == 0,
    };
    Update {
        aor: aor(user),
        call_id: call_id.as_bytes().into(),
        cseq,
        edits: Edits::Contacts(contacts.iter().map(edit).collect()),
    }
}
