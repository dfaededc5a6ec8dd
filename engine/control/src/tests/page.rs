//! The operator's page, as a browser fetches it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Response, header};
use http_body_util::BodyExt;

use super::{OPERATE, World, settings};

async fn fetch(world: &World, path: &str) -> Response<Body> {
    let mut request = world.request("GET", path, Body::empty());
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    request
        .headers_mut()
        .insert(header::ACCEPT, accept.parse().expect("a list"));
    world.send(request).await
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

/// What stands between `begin` and the next `"`, everywhere.
fn quoted<'t>(text: &'t str, begin: &str) -> Vec<&'t str> {
    let rest = |part: &'t str| part.split('"').next();
    text.split(begin).skip(1).filter_map(rest).collect()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_program_a_list() {
    let mut world = World::new();
    world.token = None;
    let page = fetch(&world, "/").await;
    assert_eq!(
        page.headers()[header::CONTENT_TYPE],
        "text/html; charset=utf-8"
    );
    assert!(text(page).await.starts_with("<!doctype html>"));
    assert_eq!(world.get("/").await.1["name"], "tipring");
}

#[tokio::test]
async fn every_file_is_there_and_comes_from_here() {
    let mut world = World::new();
    world.token = None;
    let mut waiting = vec!["/".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        let response = fetch(&world, &path).await;
        assert_eq!(response.status(), 200, "{path}");
        let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
        let policy = policy.to_str().expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        let text = text(response).await;
        let others = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !others.contains("//www") && !others.contains("https:"),
            "{path}"
        );
        for way_in in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!text.contains(way_in), "{path} has {way_in}");
        }
        let loaded = [
            quoted(&text, "src=\""),
            quoted(&text, "<link rel=\"stylesheet\" href=\""),
        ];
        let loaded = loaded.concat().into_iter().map(str::to_owned);
        let imported = quoted(&text, "from \"./").into_iter();
        let imported = imported.map(|name| format!("/page/{name}"));
        for next in loaded.chain(imported) {
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert_eq!(fetch(&world, "/page/icon.svg").await.status(), 200);
    assert_eq!(fetch(&world, "/page/nothing.js").await.status(), 404);
}

#[tokio::test]
async fn a_client_is_told_what_it_may_do() {
    let mut world = World::new();
    world.token = Some(OPERATE);
    let (status, me) = world.get("/api/v1/me").await;
    assert_eq!(
        (status, &me["role"], &me["open"]),
        (200, &"operate".into(), &false.into())
    );
    world.token = None;
    assert_eq!(world.get("/api/v1/me").await.0, 401);
    let (_, me) = World::with(settings(false)).get("/api/v1/me").await;
    assert_eq!((&me["role"], &me["open"]), (&"admin".into(), &true.into()));
}
