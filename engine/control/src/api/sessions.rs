//! Calls in progress. Shards are asked for them page by page, each page one short question, so that a
//! million calls stall nobody.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use router::{
    CallDetail, CallState, CallView, CallsPage, LegView, Question, Said, StreamView, TimelineEntry,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::engine::Epoch;
use crate::extract::{Path, Query};
use crate::names;
use crate::paging;
use crate::plane::Plane;
use crate::problem::Problem;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionState {
    /// The INVITE has left, nothing rings yet.
    Trying,
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// A BYE, CANCEL or final response is under way.
    Ending,
}

impl From<CallState> for SessionState {
    fn from(state: CallState) -> SessionState {
        match state {
            CallState::Trying => SessionState::Trying,
            CallState::Ringing => SessionState::Ringing,
            CallState::Answered => SessionState::Answered,
            CallState::Ending => SessionState::Ending,
        }
    }
}

impl From<SessionState> for CallState {
    fn from(state: SessionState) -> CallState {
        match state {
            SessionState::Trying => CallState::Trying,
            SessionState::Ringing => CallState::Ringing,
            SessionState::Answered => CallState::Answered,
            SessionState::Ending => CallState::Ending,
        }
    }
}

/// Which calls.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only where this is the user of the caller or of the called number.
    #[param(pattern = "^[!-~]{1,128}$")]
    user: Option<String>,
    /// Only in this state.
    #[param(inline)]
    state: Option<SessionState>,
    /// Entries in a page; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 300)]
    cursor: Option<String>,
}

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// Those that match, in no order; a page may have fewer than asked for, or none, and yet go on.
    sessions: Vec<Session>,
    /// The `cursor` of the next page; null after the last.
    next: Option<String>,
}

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Names it as long as it lives.
    id: String,
    /// How far it is.
    state: SessionState,
    /// The user, or the whole URI, in the caller's From.
    from: String,
    /// The user of the Request-URI as it came.
    to: String,
    /// Where the caller is.
    #[schema(value_type = String)]
    caller: SocketAddr,
    /// Where the callee is; null until that is known.
    #[schema(value_type = Option<String>)]
    callee: Option<SocketAddr>,
    /// When its INVITE came, in milliseconds of Unix time.
    began_unix_ms: u64,
    /// When it was answered.
    answered_unix_ms: Option<u64>,
}

impl Session {
    fn of(view: CallView, epoch: Epoch) -> Session {
        Session {
            id: view.id,
            state: view.state.into(),
            from: view.from,
            to: view.to,
            caller: view.caller,
            callee: view.callee,
            began_unix_ms: epoch.unix_ms(view.began),
            answered_unix_ms: view.answered.map(|at| epoch.unix_ms(at)),
        }
    }
}

/// One call in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionDetail {
    /// As in the list.
    #[serde(flatten)]
    session: Session,
    /// The caller's leg, then the callee's.
    legs: Vec<Leg>,
    /// The route it took: the record of the routing DB, `location`, `echo` or `dialog`.
    route: String,
    /// Why this one.
    why: String,
    /// Streams that go through the router.
    streams: Vec<Stream>,
    /// The messages so far, oldest first; of very many those in the middle are left out.
    timeline: Vec<Message>,
}

/// One leg of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Leg {
    /// Its Call-ID.
    call_id: String,
    /// The router's tag.
    local_tag: String,
    /// The peer's tag; empty until it has one.
    remote_tag: String,
    /// The peer's Contact.
    remote_target: String,
    /// Where its requests are sent.
    #[schema(value_type = String)]
    remote: SocketAddr,
    /// The last session description it sent, in one line.
    session: String,
}

impl From<LegView> for Leg {
    fn from(leg: LegView) -> Leg {
        Leg {
            call_id: leg.call_id,
            local_tag: leg.local_tag,
            remote_tag: leg.remote_tag,
            remote_target: leg.remote_target,
            remote: leg.remote,
            session: leg.session,
        }
    }
}

/// One media stream through the router; figures are of the caller, then of the callee.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stream {
    /// Index of its m= line.
    line: u16,
    /// Packets each has sent.
    packets: [u64; 2],
    /// Octets of payload.
    octets: [u64; 2],
    /// Packets lost on the way to the router.
    lost: [u64; 2],
    /// Jitter in microseconds.
    jitter_us: [u64; 2],
}

impl From<StreamView> for Stream {
    fn from(stream: StreamView) -> Stream {
        Stream {
            line: stream.line,
            packets: stream.packets,
            octets: stream.octets,
            lost: stream.lost,
            jitter_us: stream.jitter_us,
        }
    }
}

/// One message of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    /// When, in milliseconds of Unix time.
    at_unix_ms: u64,
    /// On whose leg.
    #[schema(inline)]
    leg: Side,
    /// Whether the router received or sent it.
    #[schema(inline)]
    direction: Direction,
    /// The status code of a response; null for a request.
    code: Option<u16>,
    /// The method of the request, or that the response answers.
    method: &'static str,
    /// It carried a body.
    with_body: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Side {
    Caller,
    Callee,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}

impl Message {
    fn of(entry: &TimelineEntry, epoch: Epoch) -> Message {
        Message {
            at_unix_ms: epoch.unix_ms(entry.at),
            leg: if entry.on_caller_leg {
                Side::Caller
            } else {
                Side::Callee
            },
            direction: if entry.received {
                Direction::In
            } else {
                Direction::Out
            },
            code: (entry.code != 0).then_some(entry.code),
            method: entry.method,
            with_body: entry.with_body,
        }
    }
}

/// Calls in progress.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "calls", params(Wanted),
    responses((status = 200, body = Sessions))
)]
pub(crate) async fn sessions(
    State(plane): State<Plane>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Sessions>, Problem> {
    let engine = &*plane.engine;
    let limit = paging::length(wanted.limit)?;
    let place = paging::place(wanted.cursor.as_deref(), engine.shards())?;
    if let Some(user) = &wanted.user {
        names::user(user, "user")?;
    }
    let page = CallsPage {
        from: 0,
        limit: limit as u16,
        state: wanted.state.map(Into::into),
        user: wanted.user,
    };
    let (calls, next) = plane.asking.calls(engine, place, &page).await?;
    let of = |view| Session::of(view, plane.epoch);
    Ok(Json(Sessions {
        sessions: calls.into_iter().map(of).collect(),
        next: next.map(paging::at),
    }))
}

/// Which call.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Id {
    /// The call's id: 32 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{32}$")]
    id: String,
}

/// The shard a call's id names: its first byte.
fn shard_of(id: &str, shards: u8) -> Result<u8, Problem> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if id.len() != 32 || !id.bytes().all(digit) {
        return Err(Problem::field(
            "id",
            "must be 32 hexadecimal digits, lower case",
        ));
    }
    let shard = id
        .get(..2)
        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
    shard
        .filter(|shard| *shard < shards)
        .ok_or_else(|| no_call(id))
}

fn no_call(id: &str) -> Problem {
    Problem::not_found("id", format!("there is no call {id}, or it has ended"))
}

/// One call in full.
#[utoipa::path(
    get, path = "/api/v1/session/{id}", tag = "calls", params(Id),
    responses((status = 200, body = SessionDetail))
)]
pub(crate) async fn session(
    State(plane): State<Plane>,
    Path(Id { id }): Path<Id>,
) -> Result<Json<SessionDetail>, Problem> {
    let shard = shard_of(&id, plane.engine.shards())?;
    let said = plane
        .asking
        .ask(&*plane.engine, shard, Question::Call(id.clone()))
        .await?;
    let Said::Call(Some(call)) = said else {
        return Err(no_call(&id));
    };
    let CallDetail {
        view,
        legs,
        route,
        why,
        streams,
        timeline,
    } = *call;
    Ok(Json(SessionDetail {
        session: Session::of(view, plane.epoch),
        legs: legs.into_iter().map(Into::into).collect(),
        route,
        why,
        streams: streams.into_iter().map(Into::into).collect(),
        timeline: timeline
            .iter()
            .map(|entry| Message::of(entry, plane.epoch))
            .collect(),
    }))
}

/// Hangs a call up: BYE or CANCEL to both parties.
#[utoipa::path(
    delete, path = "/api/v1/session/{id}", tag = "calls", params(Id),
    responses((status = 204, description = "It is being hung up"))
)]
pub(crate) async fn hang_up(
    State(plane): State<Plane>,
    Path(Id { id }): Path<Id>,
) -> Result<StatusCode, Problem> {
    let shard = shard_of(&id, plane.engine.shards())?;
    let said = plane
        .asking
        .ask(&*plane.engine, shard, Question::HangUp(id.clone()))
        .await?;
    match said {
        Said::HungUp(true) => Ok(StatusCode::NO_CONTENT),
        _ => Err(no_call(&id)),
    }
}
