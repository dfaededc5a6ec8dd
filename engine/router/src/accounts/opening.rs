//! How an account begins: with the INVITE that made the call; and the record of one that made none.

use std::net::SocketAddr;

use stack::Time;
use wire::{HeaderName, Message};

use super::EndedBy;
use super::account::{Account, Piece};
use crate::call::Call;
use crate::config::Event;
use crate::core::{Core, Side};
use crate::entry::Entry;

/// The account of a call that this INVITE has made.
pub(crate) fn open(
    core: &mut Core,
    now: Time,
    source: SocketAddr,
    invite: &Message<'_>,
    entry: &Entry,
) {
    let token = match entry {
        Entry::Bridge(call) => call.tag(Side::Caller),
        Entry::Echo(echo) => echo.tag(),
        Entry::Proxy(_) | Entry::Subscription(_) | Entry::Notifier(_) => return,
    };
    let id = entry.id();
    core.accounts.at_hand(id);
    if !core.accounts.are_kept() {
        return;
    }
    let chosen = core.accounts.chosen;
    let pattern = std::mem::take(&mut core.accounts.pattern);
    if let Some(account) = core.accounts.claim(id) {
        account.begin(now, token);
        account.chosen = chosen;
        account.seen_at(Side::Caller, source);
        write_caller(account, invite);
        write_callee(account, entry);
        account.write(Piece::Pattern, &pattern);
    }
    core.accounts.pattern = pattern;
    core.tell_progress(id);
    if let Entry::Echo(_) = entry {
        // It rang and was answered while it was made.
        core.rang(now, id);
        core.answered(now, id);
    }
}

/// The record of an INVITE that was refused with this code.
pub(crate) fn refused(
    core: &mut Core,
    now: Time,
    source: SocketAddr,
    invite: &Message<'_>,
    code: u16,
    reason: &[u8],
) {
    if !core.accounts.settings.records {
        return;
    }
    let mut account = Account::of_refusal(now, core.accounts.chosen);
    account.seen_at(Side::Caller, source);
    write_caller(&mut account, invite);
    write_nobody(&mut account);
    account.write(Piece::Pattern, &core.accounts.pattern);
    account.end(now, EndedBy::Router, code, reason);
    let record = account.record();
    core.events.push_back(Event::CallEnded(record.into()));
}

fn write_caller(account: &mut Account, invite: &Message<'_>) {
    let header = |name| invite.header(name).unwrap_or_default();
    account.write(Piece::CallId(Side::Caller), invite.call_id());
    account.write(Piece::From(Side::Caller), header(HeaderName::From));
    account.write(Piece::To(Side::Caller), header(HeaderName::To));
    account.write(Piece::RequestUri(Side::Caller), invite.request_uri());
}

fn write_callee(account: &mut Account, entry: &Entry) {
    match entry {
        Entry::Bridge(call) => write_leg(account, call),
        Entry::Echo(_) | Entry::Proxy(_) | Entry::Subscription(_) | Entry::Notifier(_) => {
            write_nobody(account);
        }
    }
}

/// Before its first answer the dialog has the values of the INVITE that left.
fn write_leg(account: &mut Account, call: &Call) {
    let callee = call.leg(Side::Callee);
    let dialog = &callee.dialog;
    account.write(Piece::CallId(Side::Callee), dialog.call_id());
    account.write(Piece::From(Side::Callee), dialog.local());
    account.write(Piece::To(Side::Callee), dialog.remote());
    account.write(Piece::RequestUri(Side::Callee), dialog.target());
    if call.callee_is_known() {
        account.seen_at(Side::Callee, callee.peer.remote);
    }
}

fn write_nobody(account: &mut Account) {
    let callee = Side::Callee;
    for piece in [
        Piece::CallId(callee),
        Piece::From(callee),
        Piece::To(callee),
        Piece::RequestUri(callee),
    ] {
        account.write(piece, b"");
    }
}
