//! Server-sent events: what goes on, for as long as a client listens. A client that is too slow is told what
//! it missed and cut.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use utoipa::IntoParams;

use crate::events::{Event, TYPES};
use crate::extract::Query;
use crate::plane::Plane;
use crate::problem::Problem;

/// Readers at once.
const READERS: usize = 64;
/// So often a silent stream shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Types of events with commas between: call-started, call-ringing, call-answered, call-ended, registered,
    /// refreshed, unregistered, expired, reachability, peer-up, peer-down, reload. All when left out.
    #[param(example = "call-started,call-ended")]
    r#type: Option<String>,
}

/// One reader.
struct Reader {
    events: Receiver<Arc<Event>>,
    renewed: watch::Receiver<()>,
    types: Vec<&'static str>,
    cut: bool,
    _seat: Seat,
}

/// A reader's place among all; given back when the client has gone.
struct Seat {
    plane: Plane,
    hears_calls: bool,
}

impl Seat {
    fn take(plane: &Plane, types: &[&str]) -> Option<Seat> {
        let hears_calls = types.iter().any(|name| name.starts_with("call-"));
        let taken = plane.readers.send_if_modified(|readers| {
            let free = *readers < READERS;
            *readers += usize::from(free);
            free
        });
        if !taken {
            return None;
        }
        let watching = usize::from(hears_calls);
        plane.watchers.send_modify(|watchers| *watchers += watching);
        let plane = plane.clone();
        Some(Seat { plane, hears_calls })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let watching = usize::from(self.hears_calls);
        self.plane.readers.send_modify(|readers| *readers -= 1);
        let watchers = &self.plane.watchers;
        watchers.send_modify(|watchers| *watchers -= watching);
    }
}

/// What goes on, as server-sent events. The data of each is an Event as JSON. A reader that is too slow gets an
/// event `cut` with the number of those it missed, and the stream ends; so it does without a word when tokens
/// change.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "router", params(Wanted),
    responses((status = 200, description = "A stream of Events", body = Event, content_type = "text/event-stream"))
)]
pub(crate) async fn events(
    State(plane): State<Plane>,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let types = types(wanted.r#type.as_deref())?;
    let seat = Seat::take(&plane, &types);
    let seat = seat.ok_or_else(|| Problem::busy("64 clients listen to events already"))?;
    let reader = Reader {
        events: plane.events.listen(),
        renewed: plane.renewed.subscribe(),
        types,
        cut: false,
        _seat: seat,
    };
    let keep_alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(stream::unfold(reader, Reader::next)).keep_alive(keep_alive))
}

/// The types that are wanted, all when none is named.
fn types(wanted: Option<&str>) -> Result<Vec<&'static str>, Problem> {
    let Some(wanted) = wanted else {
        return Ok(TYPES.to_vec());
    };
    let known = |name: &str| TYPES.iter().find(|known| **known == name).copied();
    let unknown = |name: &str| {
        let detail = format!(
            "\"{name}\" is no type of event; there are {}",
            TYPES.join(", ")
        );
        Problem::field("type", detail)
    };
    let wanted = wanted.split(',').map(str::trim);
    wanted
        .map(|name| known(name).ok_or_else(|| unknown(name)))
        .collect()
}

impl Reader {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Reader)> {
        loop {
            if self.cut {
                return None;
            }
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = self.renewed.changed() => return None,
            };
            match event {
                Ok(event) if !self.types.contains(&event.name()) => {}
                Ok(event) => {
                    let shown = sse::Event::default().event(event.name());
                    // Texts and numbers always have a JSON form.
                    let shown = shown.json_data(&*event).unwrap_or_default();
                    return Some((Ok(shown), self));
                }
                Err(RecvError::Lagged(missed)) => {
                    metrics::counter!("tipring_event_readers_cut_total").increment(1);
                    self.cut = true;
                    let data = format!("{{\"missed\":{missed}}}");
                    return Some((Ok(sse::Event::default().event("cut").data(data)), self));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_as_they_are() {
        assert_eq!(types(None).unwrap().len(), TYPES.len());
        assert_eq!(
            types(Some("reload, call-ended")).unwrap(),
            ["reload", "call-ended"]
        );
        assert!(types(Some("")).is_err() && types(Some("reload,calls")).is_err());
    }
}
