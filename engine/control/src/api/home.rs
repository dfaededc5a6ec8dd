//! What there is: the page for people, links and a document for programs. All are for everybody.

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::OnceLock;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::{api, page};

/// Where things are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Home {
    /// What this is.
    name: &'static str,
    /// Paths by what is there.
    links: Vec<Link>,
}

/// One place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// Its path.
    href: &'static str,
    /// What is there.
    title: &'static str,
}

const LINKS: [(&str, &str); 12] = [
    ("/api/v1/openapi.json", "The API as an OpenAPI document"),
    ("/api/v1/me", "What this token may do"),
    ("/api/v1/stats", "Numbers of the router and its shards"),
    (
        "/api/v1/history",
        "The last five minutes of the main numbers",
    ),
    ("/api/v1/session", "Calls in progress"),
    ("/api/v1/phone", "Registered users and their contacts"),
    (
        "/api/v1/config",
        "The configuration in force; PATCH reads it again",
    ),
    ("/api/v1/events", "What goes on, as a stream of events"),
    ("/api/v1/upload", "Uploads of users, under way and past"),
    ("/dir", "The directory: domains and users"),
    ("/reg", "Who is registered"),
    ("/metrics", "Metrics for Prometheus"),
];

/// What there is: the operator's page for a browser, else a list of links.
#[utoipa::path(
    get, path = "/", tag = "router",
    responses((status = 200, content(
        (Home = "application/json"),
        (String = "text/html")
    )))
)]
pub(crate) async fn home(headers: HeaderMap) -> Response {
    if wants_page(&headers) {
        return page::index();
    }
    let links = LINKS.map(|(href, title)| Link { href, title });
    let home = Home {
        name: "tipring",
        links: links.into(),
    };
    ([(header::VARY, "Accept")], Json(home)).into_response()
}

/// Browsers name `text/html` (RFC 9110 12.5.1); programs that take anything get what they can read.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.to_ascii_lowercase().contains("text/html"))
}

/// This API as an OpenAPI 3.1 document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "router",
    responses((status = 200, description = "The document", body = serde_json::Value))
)]
pub(crate) async fn openapi() -> Json<&'static OpenApi> {
    static DOCUMENT: OnceLock<OpenApi> = OnceLock::new();
    Json(DOCUMENT.get_or_init(api::document))
}
