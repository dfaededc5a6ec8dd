//! The room as a whole, with an engine that is made of paper: every path through the door, as a client sees it.

mod access;
mod calls;
mod directory;
mod document;
mod events;
mod notifications;
mod page;
mod tls;
mod users;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use router::{Answer, Directory, Query, Said};
use serde_json::Value;
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::access::Peer;
use crate::engine::{Engine, Latency, Limit, Reload, Reloaded, Setting, SettingsView, ShardStats};
use crate::news::News;
use crate::notifier::Notifier;
use crate::plane::Plane;
use crate::settings::{Bounds, Role, Secret, Settings, Token};

/// What the paper engine was told and what it will say.
#[derive(Default)]
struct Paper {
    directories: Vec<Arc<Directory>>,
    asked: Vec<(u8, Query)>,
    said: VecDeque<Said>,
    watched: Vec<bool>,
    mistakes: Option<Vec<String>>,
    deaf: bool,
}

#[derive(Clone, Default)]
struct PaperEngine(Arc<Mutex<Paper>>, Arc<Mutex<Option<Plane>>>);

impl PaperEngine {
    fn paper(&self) -> std::sync::MutexGuard<'_, Paper> {
        self.0.lock().expect("a paper engine")
    }
}

impl Engine for PaperEngine {
    fn shards(&self) -> u8 {
        2
    }

    fn ask(&self, shard: u8, query: Query) -> bool {
        let mut paper = self.paper();
        if paper.deaf {
            return false;
        }
        let number = query.number;
        paper.asked.push((shard, query));
        if let (Some(said), Some(plane)) =
            (paper.said.pop_front(), &*self.1.lock().expect("a plane"))
        {
            let answer = Box::new(Answer { number, said });
            plane.hear(News::Answer(answer), &mut Notifier::new());
        }
        true
    }

    fn give_directory(&self, _: u8, directory: &Arc<Directory>) -> bool {
        let mut paper = self.paper();
        paper.directories.push(Arc::clone(directory));
        !paper.deaf
    }

    fn watch(&self, _: u8, watched: bool) -> bool {
        self.paper().watched.push(watched);
        true
    }

    fn shard_stats(&self) -> Vec<ShardStats> {
        let shard = ShardStats {
            calls: 3,
            busy_permille: 250,
            ..ShardStats::default()
        };
        vec![shard, shard]
    }

    fn latencies(&self) -> Vec<Latency> {
        vec![Latency {
            shard: 1,
            metric: "invite_in_to_out",
            p50_us: 20.5,
            p99_us: 40.0,
            p999_us: 90.0,
            max_us: 100.0,
        }]
    }

    fn limits(&self) -> Vec<Limit> {
        vec![Limit {
            key: "limits.calls",
            value: 10,
        }]
    }

    fn metrics(&self) -> String {
        "tipring_calls 6\n".into()
    }

    fn settings(&self) -> SettingsView {
        SettingsView {
            origin: "tipring.toml".into(),
            settings: vec![Setting {
                key: "http.tokens[0].token".into(),
                value: "(secret)".into(),
                source: "default".into(),
            }],
            ..SettingsView::default()
        }
    }

    fn reload(&self) -> Option<Reload> {
        let (reply, outcome) = oneshot::channel();
        let _ = reply.send(match self.paper().mistakes.clone() {
            Some(mistakes) => Err(mistakes),
            None => Ok(Reloaded {
                records: 7,
                ..Reloaded::default()
            }),
        });
        Some(outcome)
    }
}

const READ: &str = "read-read-read-read";
const OPERATE: &str = "operate-operate-operate";
const ADMIN: &str = "admin-admin-admin";

fn settings(tokens: bool) -> Settings {
    let all = [
        (Role::Read, READ),
        (Role::Operate, OPERATE),
        (Role::Admin, ADMIN),
    ];
    let token = |(role, text): (Role, &str)| Token {
        role,
        secret: Secret::Inline(text.into()),
    };
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        tokens: all.into_iter().filter(|_| tokens).map(token).collect(),
        tls: None,
        bounds: Bounds {
            body_bytes: 4_096,
            users: 5_000,
            patience: Duration::from_millis(300),
            ..Bounds::default()
        },
    }
}

/// A plane, its engine and its router.
struct World {
    engine: PaperEngine,
    plane: Plane,
    router: Router,
    token: Option<&'static str>,
}

impl World {
    fn new() -> World {
        World::with(settings(true))
    }

    fn with(settings: Settings) -> World {
        let engine = PaperEngine::default();
        let security = settings.secure().expect("safe");
        let token = settings.tokens.last().map(|_| ADMIN);
        let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let doors = Box::new(engine.clone());
        let plane = Plane::new(settings, security, doors, base, Arc::default());
        *engine.1.lock().expect("a plane") = Some(plane.clone());
        World {
            router: crate::api::router(&plane),
            engine,
            plane,
            token,
        }
    }

    fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let peer = Peer(IpAddr::from([127, 0, 0, 1]));
        request = request.extension(peer).header(header::HOST, "localhost");
        request.body(body).expect("a request")
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer")
    }

    async fn call(&self, method: &str, path: &str) -> (u16, Value) {
        answered(self.send(self.request(method, path, Body::empty())).await).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path).await
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.typed(
            method,
            path,
            "application/json",
            Body::from(body.to_owned()),
        )
        .await
    }

    async fn typed(&self, method: &str, path: &str, kind: &str, body: Body) -> (u16, Value) {
        let mut request = self.request(method, path, body);
        let kind = kind.parse().expect("a media type");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        answered(self.send(request).await).await
    }
}

/// Status and body; a problem must look like one.
async fn answered(response: Response<Body>) -> (u16, Value) {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let value: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(kind.expect("a type"), "application/problem+json");
        assert_eq!(value["status"], status.as_u16());
        assert_eq!(value["title"], status.canonical_reason().expect("a title"));
    }
    (status.as_u16(), value)
}

#[tokio::test]
async fn what_there_is_is_listed_and_is_there() {
    let world = World::new();
    let (status, home) = world.get("/").await;
    assert_eq!(status, 200);
    for link in home["links"].as_array().expect("links") {
        let path = link["href"].as_str().expect("a path");
        world
            .engine
            .paper()
            .said
            .extend([calls::none(), calls::none()]);
        let response = world.send(world.request("GET", path, Body::empty())).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn lists_are_empty_and_not_absent() {
    let world = World::new();
    world
        .engine
        .paper()
        .said
        .extend([calls::none(), calls::none()]);
    for (path, list) in [
        ("/api/v1/session", "sessions"),
        ("/api/v1/phone", "phones"),
        ("/api/v1/upload", "uploads"),
        ("/dir", "domains"),
    ] {
        let (status, body) = world.get(path).await;
        assert_eq!(
            (status, &body[list]),
            (200, &Value::Array(Vec::new())),
            "{path}"
        );
    }
    assert_eq!(world.get("/reg").await.1["count"], 0);
}

#[tokio::test]
async fn numbers_are_of_all_shards_and_of_each() {
    let world = World::new();
    let (_, stats) = world.get("/api/v1/stats").await;
    assert_eq!(
        (&stats["total"]["calls"], &stats["shards"][1]["calls"]),
        (&6.into(), &3.into())
    );
    assert_eq!(stats["total"]["busy_permille"], 250, "of the busiest");
    assert_eq!(stats["latencies"][0]["p50_us"], 20.5);
    assert_eq!(stats["limits"][0]["key"], "limits.calls");
    assert_eq!(
        world.get("/api/v1/history").await.1["samples"],
        Value::Array(Vec::new())
    );
    world.plane.note_numbers();
    let (_, minutes) = world.get("/api/v1/history").await;
    let sample = &minutes["samples"][0];
    assert_eq!(
        (&sample["calls"], &sample["set_up_p99_us"]),
        (&6.into(), &40.0.into())
    );
    assert!(stats["resident_bytes"].as_u64() > Some(0));
    assert_eq!(world.get("/metrics").await.1, "tipring_calls 6\n");
}

#[tokio::test]
async fn a_reload_says_what_came_of_it() {
    let world = World::new();
    let (status, told) = world.call("PATCH", "/api/v1/config").await;
    assert_eq!((status, &told["records"]), (200, &7.into()));
    world.engine.paper().mistakes = Some(vec!["x.toml:3:1: engine.shrads: unknown key".into()]);
    let (status, told) = world.call("PATCH", "/api/v1/config").await;
    assert_eq!(status, 422);
    assert_eq!(told["reasons"][0], "x.toml:3:1: engine.shrads: unknown key");
    let (_, config) = world.get("/api/v1/config").await;
    assert_eq!(config["settings"][0]["value"], "(secret)");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::new();
    assert_eq!(world.get("/nowhere").await.0, 404);
    let response = world
        .send(world.request("POST", "/api/v1/stats", Body::empty()))
        .await;
    assert!(
        response.headers()[header::ALLOW]
            .to_str()
            .expect("text")
            .contains("GET")
    );
    assert_eq!(answered(response).await.0, 405);
    for query in [
        "limit=0",
        "limit=x",
        "limit=1001",
        "cursor=zz",
        "state=odd",
        "more=1",
    ] {
        let (status, problem) = world.get(&format!("/api/v1/phone?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(problem["field"].is_string(), "{query}: {problem}");
    }
}
