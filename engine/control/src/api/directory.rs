//! The directory: domains and their users, pushed here and kept in memory. Secrets come in and never go out.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use router::{Credentials, Domain};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::NDJSON;
use crate::directory::{UploadStatus, no_domain, no_user, receive};
use crate::extract::{self, Path, Query, is_type};
use crate::names::{self, DomainName, UserName};
use crate::paging::{self, Page};
use crate::plane::Plane;
use crate::problem::Problem;

/// A domain as it is pushed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainBody {
    /// Who is told of registrations: an http or https URL, `http://host:port`.
    #[schema(max_length = 256, example = "http://192.0.2.7:8000")]
    control: Option<String>,
    /// Its users, all of them: those it had before are gone. Of two with one name the later one counts.
    users: Vec<UserBody>,
}

/// A user as it is pushed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// Its name.
    #[schema(pattern = "^[!-~]{1,128}$")]
    username: String,
    /// What it proves itself with, in clear text; only hashes are kept.
    #[schema(min_length = 1, max_length = 256, write_only)]
    secret: String,
}

/// A secret as it is pushed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretBody {
    /// What the user proves itself with, in clear text; only hashes are kept.
    #[schema(min_length = 1, max_length = 256, write_only)]
    secret: String,
}

/// Secrets are never printed.
impl std::fmt::Debug for UserBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserBody({})", self.username)
    }
}

/// One domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainView {
    /// Its name, lower case; the realm of its users.
    domain: String,
    /// Who is told of registrations.
    control: Option<String>,
    /// How many users it has.
    count: usize,
}

impl DomainView {
    fn of(domain: &Domain) -> DomainView {
        DomainView {
            domain: domain.name.to_string(),
            control: domain.control.as_deref().map(str::to_owned),
            count: domain.user_count(),
        }
    }
}

/// A page of domains.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Domains {
    /// In the order of their names.
    domains: Vec<DomainView>,
    /// The `cursor` of the next page; null after the last.
    next: Option<String>,
}

/// One domain with a page of its users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Users {
    /// The domain.
    #[serde(flatten)]
    domain: DomainView,
    /// Some of them, in an order that changes do not change.
    users: Vec<UserView>,
    /// The `cursor` of the next page; null after the last.
    next: Option<String>,
}

/// One user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// Its name.
    username: String,
}

/// A user that was put.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserPut {
    /// Its domain.
    domain: String,
    /// Its name.
    username: String,
}

/// Local domains.
#[utoipa::path(
    get, path = "/dir", tag = "directory", params(Page), responses((status = 200, body = Domains))
)]
pub(crate) async fn domains(
    State(plane): State<Plane>,
    Query(page): Query<Page>,
) -> Result<Json<Domains>, Problem> {
    let limit = paging::length(page.limit)?;
    let after = paging::after(page.cursor.as_deref())?;
    let directory = plane.book.current();
    let behind = |domain: &&Domain| after.as_deref().is_none_or(|after| *domain.name > *after);
    let mut all: Vec<&Domain> = directory.domains().map(|it| &**it).filter(behind).collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let (page, next) = paging::page_of(all.into_iter(), limit, |domain| domain.name.to_string());
    Ok(Json(Domains {
        domains: page.into_iter().map(DomainView::of).collect(),
        next,
    }))
}

/// One domain and its users, without their secrets.
#[utoipa::path(
    get, path = "/dir/{domain}", tag = "directory", params(DomainName, Page),
    responses((status = 200, body = Users))
)]
pub(crate) async fn users(
    State(plane): State<Plane>,
    Path(name): Path<DomainName>,
    Query(page): Query<Page>,
) -> Result<Json<Users>, Problem> {
    let domain = name.checked()?;
    let limit = paging::length(page.limit)?;
    let after = paging::after(page.cursor.as_deref())?;
    let directory = plane.book.current();
    let known = directory
        .domain(&domain)
        .ok_or_else(|| no_domain(&domain))?;
    let names = known.users_after(after.as_deref());
    let (names, next) = paging::page_of(names, limit, |name| (*name).to_owned());
    let view = |name: &str| UserView {
        username: name.to_owned(),
    };
    Ok(Json(Users {
        domain: DomainView::of(known),
        users: names.into_iter().map(view).collect(),
        next,
    }))
}

/// Adds a domain or replaces it, users and all. Many users go as application/x-ndjson, one user a line and
/// perhaps `{"control": URL}` in a line of its own; see /api/v1/upload for how far that is.
#[utoipa::path(
    put, path = "/dir/{domain}", tag = "directory", params(DomainName),
    request_body(content(
        (DomainBody = "application/json"),
        (String = "application/x-ndjson", example = "{\"username\":\"1003\",\"secret\":\"top secret\"}\n")
    )),
    responses(
        (status = 201, description = "In force", body = DomainView),
        (status = 409, description = "An upload to this domain is under way",
         body = crate::problem::ProblemBody, content_type = "application/problem+json")
    )
)]
pub(crate) async fn put_domain(
    State(plane): State<Plane>,
    Path(name): Path<DomainName>,
    request: Request,
) -> Result<(StatusCode, Json<DomainView>), Problem> {
    let name = name.checked()?;
    let domain = match is_type(request.headers(), NDJSON) {
        true => return upload(&plane, &name, request.into_body()).await,
        false => read(&name, request, &plane).await?,
    };
    let view = DomainView::of(&domain);
    plane.book.put_domain(&*plane.engine, domain).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

async fn upload(
    plane: &Plane,
    name: &str,
    body: Body,
) -> Result<(StatusCode, Json<DomainView>), Problem> {
    let upload = plane.book.uploads.begin(name)?;
    let room = plane.book.room_for(name);
    let patience = plane.settings.bounds.patience;
    let domain = receive(&upload, name, room, body, patience).await?;
    let view = DomainView::of(&domain);
    plane.book.put_domain(&*plane.engine, domain).await?;
    upload.done();
    tracing::info!(domain = name, users = view.count, "directory uploaded");
    Ok((StatusCode::CREATED, Json(view)))
}

async fn read(name: &str, request: Request, plane: &Plane) -> Result<Domain, Problem> {
    let extract::Json(body) = extract::Json::<DomainBody>::from_request(request, plane).await?;
    let mut domain = Domain::new(name, None, []);
    if let Some(control) = &body.control {
        names::control(control, "control")?;
        domain = domain.with_control(Some(control));
    }
    for (at, UserBody { username, secret }) in body.users.iter().enumerate() {
        names::user(username, &format!("users[{at}].username"))?;
        names::secret(secret, &format!("users[{at}].secret"))?;
        domain.put_user(username, Credentials::of(username, name, secret));
    }
    Ok(domain)
}

/// Removes a domain and its users.
#[utoipa::path(
    delete, path = "/dir/{domain}", tag = "directory", params(DomainName),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn remove_domain(
    State(plane): State<Plane>,
    Path(name): Path<DomainName>,
) -> Result<StatusCode, Problem> {
    let domain = name.checked()?;
    plane.book.remove_domain(&*plane.engine, &domain).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One user, without its secret.
#[utoipa::path(
    get, path = "/dir/{domain}/{user}", tag = "directory", params(UserName),
    responses((status = 200, body = UserPut))
)]
pub(crate) async fn user(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
) -> Result<Json<UserPut>, Problem> {
    let (domain, username) = name.checked()?;
    let directory = plane.book.current();
    let known = directory
        .domain(&domain)
        .ok_or_else(|| no_domain(&domain))?;
    known
        .credentials(&username)
        .ok_or_else(|| no_user(&username))?;
    Ok(Json(UserPut { domain, username }))
}

/// Adds a user, or changes its secret.
#[utoipa::path(
    put, path = "/dir/{domain}/{user}", tag = "directory", params(UserName),
    request_body = SecretBody, responses((status = 200, body = UserPut))
)]
pub(crate) async fn put_user(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
    extract::Json(SecretBody { secret }): extract::Json<SecretBody>,
) -> Result<Json<UserPut>, Problem> {
    let (domain, username) = name.checked()?;
    names::secret(&secret, "secret")?;
    let engine = &*plane.engine;
    plane
        .book
        .put_user(engine, &domain, &username, &secret)
        .await?;
    Ok(Json(UserPut { domain, username }))
}

/// Adds a user, or changes its secret: the same as PUT.
#[utoipa::path(
    patch, path = "/dir/{domain}/{user}", tag = "directory", params(UserName),
    request_body = SecretBody, responses((status = 200, body = UserPut))
)]
pub(crate) async fn patch_user(
    plane: State<Plane>,
    name: Path<UserName>,
    secret: extract::Json<SecretBody>,
) -> Result<Json<UserPut>, Problem> {
    put_user(plane, name, secret).await
}

/// Removes a user.
#[utoipa::path(
    delete, path = "/dir/{domain}/{user}", tag = "directory", params(UserName),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn remove_user(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
) -> Result<StatusCode, Problem> {
    let (domain, user) = name.checked()?;
    plane
        .book
        .remove_user(&*plane.engine, &domain, &user)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Uploads of users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadList {
    /// The newest first.
    uploads: Vec<UploadStatus>,
}

/// Uploads of users that are under way, and the last ones before.
#[utoipa::path(
    get, path = "/api/v1/upload", tag = "directory", responses((status = 200, body = UploadList))
)]
pub(crate) async fn uploads(State(plane): State<Plane>) -> Json<UploadList> {
    Json(UploadList {
        uploads: plane.book.uploads.all(),
    })
}
