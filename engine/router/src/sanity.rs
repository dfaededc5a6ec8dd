//! What a message that looks sound may still be: a request that has been here before, as another copy of
//! itself or in a loop, and a response that was meant for somebody else. No call is known here.

use stack::{Claim, Stray, Token};
use wire::{HeaderName, Message, Via};

use crate::core::{Core, Doors, User};

/// So many Vias below the top one are looked at. A loop over more hops than that ends by Max-Forwards.
const VIAS_MAX: usize = 16;

/// RFC 3261 16.3 (4), RFC 5393 4.2: whether the request has come back with the Request-URI it was sent with.
/// With another one it spirals, which is legitimate and ends by Max-Forwards. What the transaction in a Via
/// of ours no longer keeps, or another shard made, is taken for a spiral. What was proxied bears a mark in
/// its Via that tells it (see `proxy`).
pub(crate) fn has_looped(core: &Core, request: &Message<'_>) -> bool {
    let sent = |token: Token| core.transactions.sent_request(&token);
    let unchanged = |sent: &[u8]| uri_of(sent) == Some(request.request_uri());
    own_tokens(request).filter_map(sent).any(unchanged)
}

/// The tokens of our own branches below the top Via.
fn own_tokens<'a>(request: &Message<'a>) -> impl Iterator<Item = Token> + 'a {
    let below = request.values(HeaderName::Via).skip(1).take(VIAS_MAX);
    below
        .filter(|via| memchr::memmem::find(via, Token::BRANCH_PREFIX).is_some())
        .filter_map(|via| Token::parse_branch(Via::parse(via).ok()?.branch?))
}

/// The Request-URI of a request as it was printed.
fn uri_of(sent: &[u8]) -> Option<&[u8]> {
    sent.split(|&byte| byte == b' ').nth(1)
}

/// Whether a response came with the Vias its transaction's user would get.
pub(crate) fn judge(doors: &Doors, listener: u16, claim: &Claim<'_, User>) -> Result<(), Stray> {
    if !is_own(doors, listener, claim.via) {
        return Err(Stray::ForeignVia);
    }
    match claim.several == claim.forwarded {
        true => Ok(()),
        // RFC 3261 8.1.3.3: misrouted or broken. 16.7: nobody is left whom it could be forwarded to.
        false => Err(Stray::SeveralVias),
    }
}

/// RFC 3261 18.1.2: whether the sent-by is one that a listener of ours writes. Nearly always it is that of
/// the listener the response came in at, letter for letter.
fn is_own(doors: &Doors, listener: u16, via: &Via<'_>) -> bool {
    let door = doors.of(listener);
    via.sent_by == door.host_port
        || doors
            .all()
            .any(|door| door.is_named_by(&via.host, via.port))
}
