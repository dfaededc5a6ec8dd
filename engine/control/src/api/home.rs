//! What there is: links for people, a document for programs. Both are for everybody.

use axum::Json;
use serde::Serialize;
use std::sync::OnceLock;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::api;

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

const LINKS: [(&str, &str); 10] = [
    ("/api/v1/openapi.json", "The API as an OpenAPI document"),
    ("/api/v1/stats", "Numbers of the router and its shards"),
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

/// What there is.
#[utoipa::path(get, path = "/", tag = "router", responses((status = 200, body = Home)))]
pub(crate) async fn home() -> Json<Home> {
    let links = LINKS.map(|(href, title)| Link { href, title });
    Json(Home {
        name: "tipring",
        links: links.into(),
    })
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
