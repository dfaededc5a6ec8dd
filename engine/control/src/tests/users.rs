//! Registrations: in mediaswitch's shape, and as phones.

use router::{LocationCause, LocationChange};

use super::World;
use crate::location::tests::registration;
use crate::news::News;
use crate::notifier::Notifier;

async fn world() -> World {
    let world = World::new();
    let users = r#"{"users":[{"username":"1003","secret":"s"},{"username":"1004","secret":"s"}]}"#;
    assert_eq!(world.json("PUT", "/dir/example.com", users).await.0, 201);
    moved(&world, "1003", 1, 1, LocationCause::Registered);
    world
}

fn moved(world: &World, user: &str, version: u64, contacts: u16, cause: LocationCause) {
    let registration = registration(user, "example.com", version, contacts);
    let change = LocationChange {
        registration,
        cause,
    };
    world
        .plane
        .hear(News::Location(change), &mut Notifier::new());
}

#[tokio::test]
async fn who_is_registered_is_told_in_the_known_shape() {
    let world = world().await;
    let (_, told) = world.get("/reg/example.com").await;
    let wanted = serde_json::json!({
        "domain": "example.com", "count": 2, "registered": 1, "next": null,
        "users": {"1003": {
            "registered": true, "outstandingping": 0,
            "remote": {"host": "192.0.2.1", "port": 1, "agent": "phone"},
            "epochs": {"registered": 1005}
        }}
    });
    assert_eq!(told, wanted);
    let (_, told) = world.get("/reg/EXAMPLE.com/1004").await;
    let absent = serde_json::json!({"registered": false, "outstandingping": 0});
    assert_eq!(told["users"]["1004"], absent);
    assert_eq!(world.get("/reg/example.com/1005").await.0, 404);
    assert_eq!(world.get("/reg/example.org").await.0, 404);
    assert_eq!(world.get("/reg").await.1["count"], 1);
}

#[tokio::test]
async fn a_registration_ends() {
    let world = world().await;
    moved(&world, "1003", 2, 0, LocationCause::Expired);
    assert_eq!(world.get("/reg").await.1["count"], 0);
    let (_, told) = world.get("/reg/example.com/1003").await;
    assert_eq!(told["users"]["1003"]["registered"], false);
}

#[tokio::test]
async fn phones_have_their_contacts() {
    let world = world().await;
    moved(&world, "1004", 1, 2, LocationCause::Registered);
    let (_, told) = world.get("/api/v1/phone?user=1004").await;
    let phones = told["phones"].as_array().expect("a list");
    assert_eq!(
        (phones.len(), &phones[0]["aor"]),
        (1, &"1004@example.com".into())
    );
    let contact = &phones[0]["contacts"][1];
    assert_eq!(
        (&contact["uri"], &contact["q"]),
        (&"sip:1004@192.0.2.1:2".into(), &1.0.into())
    );
    assert_eq!(
        (&contact["state"], &contact["expires_unix_ms"]),
        (&"reachable".into(), &1_065_000.into())
    );
    let (_, page) = world.get("/api/v1/phone?limit=1").await;
    let next = page["next"].as_str().expect("a second page");
    let (_, page) = world
        .get(&format!("/api/v1/phone?limit=1&cursor={next}"))
        .await;
    assert_eq!(
        (&page["phones"][0]["user"], &page["next"]),
        (&"1004".into(), &serde_json::Value::Null)
    );
}
