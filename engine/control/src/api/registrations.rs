//! Who is registered, in the shape mediaswitch's programs know.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use router::{Binding, Registration};
use serde::Serialize;
use utoipa::ToSchema;

use crate::directory::{no_domain, no_user};
use crate::engine::Epoch;
use crate::extract::{Path, Query};
use crate::names::{DomainName, UserName};
use crate::paging::{self, Page};
use crate::plane::Plane;
use crate::problem::Problem;

/// How many.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    /// Registered users of all domains.
    count: usize,
}

/// Registered users of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainRegistrations {
    /// The domain.
    domain: String,
    /// Its users in the directory.
    count: usize,
    /// Of its users, how many are registered.
    registered: usize,
    /// By name.
    users: BTreeMap<String, UserRegistration>,
    /// The `cursor` of the next page; null after the last.
    next: Option<String>,
}

/// One user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserRegistration {
    /// Whether it has a contact.
    registered: bool,
    /// Keep-alives in a row to its newest contact that had no answer.
    outstandingping: u8,
    /// Where its newest REGISTER came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<Remote>,
    /// When things happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<Epochs>,
}

/// Where somebody is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Remote {
    /// The address.
    #[schema(value_type = String)]
    host: IpAddr,
    /// The port.
    port: u16,
    /// What it calls itself.
    agent: String,
}

/// Times in seconds of Unix time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Epochs {
    /// The last REGISTER.
    registered: u64,
}

impl UserRegistration {
    fn of(binding: Option<&Binding>, epoch: Epoch) -> UserRegistration {
        UserRegistration {
            registered: binding.is_some(),
            outstandingping: binding.map_or(0, |binding| binding.unanswered),
            remote: binding.map(|binding| Remote {
                host: binding.source.remote.ip(),
                port: binding.source.remote.port(),
                agent: String::from_utf8_lossy(&binding.user_agent).into_owned(),
            }),
            epochs: binding.map(|binding| Epochs {
                registered: epoch.unix_s(binding.registered),
            }),
        }
    }
}

/// How many users are registered.
#[utoipa::path(get, path = "/reg", operation_id = "registered", tag = "directory", responses((status = 200, body = Count)))]
pub(crate) async fn count(State(plane): State<Plane>) -> Json<Count> {
    Json(Count {
        count: plane.location().count(),
    })
}

/// Registered users of a domain.
#[utoipa::path(
    get, path = "/reg/{domain}", operation_id = "registered_of_domain", tag = "directory", params(DomainName, Page),
    responses((status = 200, body = DomainRegistrations))
)]
pub(crate) async fn domain(
    State(plane): State<Plane>,
    Path(name): Path<DomainName>,
    Query(page): Query<Page>,
) -> Result<Json<DomainRegistrations>, Problem> {
    let domain = name.checked()?;
    let limit = paging::length(page.limit)?;
    let after = paging::after(page.cursor.as_deref())?;
    let mut answer = summary(&plane, domain)?;
    let location = plane.location();
    let users = location.users(&answer.domain, after.as_deref());
    let name = |one: &&Arc<Registration>| one.aor.user().to_owned();
    let (users, next) = paging::page_of(users, limit, name);
    let view = |one: &Arc<Registration>| {
        let newest = UserRegistration::of(one.bindings.last(), plane.epoch);
        (one.aor.user().to_owned(), newest)
    };
    answer.users = users.into_iter().map(view).collect();
    answer.next = next;
    Ok(Json(answer))
}

/// The numbers of a domain; 404 when it is neither in the directory nor has anybody registered.
fn summary(plane: &Plane, domain: String) -> Result<DomainRegistrations, Problem> {
    let known = plane
        .book
        .current()
        .domain(&domain)
        .map(|known| known.user_count());
    let registered = plane.location().count_of(&domain);
    if known.is_none() && registered == 0 {
        return Err(no_domain(&domain));
    }
    Ok(DomainRegistrations {
        domain,
        count: known.unwrap_or(registered),
        registered,
        users: BTreeMap::new(),
        next: None,
    })
}

/// Whether a user is registered, and where.
#[utoipa::path(
    get, path = "/reg/{domain}/{user}", operation_id = "registered_user", tag = "directory", params(UserName),
    responses((status = 200, body = DomainRegistrations))
)]
pub(crate) async fn user(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
) -> Result<Json<DomainRegistrations>, Problem> {
    let (domain, user) = name.checked()?;
    let mut answer = summary(&plane, domain)?;
    let registration = plane.location().of(&answer.domain, &user).cloned();
    let directory = plane.book.current();
    let known = directory
        .domain(&answer.domain)
        .and_then(|known| known.credentials(&user));
    if registration.is_none() && known.is_none() {
        return Err(no_user(&user));
    }
    let binding = registration.as_ref().and_then(|one| one.bindings.last());
    answer
        .users
        .insert(user, UserRegistration::of(binding, plane.epoch));
    Ok(Json(answer))
}
