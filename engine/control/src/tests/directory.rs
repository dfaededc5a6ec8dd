//! The directory: pushed, listed, changed, uploaded.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use router::Credentials;
use serde_json::Value;

use super::World;

const NDJSON: &str = "application/x-ndjson";

async fn with_domain() -> World {
    let world = World::new();
    let body =
        r#"{"control":"http://127.0.0.1:9","users":[{"username":"1003","secret":"s3cret"}]}"#;
    let (status, told) = world.json("PUT", "/dir/Example.COM", body).await;
    assert_eq!(
        (status, &told["domain"], &told["count"]),
        (201, &"example.com".into(), &1.into())
    );
    world
}

#[tokio::test]
async fn a_domain_is_put_in_force_with_every_shard() {
    let world = with_domain().await;
    let directories = world.engine.paper().directories.clone();
    assert_eq!(directories.len(), 2);
    for directory in directories {
        let domain = directory.domain("example.com").expect("the domain");
        let wanted = Credentials::of("1003", "example.com", "s3cret");
        assert_eq!(domain.credentials("1003"), Some(&wanted));
        assert_eq!(domain.control.as_deref(), Some("http://127.0.0.1:9"));
    }
}

#[tokio::test]
async fn secrets_are_not_told() {
    let world = with_domain().await;
    let (_, users) = world.get("/dir/example.com").await;
    assert_eq!(users["users"], serde_json::json!([{"username": "1003"}]));
    for path in ["/dir", "/dir/example.com", "/dir/example.com/1003"] {
        let (status, told) = world.get(path).await;
        assert!(
            status == 200 && !told.to_string().contains("s3cret"),
            "{path}: {told}"
        );
    }
}

#[tokio::test]
async fn users_come_change_and_go() {
    let world = with_domain().await;
    let put = r#"{"secret":"new"}"#;
    for method in ["PUT", "PATCH"] {
        assert_eq!(
            world.json(method, "/dir/example.com/1004", put).await.0,
            200
        );
    }
    assert_eq!(world.get("/dir/example.com").await.1["count"], 2);
    assert_eq!(world.call("DELETE", "/dir/example.com/1003").await.0, 204);
    assert_eq!(world.call("DELETE", "/dir/example.com/1003").await.0, 404);
    assert_eq!(world.get("/dir/example.com/1003").await.0, 404);
    let (status, problem) = world.json("PUT", "/dir/absent.example/1", put).await;
    assert_eq!((status, problem["field"].as_str()), (404, Some("domain")));
    assert_eq!(world.call("DELETE", "/dir/example.com").await.0, 204);
    assert_eq!(world.get("/dir/example.com").await.0, 404);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::new();
    let of = |problem: Value| problem["field"].as_str().unwrap_or("").to_owned();
    for (path, body, field) in [
        ("/dir/a", "{}", "users"),
        ("/dir/a", "[", "body"),
        (
            "/dir/a",
            r#"{"users":[{"username":"u"}]}"#,
            "users[0].secret",
        ),
        (
            "/dir/a",
            r#"{"users":[{"username":"u","secret":1}]}"#,
            "users[0].secret",
        ),
        (
            "/dir/a",
            r#"{"users":[{"username":"","secret":"s"}]}"#,
            "users[0].username",
        ),
        ("/dir/a", r#"{"users":[],"control":"ftp://h"}"#, "control"),
        ("/dir/a", r#"{"users":[],"contrl":"x"}"#, "contrl"),
        ("/dir/-a", r#"{"users":[]}"#, "domain"),
        ("/dir/a/u", "{}", "secret"),
        ("/dir/a/%20", r#"{"secret":"s"}"#, "user"),
        ("/dir/a/u", r#"{"secret":""}"#, "secret"),
    ] {
        let (status, problem) = world.json("PUT", path, body).await;
        assert_eq!(
            (status, of(problem.clone()).as_str()),
            (400, field),
            "{body}: {problem}"
        );
    }
    let (status, problem) = world
        .typed("PUT", "/dir/a", "text/plain", Body::from("{}"))
        .await;
    assert_eq!((status, of(problem).as_str()), (415, "content-type"));
    assert!(
        world.engine.paper().directories.is_empty(),
        "nothing was changed"
    );
}

#[tokio::test]
async fn lists_are_paged() {
    let world = World::new();
    let users = |from: usize| {
        let user = |n| format!(r#"{{"username":"{n}","secret":"s"}}"#);
        let users: Vec<String> = (from..from + 25).map(user).collect();
        format!("{{\"users\":[{}]}}", users.join(","))
    };
    for domain in ["c", "a", "b"] {
        assert_eq!(
            world
                .json("PUT", &format!("/dir/{domain}"), &users(100))
                .await
                .0,
            201
        );
    }
    for (path, list, name, count) in [
        ("/dir", "domains", "domain", 3),
        ("/dir/b", "users", "username", 25),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, page) = world.get(&format!("{path}?limit=2{cursor}")).await;
            let entries = page[list].as_array().expect("a list");
            assert!(!entries.is_empty() && entries.len() <= 2);
            seen.extend(entries.iter().map(|entry| entry[name].to_string()));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((seen.len(), once.len()), (count, count), "{path}");
    }
}

fn chunks(text: String, size: usize) -> Body {
    let bytes = text.into_bytes();
    let chunks: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::iter(
        chunks.into_iter().map(Ok::<_, std::io::Error>),
    ))
}

fn lines(count: usize) -> String {
    let user = |n: usize| format!("{{\"username\":\"{n}\",\"secret\":\"s{n}\"}}\n");
    std::iter::once("{\"control\":\"http://h:1\"}\n".to_owned())
        .chain((0..count).map(user))
        .collect()
}

#[tokio::test]
async fn users_are_uploaded_however_the_bytes_are_cut() {
    for size in [1, 7, 100_000] {
        let world = World::new();
        let text = lines(300).trim_end().to_owned();
        let (status, told) = world
            .typed("PUT", "/dir/a", NDJSON, chunks(text, size))
            .await;
        assert_eq!(
            (status, &told["count"]),
            (201, &300.into()),
            "{size}: {told}"
        );
        assert_eq!(told["control"], "http://h:1");
        let directory = world.plane.book.current();
        let known = directory
            .domain("a")
            .and_then(|domain| domain.credentials("299"))
            .copied();
        assert_eq!(known, Some(Credentials::of("299", "a", "s299")));
        let (_, uploads) = world.get("/api/v1/upload").await;
        let upload = &uploads["uploads"][0];
        assert_eq!(
            (&upload["state"], &upload["users"]),
            (&"done".into(), &300.into())
        );
    }
}

#[tokio::test]
async fn a_wrong_line_changes_nothing() {
    let world = with_domain().await;
    for (text, field) in [
        (
            "{\"username\":\"1\",\"secret\":\"s\"}\n\n{\"username\":\"2\"}\n".to_owned(),
            "secret",
        ),
        ("x".repeat(5_000), "body"),
        (
            "{\"username\":\"1\",\"secret\":\"s\",\"control\":\"http://h\"}".to_owned(),
            "control",
        ),
        ("nonsense".to_owned(), "body"),
    ] {
        let (status, problem) = world
            .typed("PUT", "/dir/example.com", NDJSON, chunks(text, 64))
            .await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (400, Some(field)),
            "{problem}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| text.starts_with("line "))
        );
    }
    assert_eq!(world.get("/dir/example.com").await.1["count"], 1);
    assert_eq!(
        world.get("/api/v1/upload").await.1["uploads"][0]["state"],
        "failed"
    );
}

#[tokio::test]
async fn more_users_than_there_may_be_are_refused() {
    let world = World::new();
    assert_eq!(
        world
            .typed("PUT", "/dir/a", NDJSON, chunks(lines(4_000), 9_000))
            .await
            .0,
        201
    );
    let (status, problem) = world
        .typed("PUT", "/dir/b", NDJSON, chunks(lines(1_001), 9_000))
        .await;
    assert_eq!((status, problem["field"].as_str()), (413, Some("users")));
    assert_eq!(
        world
            .typed("PUT", "/dir/a", NDJSON, chunks(lines(5_000), 9_000))
            .await
            .0,
        201
    );
    let one = r#"{"secret":"s"}"#;
    assert_eq!(world.json("PUT", "/dir/a/more", one).await.0, 413);
    assert_eq!(
        world.json("PUT", "/dir/a/7", one).await.0,
        200,
        "a change is no more"
    );
}

#[tokio::test]
async fn one_upload_to_a_domain_at_a_time() {
    let world = World::new();
    let first = world.plane.book.uploads.begin("a").expect("begun");
    let (status, _) = world
        .typed("PUT", "/dir/a", NDJSON, chunks(lines(1), 99))
        .await;
    assert_eq!(status, 409);
    let second = world.plane.book.uploads.begin("b").expect("begun");
    assert_eq!(
        world
            .typed("PUT", "/dir/c", NDJSON, chunks(lines(1), 99))
            .await
            .0,
        503
    );
    drop((first, second));
    assert_eq!(
        world
            .typed("PUT", "/dir/a", NDJSON, chunks(lines(1), 99))
            .await
            .0,
        201
    );
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_take_a_change_is_told_of() {
    let mut settings = super::settings(true);
    settings.bounds.patience = std::time::Duration::from_secs(60);
    let world = World::with(settings);
    world.engine.paper().deaf = true;
    let (status, problem) = world.json("PUT", "/dir/a", r#"{"users":[]}"#).await;
    assert_eq!(
        (status, problem["reasons"].as_array().map(Vec::len)),
        (503, Some(2))
    );
}
