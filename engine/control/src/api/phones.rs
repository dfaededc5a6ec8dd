//! Registered users with their contacts, as this room knows them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use router::{Binding, Registration};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::engine::Epoch;
use crate::extract::Query;
use crate::location::Location;
use crate::names;
use crate::paging;
use crate::plane::Plane;
use crate::problem::Problem;

/// Users looked at for one page; one that is not full by then is given with its cursor.
const LOOKED_AT: usize = 10_000;

/// Which users.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only this user, of any domain.
    #[param(pattern = "^[!-~]{1,128}$")]
    user: Option<String>,
    /// Only users with a contact in this state.
    #[param(inline)]
    state: Option<Reach>,
    /// Entries in a page; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 300)]
    cursor: Option<String>,
}

/// Whether a contact answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reach {
    /// It does, as far as is known.
    Reachable,
    /// Keep-alives to it have no answer.
    Unreachable,
}

/// A page of registered users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Phones {
    /// In the order of domains and users; a page may have fewer than asked for, or none, and yet go on.
    phones: Vec<Phone>,
    /// The `cursor` of the next page; null after the last.
    next: Option<String>,
}

/// One registered user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Phone {
    /// Its address-of-record.
    aor: String,
    /// Its name.
    user: String,
    /// Its domain.
    domain: String,
    /// Where it is reached, the newest last.
    contacts: Vec<Contact>,
}

/// One contact.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Contact {
    /// Its URI as registered.
    uri: String,
    /// Whether it answers.
    state: Reach,
    /// Its preference, from 0 to 1.
    q: f64,
    /// Where its REGISTER came from.
    #[schema(value_type = String)]
    remote: SocketAddr,
    /// What it calls itself.
    agent: String,
    /// `+sip.instance`.
    instance: Option<String>,
    /// Proxies on the way to it.
    path: String,
    /// When it was made or last refreshed, in milliseconds of Unix time.
    registered_unix_ms: u64,
    /// When it ends.
    expires_unix_ms: u64,
    /// Keep-alives in a row that had no answer.
    unanswered: u8,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reach(binding: &Binding) -> Reach {
    match binding.unreachable {
        true => Reach::Unreachable,
        false => Reach::Reachable,
    }
}

impl Contact {
    fn of(binding: &Binding, epoch: Epoch) -> Contact {
        Contact {
            uri: text(&binding.contact),
            state: reach(binding),
            q: f64::from(binding.q) / 1_000.0,
            remote: binding.source.remote,
            agent: text(&binding.user_agent),
            instance: binding.instance.as_deref().map(text),
            path: text(&binding.path),
            registered_unix_ms: epoch.unix_ms(binding.registered),
            expires_unix_ms: epoch.unix_ms(binding.expires),
            unanswered: binding.unanswered,
        }
    }
}

impl Phone {
    fn of(registration: &Registration, epoch: Epoch) -> Phone {
        let contact = |binding| Contact::of(binding, epoch);
        Phone {
            aor: registration.aor.to_string(),
            user: registration.aor.user().to_owned(),
            domain: registration.aor.domain().to_owned(),
            contacts: registration.bindings.iter().map(contact).collect(),
        }
    }
}

/// Registered users and their contacts.
#[utoipa::path(
    get, path = "/api/v1/phone", tag = "directory", params(Wanted),
    responses((status = 200, body = Phones))
)]
pub(crate) async fn phones(
    State(plane): State<Plane>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Phones>, Problem> {
    let limit = paging::length(wanted.limit)?;
    let after = paging::after(wanted.cursor.as_deref())?;
    if let Some(user) = &wanted.user {
        names::user(user, "user")?;
    }
    let (found, next) = find(&plane.location(), &wanted, after.as_deref(), limit);
    let of = |one: &Arc<Registration>| Phone::of(one, plane.epoch);
    Ok(Json(Phones {
        phones: found.iter().map(of).collect(),
        next: next.as_deref().map(paging::behind),
    }))
}

/// Those that match behind this place, and the place of the next page.
fn find(
    location: &Location,
    wanted: &Wanted,
    after: Option<&str>,
    limit: usize,
) -> (Vec<Arc<Registration>>, Option<String>) {
    let place = after.and_then(|after| after.split_once('\n'));
    let mut entries: Box<dyn Iterator<Item = &Arc<Registration>>> = match &wanted.user {
        Some(user) => Box::new(location.named(user, place)),
        None => Box::new(location.all(place)),
    };
    let of_state = |one: &Registration, state| one.bindings.iter().any(|b| reach(b) == state);
    let mut found = Vec::new();
    let mut last = None;
    for one in entries.by_ref().take(LOOKED_AT) {
        last = Some(one);
        if wanted.state.is_none_or(|state| of_state(one, state)) {
            found.push(Arc::clone(one));
        }
        if found.len() == limit {
            break;
        }
    }
    let more = entries.next().is_some();
    (found, last.filter(|_| more).map(|one| key(one)))
}

/// A place in the order of [`Location::all`].
fn key(registration: &Registration) -> String {
    format!("{}\n{}", registration.aor.domain(), registration.aor.user())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::tests::registration;

    fn walk(location: &Location, wanted: &Wanted, limit: usize) -> (Vec<String>, usize) {
        let (mut after, mut names, mut pages) = (None, Vec::new(), 0);
        loop {
            let (found, next) = find(location, wanted, after.as_deref(), limit);
            names.extend(found.iter().map(|one| one.aor.to_string()));
            pages += 1;
            after = next;
            if after.is_none() {
                return (names, pages);
            }
        }
    }

    #[test]
    fn every_user_is_on_one_page() {
        let mut location = Location::default();
        for n in 0..25_000 {
            let domain = ["a", "b"][n % 2];
            location.take(registration(&format!("{:05}", n / 2), domain, 1, 1));
        }
        let (names, pages) = walk(&location, &Wanted::default(), 1_000);
        assert_eq!((names.len(), pages), (25_000, 25));
        assert!(
            names
                .windows(2)
                .all(|two| two[0].split_once('@').map(|(u, d)| (d, u))
                    < two[1].split_once('@').map(|(u, d)| (d, u)))
        );
        let one = Wanted {
            user: Some("00042".into()),
            ..Wanted::default()
        };
        assert_eq!(
            walk(&location, &one, 1),
            (vec!["00042@a".into(), "00042@b".into()], 2)
        );
        let none = Wanted {
            state: Some(Reach::Unreachable),
            ..Wanted::default()
        };
        assert_eq!(
            walk(&location, &none, 10),
            (vec![], 3),
            "no page looks at too many"
        );
    }
}
