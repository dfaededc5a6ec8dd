//! The configuration in force, and its reload.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::engine::{Reloaded, SettingsView};
use crate::plane::Plane;
use crate::problem::Problem;

/// How long a reload may take: a large routing DB is compiled.
const PATIENCE: Duration = Duration::from_secs(20);

/// The configuration in force, secrets left out.
#[utoipa::path(get, path = "/api/v1/config", tag = "router", responses((status = 200, body = SettingsView)))]
pub(crate) async fn config(State(plane): State<Plane>) -> Json<SettingsView> {
    Json(plane.engine.settings())
}

/// Reads the configuration, the routing DB, tokens and the certificate again, as SIGHUP does. A mistake
/// anywhere changes nothing.
#[utoipa::path(
    patch, path = "/api/v1/config", tag = "router",
    responses(
        (status = 200, description = "In force", body = Reloaded),
        (status = 422, description = "Nothing was changed; `reasons` has every mistake",
         body = crate::problem::ProblemBody, content_type = "application/problem+json")
    )
)]
pub(crate) async fn reload(State(plane): State<Plane>) -> Result<Json<Reloaded>, Problem> {
    let outcome = plane.engine.reload().ok_or_else(gone)?;
    match tokio::time::timeout(PATIENCE, outcome).await {
        Ok(Ok(Ok(reloaded))) => Ok(Json(reloaded)),
        Ok(Ok(Err(reasons))) => {
            let detail = "the configuration has mistakes: nothing was changed";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).because(reasons))
        }
        _ => Err(gone()),
    }
}

fn gone() -> Problem {
    Problem::busy("the router starts or ends and does not reload now")
}
