//! PUBLISH (RFC 3903): what a user says of himself is kept until it ends, and told to the other shards.

use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, ServerId, Time};
use wire::{HeaderName, Message};

use super::asked;
use super::package::Package;
use super::publications::{Publication, Resource};
use super::settings::EventsSettings;
use super::state_agent::Published;
use crate::call::Refusal;
use crate::config::Event;
use crate::core::Core;
use crate::location::Aor;
use crate::transfer::{Said, Word};

/// A PUBLISH for a user (RFC 3903 6).
///
/// # Errors
/// The answer to one that changes nothing.
pub(super) fn receive(
    core: &mut Core,
    now: Time,
    server: ServerId,
    request: &Message<'_>,
    aor: Aor,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    let settings = core.state_agent.settings().cloned().unwrap_or_default();
    let resource = (aor, Package::published(request)?);
    asked::check_publisher(core, request, &resource.0)?;
    let held = held(core, now, request, &resource)?;
    let seconds = asked::interval(&settings, request)?;
    let body = body(&settings, request, &resource, held.is_some())?;
    if held.is_none() && seconds > 0 {
        check_room(core, now, &settings, &resource)?;
    }
    let is_known = held.is_some();
    let next = next(core, now, held, body);
    let tag = next.tag;
    let publication = match seconds {
        0 => next.removed(now),
        _ => Publication {
            expires: now + Duration::from_secs(seconds.into()),
            ..next
        },
    };
    // RFC 3903 6 step 5: of a new one that is for no time nothing is stored.
    if is_known || seconds > 0 {
        let published = Published {
            resource,
            publication,
        };
        keep(core, now, &published);
    }
    let extra = format!("SIP-ETag: {tag:016x}\r\nExpires: {seconds}\r\n");
    let own = core.own_tag();
    core.answer(now, server, (200, ""), &own, extra.as_bytes(), out);
    Ok(())
}

/// Step 3: the publication that the request is about; `None` for a new one.
fn held(
    core: &Core,
    now: Time,
    request: &Message<'_>,
    resource: &Resource,
) -> Result<Option<Publication>, Refusal> {
    let mut tags = request.values(HeaderName::SipIfMatch);
    let (tag, None) = (tags.next(), tags.next()) else {
        return Err(Refusal::code(400));
    };
    let Some(tag) = tag else {
        return Ok(None);
    };
    let publications = &core.state_agent.publications;
    let found = read_tag(tag).and_then(|tag| publications.find(now, resource, tag));
    found
        .map(|it| Some(it.clone()))
        .ok_or_else(|| Refusal::code(412))
}

/// As it was printed, and not in any other spelling of the number.
fn read_tag(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let tag = u64::from_str_radix(text, 16).ok()?;
    (format!("{tag:016x}") == text).then_some(tag)
}

/// Step 5: what is published; `None` in a refresh.
fn body(
    settings: &EventsSettings,
    request: &Message<'_>,
    resource: &Resource,
    is_known: bool,
) -> Result<Option<Arc<[u8]>>, Refusal> {
    let body = request.body();
    if body.is_empty() {
        return is_known.then_some(None).ok_or_else(|| Refusal::code(400));
    }
    let package = resource.1;
    if !package.is_type_of(request) {
        let extra = format!("Accept: {}\r\n", package.content_type());
        return Err(Refusal {
            extra: extra.into_bytes(),
            ..Refusal::code(415)
        });
    }
    match body.len() > settings.body_bytes {
        true => Err(Refusal::code(413)),
        false => Ok(Some(body.into())),
    }
}

fn check_room(
    core: &mut Core,
    now: Time,
    settings: &EventsSettings,
    resource: &Resource,
) -> Result<(), Refusal> {
    let publications = &core.state_agent.publications;
    let full = publications.len() >= settings.publications;
    if full {
        core.limit_reached("publications", settings.publications);
    }
    let publications = &core.state_agent.publications;
    match full || publications.count(now, resource) >= settings.publications_per_user {
        true => Err(Refusal::at_limit(core)),
        false => Ok(()),
    }
}

/// The state after this PUBLISH, under a new tag (step 6).
fn next(
    core: &mut Core,
    now: Time,
    held: Option<Publication>,
    body: Option<Arc<[u8]>>,
) -> Publication {
    let stamp = (now, core.shard);
    let (id, tag) = (core.random.next_u64(), core.random.next_u64());
    let is_new = body.is_some();
    let held = held.unwrap_or(Publication {
        id,
        version: 0,
        stamp,
        tag,
        expires: now,
        body: None,
    });
    Publication {
        version: held.version + 1,
        stamp: if is_new { stamp } else { held.stamp },
        tag,
        body: body.or(held.body),
        ..held
    }
}

fn keep(core: &mut Core, now: Time, published: &Published) {
    core.state_agent.publish(published);
    if core.shards > 1 {
        core.state_agent.repeat(now, published);
        tell(core, published);
    }
}

/// Tells the other shards.
pub(super) fn tell(core: &mut Core, published: &Published) {
    for shard in (0..core.shards).filter(|it| *it != core.shard) {
        let word = Word::new(Said::Published(published.clone()));
        core.events.push_back(Event::ToShard { shard, word });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_one_spelling() {
        assert_eq!(read_tag(b"00000000000000ff"), Some(255));
        for other in ["ff", "00000000000000FF", "+0000000000000ff", ""] {
            assert_eq!(read_tag(other.as_bytes()), None, "{other}");
        }
    }
}
