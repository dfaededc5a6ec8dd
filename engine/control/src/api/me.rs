//! Who asks: what a client may do with its token, so that it offers nothing else.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::plane::Plane;
use crate::settings::Role;

/// What the sender of a request may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The role of its token; a later one of `read`, `operate` and `admin` includes the earlier ones.
    #[schema(inline)]
    role: Role,
    /// No token is needed: `http.tokens` is empty, and only programs of this machine are served.
    open: bool,
}

/// What this token may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "router", responses((status = 200, body = Me)))]
pub(crate) async fn me(State(plane): State<Plane>, headers: HeaderMap) -> Json<Me> {
    let security = plane.security.load();
    let tokens = &security.tokens;
    Json(Me {
        // The door has let it in; tokens that changed since leave it the least.
        role: tokens.role(&headers).unwrap_or(Role::Read),
        open: tokens.is_empty(),
    })
}
