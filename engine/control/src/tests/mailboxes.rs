//! What waits for users.

use router::{MessageCounts, MessageWaiting};

use super::World;

const PATH: &str = "/api/v1/mwi/EXAMPLE.com/1003";

async fn world() -> World {
    with_a_user(World::new()).await
}

async fn with_a_user(world: World) -> World {
    let users = r#"{"users":[{"username":"1003","secret":"s"}]}"#;
    assert_eq!(world.json("PUT", "/dir/example.com", users).await.0, 201);
    world
}

#[tokio::test]
async fn every_shard_is_told_what_waits() {
    let world = world().await;
    let body = r#"{"voice":{"new":2,"old":8},"waiting":true}"#;
    let (status, told) = world.json("PUT", PATH, body).await;
    assert_eq!((status, told.to_string().as_str()), (200, body));
    assert_eq!(world.call("DELETE", PATH).await.0, 204);
    let waiting = MessageWaiting {
        waiting: true,
        voice: Some(MessageCounts { new: 2, old: 8 }),
        fax: None,
    };
    let aor = || "1003@example.com".to_owned();
    let expected = [0, 1].map(|shard| (shard, aor(), Some(waiting)));
    let forgotten = [0, 1].map(|shard| (shard, aor(), None));
    assert_eq!(world.engine.paper().waiting, [expected, forgotten].concat());
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = world().await;
    for (path, body, status) in [
        ("/api/v1/mwi/example.com/1004", r#"{"waiting":false}"#, 404),
        ("/api/v1/mwi/example.org/1003", r#"{"waiting":false}"#, 404),
        (PATH, r#"{"voice":{"new":1,"old":1}}"#, 400),
        (PATH, r#"{"waiting":true,"voice":{"new":-1,"old":1}}"#, 400),
        (PATH, r#"{"waiting":true,"mail":3}"#, 400),
    ] {
        let (told, problem) = world.json("PUT", path, body).await;
        assert_eq!(told, status, "{path} {body} {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_hear_of_it_is_told_of() {
    let mut settings = super::settings(true);
    settings.bounds.patience = std::time::Duration::from_secs(60);
    let world = with_a_user(World::with(settings)).await;
    world.engine.paper().deaf = true;
    let (told, _) = world.json("PUT", PATH, r#"{"waiting":false}"#).await;
    assert_eq!(told, 503);
}
