//! The HTTP API: its paths, and the document that describes them. Handlers by subject; each is small and asks
//! other parts of this room.

mod config;
mod directory;
mod events;
mod home;
mod me;
mod phones;
mod registrations;
mod sessions;
mod stats;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, schema::ComponentsBuilder,
};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access;
use crate::extract::is_type;
use crate::page;
use crate::plane::Plane;
use crate::problem::{PROBLEM_JSON, Problem, ProblemBody};

/// The media type of users, one a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "tipring",
        description = "The control plane of the SIP session router tipring.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "router", description = "Numbers, configuration, events"),
        (name = "calls", description = "Calls in progress"),
        (name = "directory", description = "Who the users are, and where")
    )
)]
struct Head;

fn routes() -> OpenApiRouter<Plane> {
    OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(home::home))
        .routes(routes!(home::openapi))
        .routes(routes!(me::me))
        .routes(routes!(stats::stats))
        .routes(routes!(stats::history))
        .routes(routes!(stats::metrics))
        .routes(routes!(config::config, config::reload))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::session, sessions::hang_up))
        .routes(routes!(phones::phones))
        .routes(routes!(events::events))
        .routes(routes!(directory::uploads))
        .routes(routes!(directory::domains))
        .routes(routes!(
            directory::users,
            directory::put_domain,
            directory::remove_domain
        ))
        .routes(routes!(
            directory::user,
            directory::put_user,
            directory::patch_user,
            directory::remove_user
        ))
        .routes(routes!(registrations::count))
        .routes(routes!(registrations::domain))
        .routes(routes!(registrations::user))
}

/// The OpenAPI document, complete.
pub fn document() -> OpenApi {
    let mut document = routes().into_openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.take().unwrap_or_default();
    let mut more = Vec::new();
    ProblemBody::schemas(&mut more);
    let components = ComponentsBuilder::from(components)
        .schema("Problem", ProblemBody::schema())
        .schemas_from_iter(more)
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .build();
    document.components = Some(components);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (&mut item.get, false),
            (&mut item.put, true),
            (&mut item.post, true),
            (&mut item.patch, true),
            (&mut item.delete, true),
        ];
        for (operation, _) in operations {
            if let Some(operation) = operation {
                complete(path, operation);
            }
        }
    }
    document
}

/// What every operation has: the token it needs, and how it is refused.
fn complete(path: &str, operation: &mut Operation) {
    let open = matches!(path, "/" | "/api/v1/openapi.json");
    if !open {
        let bearer = SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []);
        operation.security = Some(vec![bearer]);
    }
    let always: &[(&str, &str)] = &[
        ("400", "Something is wrong; `field` says what"),
        ("401", "A token is needed"),
        (
            "403",
            "The token's role may not do this, or the request is from elsewhere",
        ),
        ("408", "The request did not come in time"),
        ("429", "Too many requests from this address"),
        ("503", "Not now"),
    ];
    let named: &[(&str, &str)] = &[("404", "There is none of this name")];
    let written: &[(&str, &str)] = &[("413", "Too much"), ("415", "Not this media type")];
    let named = named.iter().filter(|_| path.contains('{'));
    let written = written.iter().filter(|_| operation.request_body.is_some());
    let refusals: Vec<_> = always.iter().chain(named).chain(written).collect();
    for (status, description) in refusals {
        let responses = &mut operation.responses.responses;
        let refusal = || RefOr::T(refusal(description));
        responses
            .entry((*status).to_owned())
            .or_insert_with(refusal);
    }
}

fn refusal(description: &str) -> utoipa::openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content)
        .build()
}

/// All paths behind the door.
pub(crate) fn router(plane: &Plane) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .route(page::FILE, get(page::file))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(plane.settings.bounds.body_bytes))
        .layer(middleware::from_fn_with_state(plane.clone(), in_time))
        .layer(middleware::from_fn_with_state(plane.clone(), access::guard))
        .layer(middleware::from_fn(count))
        .with_state(plane.clone())
}

async fn nothing_here() -> Problem {
    Problem::not_found(
        "path",
        "there is nothing at this path; / lists what there is",
    )
}

async fn not_this_method(method: Method) -> Problem {
    let detail = format!("{method} is not for this path");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).about("method")
}

/// A request takes no longer than `http.timeout_s`. An upload of users takes what it takes: there each pause
/// is bounded.
async fn in_time(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    if is_type(request.headers(), NDJSON) {
        return next.run(request).await;
    }
    match tokio::time::timeout(plane.settings.bounds.patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "the request did not come, or could not be answered, in http.timeout_s";
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
        }
    }
}

async fn count(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let class = match response.status().as_u16() {
        ..400 => "2xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("tipring_http_requests_total", "class" => class).increment(1);
    response
}
