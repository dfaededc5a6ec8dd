//! Who may do what.

use axum::body::Body;
use axum::http::{StatusCode, header};

use super::{OPERATE, READ, World, settings};
use crate::settings::{Role, Secret, Token};

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let mut world = World::new();
    let path = format!("/api/v1/session/{}", "0".repeat(32));
    for (token, read, operate, admin) in [
        (None, 401, 401, 401),
        (Some("nobodys-nobodys-nobodys"), 401, 401, 401),
        (Some(READ), 200, 403, 403),
        (Some(OPERATE), 200, 503, 403),
        (Some(super::ADMIN), 200, 503, 404),
    ] {
        world.token = token;
        world.engine.paper().deaf = true;
        assert_eq!(world.get("/api/v1/stats").await.0, read, "{token:?}");
        assert_eq!(world.call("DELETE", &path).await.0, operate, "{token:?}");
        assert_eq!(world.call("DELETE", "/dir/a").await.0, admin, "{token:?}");
        assert_eq!(world.get("/").await.0, 200, "{token:?}");
    }
}

#[tokio::test]
async fn without_a_token_what_is_not_there_looks_as_what_is() {
    let mut world = World::new();
    world.token = None;
    let response = world
        .send(world.request("GET", "/nowhere", Body::empty()))
        .await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn without_tokens_only_this_machine_is_served() {
    let world = World::with(settings(false));
    assert_eq!(world.get("/api/v1/stats").await.0, 200);
    let mut request = world.request("GET", "/api/v1/stats", Body::empty());
    request
        .headers_mut()
        .insert(header::HOST, "evil.example".parse().expect("a host"));
    assert_eq!(world.send(request).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_tokens_count_from_the_reload_on() {
    let mut world = World::new();
    let mut other = settings(false);
    other.tokens.push(Token {
        role: Role::Read,
        secret: Secret::Inline("another-another-another".into()),
    });
    world.plane.renew(other.secure().expect("safe"));
    assert_eq!(world.get("/api/v1/stats").await.0, 401);
    world.token = Some("another-another-another");
    assert_eq!(world.get("/api/v1/stats").await.0, 200);
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let mut settings = settings(true);
    settings.bounds.requests_per_s = 20;
    let world = World::with(settings);
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(world.get("/reg").await.0);
    }
    assert_eq!(statuses[..20], [200; 20]);
    assert!(statuses.contains(&429));
    let response = world
        .send(world.request("GET", "/reg", Body::empty()))
        .await;
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    assert!(!refused || response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_body_has_a_bound_and_a_time() {
    let world = World::new();
    let long = format!("{{\"secret\":\"{}\"}}", "x".repeat(5_000));
    let (status, problem) = world.json("PUT", "/dir/a/u", &long).await;
    assert_eq!((status, problem["field"].as_str()), (413, Some("body")));
    let never = Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let (status, _) = world
        .typed("PUT", "/dir/a/u", "application/json", never)
        .await;
    assert_eq!(status, 408);
    let never = Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let (status, _) = world
        .typed("PUT", "/dir/a", "application/x-ndjson", never)
        .await;
    assert_eq!(status, 408);
}
