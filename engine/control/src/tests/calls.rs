//! Calls: lists over shards, one in full, hanging up.

use router::{CallDetail, CallState, CallView, LegView, Question, Said, TimelineEntry};
use stack::Time;

use super::World;
use crate::events::tests::call;

pub(super) fn none() -> Said {
    Said::Calls {
        calls: Vec::new(),
        next: None,
    }
}

fn some(count: usize, next: Option<u32>) -> Said {
    Said::Calls {
        calls: vec![call(); count],
        next,
    }
}

fn questions(world: &World) -> Vec<(u8, u32, u16)> {
    let paper = world.engine.paper();
    let asked = paper
        .asked
        .iter()
        .map(|(shard, query)| match &query.question {
            Question::Calls(page) => (*shard, page.from, page.limit),
            other => panic!("{other:?}"),
        });
    asked.collect()
}

#[tokio::test]
async fn a_page_is_collected_from_all_shards() {
    let world = World::new();
    world
        .engine
        .paper()
        .said
        .extend([some(2, Some(70)), some(1, None), some(2, Some(9))]);
    let (status, page) = world
        .get("/api/v1/session?limit=5&user=100&state=ringing")
        .await;
    assert_eq!(
        (status, page["sessions"].as_array().map(Vec::len)),
        (200, Some(5))
    );
    assert_eq!(questions(&world), [(0, 0, 5), (0, 70, 3), (1, 0, 2)]);
    assert_eq!(page["next"], "1.9");
    let first = &page["sessions"][0];
    assert_eq!(
        (&first["state"], &first["began_unix_ms"]),
        (&"ringing".into(), &1_000_001.into())
    );
    assert!(first["callee"].is_null() && first["answered_unix_ms"].is_null());
    world.engine.paper().asked.clear();
    world.engine.paper().said.push_back(some(1, None));
    let (_, page) = world.get("/api/v1/session?limit=5&cursor=1.9").await;
    assert_eq!(questions(&world), [(1, 9, 5)]);
    assert!(page["next"].is_null());
}

#[tokio::test]
async fn a_shard_that_finds_little_is_not_asked_for_ever() {
    let world = World::new();
    world
        .engine
        .paper()
        .said
        .extend((1..100).map(|n| some(0, Some(n))));
    let (status, page) = world.get("/api/v1/session?user=nobody").await;
    assert_eq!((status, page["next"].as_str()), (200, Some("0.16")));
    assert_eq!(page["sessions"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_shard_that_cannot_answer_is_503() {
    let world = World::new();
    world.engine.paper().deaf = true;
    let (status, problem) = world.get("/api/v1/session").await;
    assert_eq!(status, 503);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("shard 0"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_waited_for_longer_than_it_may_take() {
    let mut settings = super::settings(true);
    settings.bounds.patience = std::time::Duration::from_secs(30);
    let world = World::with(settings);
    assert_eq!(world.get("/api/v1/session").await.0, 503);
    assert_eq!(world.plane.asking.waiting_count(), 0);
}

fn id(shard: u8) -> String {
    format!("{shard:02x}{}", "a".repeat(30))
}

#[tokio::test]
async fn a_call_in_full_comes_from_the_shard_its_id_names() {
    let world = World::new();
    let leg = LegView {
        call_id: "c".into(),
        local_tag: "l".into(),
        remote_tag: String::new(),
        remote_target: "sip:a@h".into(),
        remote: ([192, 0, 2, 1], 5060).into(),
        session: "audio".into(),
    };
    let entry = TimelineEntry {
        at: Time::from_nanos(2_000_000),
        on_caller_leg: true,
        received: false,
        code: 180,
        method: "INVITE",
        with_body: false,
    };
    let detail = CallDetail {
        view: CallView {
            state: CallState::Answered,
            ..call()
        },
        legs: vec![leg],
        route: "3".into(),
        why: "pattern".into(),
        streams: Vec::new(),
        timeline: vec![entry],
    };
    world
        .engine
        .paper()
        .said
        .push_back(Said::Call(Some(Box::new(detail))));
    let (status, told) = world.get(&format!("/api/v1/session/{}", id(1))).await;
    assert_eq!(
        (status, &told["state"], &told["route"]),
        (200, &"answered".into(), &"3".into())
    );
    let entry = &told["timeline"][0];
    assert_eq!(
        (&entry["leg"], &entry["direction"]),
        (&"caller".into(), &"out".into())
    );
    assert_eq!(
        (&entry["code"], &entry["at_unix_ms"]),
        (&180.into(), &1_000_002.into())
    );
    let (shard, query) = world.engine.paper().asked[0].clone();
    assert_eq!((shard, query.question), (1, Question::Call(id(1))));
}

#[tokio::test]
async fn no_such_call() {
    let world = World::new();
    world
        .engine
        .paper()
        .said
        .extend([Said::Call(None), Said::HungUp(false), Said::HungUp(true)]);
    let path = format!("/api/v1/session/{}", id(0));
    assert_eq!(world.get(&path).await.0, 404);
    assert_eq!(world.call("DELETE", &path).await.0, 404);
    assert_eq!(world.call("DELETE", &path).await.0, 204);
    assert_eq!(
        world.get(&format!("/api/v1/session/{}", id(2))).await.0,
        404,
        "no such shard"
    );
    for wrong in ["x", &"A".repeat(32), &"é".repeat(16)] {
        let (status, problem) = world
            .get(&format!("/api/v1/session/{}", wrong.replace('é', "%C3%A9")))
            .await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (400, Some("id")),
            "{wrong}"
        );
    }
}
