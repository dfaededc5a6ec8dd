//! What is checked before a request is forwarded (RFC 3261 16.3, RFC 5393): hops left, loops, options that
//! every proxy must know, and how far it may be forked.

use stack::Token;
use wire::{HeaderName, Message, Uri, Via, print};

use super::path::Path;
use crate::call::{Refusal, max_forwards};
use crate::core::Core;
use crate::identity;
use crate::local;
use crate::proofs::read_hash;

/// RFC 5393 5.3.3: what a request carries that named none, and the most it may.
const MAX_BREADTH: u32 = 60;

/// What of the checks is written into every request that leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    pub(super) max_forwards: u32,
    pub(super) breadth: u32,
    /// Tells a loop from a spiral: the second part of our branches.
    pub(super) mark: u64,
}

impl Admitted {
    /// Checks a request that takes this path.
    ///
    /// # Errors
    /// How it is answered: 416, 420, 482 or 483.
    pub(super) fn check(
        core: &mut Core,
        request: &Message<'_>,
        path: &Path<'_>,
    ) -> Result<Admitted, Refusal> {
        let max_forwards = max_forwards(request).ok_or_else(|| Refusal::code(483))?;
        local::check_scheme(&Uri::parse(path.uri)?)?;
        check_required(core, request)?;
        let mark = mark(core, request)?;
        if has_looped(request, mark) {
            core.counters.looped += 1;
            return Err(Refusal::code(482));
        }
        Ok(Admitted {
            max_forwards,
            breadth: breadth(request),
            mark,
        })
    }
}

/// RFC 3261 16.3 step 5: this proxy knows no extension but privacy, and that no further than a proxy can give it.
fn check_required(core: &Core, request: &Message<'_>) -> Result<(), Refusal> {
    let is_privacy = |option: &&[u8]| option.eq_ignore_ascii_case(b"privacy");
    let required = request.values(HeaderName::ProxyRequire);
    match identity::proxy_understands(core, request) {
        true => local::refuse_unknown(required.filter(|option| !is_privacy(option))),
        false => local::refuse_unknown(required),
    }
}

/// The same for the ACK of a 2xx, which nothing answers: `None` when it is to be dropped.
pub(super) fn ack(core: &mut Core, request: &Message<'_>) -> Option<Admitted> {
    Some(Admitted {
        max_forwards: max_forwards(request)?,
        breadth: breadth(request),
        mark: mark(core, request).ok()?,
    })
}

/// RFC 5393 4.2.1: of what decides where the request goes, and of its Call-ID and CSeq, so that a collision
/// does not come again. The method is not in it.
fn mark(core: &mut Core, request: &Message<'_>) -> Result<u64, Refusal> {
    let number = request.cseq()?.number;
    let mut text = core.scratch();
    for part in [request.request_uri(), request.call_id()] {
        text.extend_from_slice(part);
        text.push(b'\n');
    }
    for route in request.values(HeaderName::Route) {
        text.extend_from_slice(route);
        text.push(b'\n');
    }
    print::number(&mut text, number.into());
    let mark = core.proofs.loops.of(&text);
    core.return_scratch(text);
    Ok(mark)
}

/// RFC 5393 4.2.2: one of our own Vias bears the mark this request has. Nobody else can have made it, so the
/// sent-by need not be looked at.
fn has_looped(request: &Message<'_>, mark: u64) -> bool {
    let mut vias = request.values(HeaderName::Via);
    vias.any(|via| mark_of(via) == Some(mark))
}

/// The mark of a Via of ours.
fn mark_of(via: &[u8]) -> Option<u64> {
    let (_, rest) = Token::split_branch(Via::parse(via).ok()?.branch?)?;
    read_hash(rest.strip_prefix(b".")?)
}

fn breadth(request: &Message<'_>) -> u32 {
    let value = request.header(HeaderName::MaxBreadth);
    let value = value.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    value.map_or(MAX_BREADTH, |value: u32| value.min(MAX_BREADTH))
}
