//! The bindings of an address-of-record as the payload of a frame, and back.

use std::sync::Arc;

use router::{Aor, Binding, Registration};
use stack::{Flow, Time};

use crate::fields::{Fields, put_address, put_bytes};
use crate::frame::append;
use crate::kind::Kind;
use crate::times::Clocks;

const INSTANCE: u8 = 1;
const REG_ID: u8 = 2;
const AT_SOURCE: u8 = 4;
const UNREACHABLE: u8 = 8;

/// Appends how an address-of-record is bound now. False when that is longer than a frame may be: then
/// nothing is appended.
pub fn append_registration(
    out: &mut Vec<u8>,
    registration: &Registration,
    clocks: &Clocks,
) -> bool {
    let Registration {
        aor,
        version,
        bindings,
    } = registration;
    append(out, Kind::Registration, |out| {
        put_bytes(out, aor.as_str().as_bytes());
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&(bindings.len() as u16).to_le_bytes());
        let bindings = bindings.iter().take(u16::MAX.into());
        bindings.for_each(|binding| put_binding(out, binding, clocks));
    })
}

/// All fields by name: one that is added and not written does not compile.
fn put_binding(out: &mut Vec<u8>, binding: &Binding, clocks: &Clocks) {
    let Binding {
        contact,
        parameters,
        q,
        instance,
        reg_id,
        call_id,
        cseq,
        path,
        source,
        at_source,
        user_agent,
        registered,
        expires,
        unanswered,
        unreachable,
    } = binding;
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    out.push(
        flag(instance.is_some(), INSTANCE)
            | flag(reg_id.is_some(), REG_ID)
            | flag(*at_source, AT_SOURCE)
            | flag(*unreachable, UNREACHABLE),
    );
    out.extend_from_slice(&clocks.to_unix_ms(*registered).to_le_bytes());
    out.extend_from_slice(&clocks.to_unix_ms(*expires).to_le_bytes());
    out.extend_from_slice(&q.to_le_bytes());
    out.push(*unanswered);
    put_address(out, source.remote);
    out.extend_from_slice(&source.listener.to_le_bytes());
    put_bytes(out, contact);
    put_bytes(out, parameters);
    if let Some(instance) = instance {
        put_bytes(out, instance);
    }
    if let Some(reg_id) = reg_id {
        out.extend_from_slice(&reg_id.to_le_bytes());
    }
    put_bytes(out, call_id);
    out.extend_from_slice(&cseq.to_le_bytes());
    put_bytes(out, path);
    put_bytes(out, user_agent);
}

/// The begin of a payload: whose it is, and how many bindings.
pub(crate) fn subject(payload: &[u8]) -> Option<(&str, u16)> {
    let mut fields = Fields(payload);
    let aor = fields.text()?;
    let _version = fields.u64()?;
    Some((aor, fields.u16()?))
}

/// A registration that was read, and what of it is over.
#[derive(Debug, PartialEq)]
pub struct Revived {
    /// What is still in force; `None`: nothing.
    pub registration: Option<Arc<Registration>>,
    /// Bindings whose time ran out.
    pub expired: u64,
    /// Bindings of a listener that is gone, with no other of its address family.
    pub homeless: u64,
}

/// The moment a registration is revived, and what it was written in.
pub(crate) struct Circumstances<'a> {
    /// The clocks now.
    pub(crate) now: Clocks,
    /// The wall clock when it was written.
    pub(crate) written_ms: u64,
    /// The number each listener of that time has now.
    pub(crate) listeners: &'a [Option<u16>],
}

impl Circumstances<'_> {
    /// A time as it was written, in the terms of now. A wall clock that is behind the time of writing
    /// has been set back: nothing tells how long the engine was down, so it is taken for no time. Then
    /// nothing lasts longer than it had left.
    fn clocks(&self) -> Clocks {
        Clocks {
            engine: self.now.engine,
            unix_ms: self.now.unix_ms.max(self.written_ms),
        }
    }
}

/// Reads a payload; `None` when it is none.
pub(crate) fn revive(payload: &[u8], around: &Circumstances<'_>) -> Option<Revived> {
    let mut fields = Fields(payload);
    let text = fields.text()?;
    let (user, domain) = text.rsplit_once('@')?;
    let aor = Aor::new(user, domain).filter(|aor| aor.as_str() == text)?;
    let version = fields.u64()?;
    let count = fields.u16()?;
    let mut revived = Revived {
        registration: None,
        expired: 0,
        homeless: 0,
    };
    let clocks = around.clocks();
    let mut bindings = Vec::with_capacity(count.min(64).into());
    for _ in 0..count {
        let mut binding = take_binding(&mut fields, &clocks)?;
        let listener = around.listeners.get(usize::from(binding.source.listener));
        match listener.copied().flatten() {
            _ if binding.expires <= clocks.engine => revived.expired += 1,
            None => revived.homeless += 1,
            Some(listener) => {
                binding.source.listener = listener;
                bindings.push(binding);
            }
        }
    }
    if !bindings.is_empty() {
        revived.registration = Some(Arc::new(Registration {
            aor,
            version,
            bindings: bindings.into(),
        }));
    }
    fields.is_empty().then_some(revived)
}

/// A payload as it was written, whatever has run out since; its times are those since 1970, and its flows
/// have the listeners' numbers of its segment. For a look into a journal; `None` when it makes no sense.
pub fn recorded(payload: &[u8]) -> Option<Registration> {
    let mut fields = Fields(payload);
    let (user, domain) = fields.text()?.rsplit_once('@')?;
    let version = fields.u64()?;
    let since_1970 = Clocks {
        engine: Time::ZERO,
        unix_ms: 0,
    };
    let bindings = (0..fields.u16()?).map(|_| take_binding(&mut fields, &since_1970));
    Some(Registration {
        aor: Aor::new(user, domain)?,
        version,
        bindings: bindings.collect::<Option<_>>()?,
    })
}

fn take_binding(fields: &mut Fields<'_>, clocks: &Clocks) -> Option<Binding> {
    let flags = fields.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let registered = clocks.to_engine(fields.u64()?);
    let expires = clocks.to_engine(fields.u64()?);
    let (q, unanswered) = (fields.u16()?, fields.u8()?);
    let remote = fields.address()?;
    let listener = fields.u16()?;
    let (contact, parameters) = (fields.bytes()?.into(), fields.bytes()?.into());
    let instance = match has(INSTANCE) {
        true => Some(fields.bytes()?.into()),
        false => None,
    };
    let reg_id = match has(REG_ID) {
        true => Some(fields.u32()?),
        false => None,
    };
    Some(Binding {
        contact,
        parameters,
        q,
        instance,
        reg_id,
        call_id: fields.bytes()?.into(),
        cseq: fields.u32()?,
        path: fields.bytes()?.into(),
        source: Flow { listener, remote },
        at_source: has(AT_SOURCE),
        user_agent: fields.bytes()?.into(),
        registered,
        expires,
        unanswered,
        unreachable: has(UNREACHABLE),
    })
}
