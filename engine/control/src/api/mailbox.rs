//! What waits for a user, as whoever keeps the messages counts it: told to the user's phones (RFC 3842).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use router::{MessageCounts, MessageWaiting};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::{self, Path};
use crate::names::UserName;
use crate::plane::Plane;
use crate::problem::Problem;

/// What waits for a user.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mailbox {
    /// Whether there is something new: the lamp is lit.
    waiting: bool,
    /// Voice messages; left out: they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voice: Option<Counts>,
    /// Fax messages; left out: they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fax: Option<Counts>,
}

/// How many messages of one kind there are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// Not heard or read.
    new: u32,
    /// The others.
    old: u32,
}

impl Counts {
    fn messages(self) -> MessageCounts {
        let Counts { new, old } = self;
        MessageCounts { new, old }
    }
}

impl Mailbox {
    fn waiting(self) -> MessageWaiting {
        MessageWaiting {
            waiting: self.waiting,
            voice: self.voice.map(Counts::messages),
            fax: self.fax.map(Counts::messages),
        }
    }
}

/// Says what waits for a user. It is known until the router ends.
#[utoipa::path(
    put, path = "/api/v1/mwi/{domain}/{user}", tag = "directory", params(UserName),
    request_body = Mailbox, responses((status = 200, body = Mailbox))
)]
pub(crate) async fn put_mailbox(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
    extract::Json(mailbox): extract::Json<Mailbox>,
) -> Result<Json<Mailbox>, Problem> {
    let name = name.checked()?;
    let (engine, waiting) = (&*plane.engine, Some(mailbox.waiting()));
    plane.book.set_waiting(engine, &name, waiting).await?;
    Ok(Json(mailbox))
}

/// The messages of a user are not counted any more.
#[utoipa::path(
    delete, path = "/api/v1/mwi/{domain}/{user}", tag = "directory", params(UserName),
    responses((status = 204, description = "They are not"))
)]
pub(crate) async fn remove_mailbox(
    State(plane): State<Plane>,
    Path(name): Path<UserName>,
) -> Result<StatusCode, Problem> {
    let name = name.checked()?;
    let engine = &*plane.engine;
    plane.book.set_waiting(engine, &name, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
