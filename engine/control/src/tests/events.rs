//! The stream of events.

use std::net::SocketAddr;

use axum::body::Body;
use http_body_util::BodyExt;

use super::World;
use crate::events::tests::call;
use crate::news::News;
use crate::notifier::Notifier;

fn peer(up: bool) -> News {
    let address: SocketAddr = ([192, 0, 2, 1], 5060).into();
    News::Peer { address, up }
}

async fn next(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.expect("a frame");
    Some(String::from_utf8_lossy(&frame.into_data().expect("data")).into_owned())
}

async fn listen(world: &World, query: &str) -> Body {
    let path = format!("/api/v1/events{query}");
    let response = world.send(world.request("GET", &path, Body::empty())).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let world = World::new();
    let mut body = listen(&world, "?type=peer-down,call-ringing").await;
    let mut notifier = Notifier::new();
    world.plane.hear(peer(true), &mut notifier);
    world
        .plane
        .hear(News::Progress(Box::new(call())), &mut notifier);
    world.plane.hear(peer(false), &mut notifier);
    let ringing = next(&mut body).await.expect("an event");
    assert!(
        ringing.starts_with("event: call-ringing\ndata: {\"type\":\"call-ringing\""),
        "{ringing}"
    );
    let down = next(&mut body).await.expect("an event");
    assert_eq!(
        down,
        "event: peer-down\ndata: {\"type\":\"peer-down\",\"address\":\"192.0.2.1:5060\"}\n\n"
    );
    let (status, problem) = world.get("/api/v1/events?type=odd").await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("type")));
}

#[tokio::test]
async fn who_is_too_slow_is_cut_with_a_count() {
    let world = World::new();
    let mut body = listen(&world, "").await;
    (0..5_000).for_each(|_| world.plane.hear(peer(true), &mut Notifier::new()));
    let cut = next(&mut body).await.expect("a last word");
    assert_eq!(cut, "event: cut\ndata: {\"missed\":904}\n\n");
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn streams_end_when_tokens_change() {
    let world = World::new();
    let mut body = listen(&world, "").await;
    world
        .plane
        .renew(super::settings(true).secure().expect("safe"));
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn seats_are_given_back() {
    let world = World::new();
    let mut bodies = Vec::new();
    for _ in 0..64 {
        bodies.push(listen(&world, "").await);
    }
    assert_eq!(world.get("/api/v1/events").await.0, 503);
    assert_eq!(*world.plane.readers.borrow(), 64);
    bodies.clear();
    assert_eq!(*world.plane.readers.borrow(), 0);
    drop(listen(&world, "").await);
}

#[tokio::test]
async fn shards_tell_of_calls_only_while_somebody_listens_to_that() {
    let world = World::new();
    let watchers = || *world.plane.watchers.borrow();
    let quiet = listen(&world, "?type=peer-down,reload").await;
    assert_eq!((*world.plane.readers.borrow(), watchers()), (1, 0));
    let calls = listen(&world, "?type=reload,call-ended").await;
    assert_eq!(watchers(), 1);
    drop((quiet, calls));
    assert_eq!((*world.plane.readers.borrow(), watchers()), (0, 0));
}
