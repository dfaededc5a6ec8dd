//! What the router tells of its calls: records of their ends, progress, answers to questions.

mod asked;
mod records;
#[path = "../flows/world.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod world;

use std::sync::Arc;

use tipring_router::{
    Accounting, Answer, CallRecord, CallView, CallsPage, Command, Event, Query, Question, Said,
};

use self::world::{Sent, World, one, sdp, world_configured};

pub(crate) const ALL: Accounting = Accounting {
    calls: true,
    timeline: true,
    records: true,
};

/// A world whose router keeps account of everything.
pub(crate) fn accounted() -> World {
    world_configured(|config| config.accounting = ALL)
}

/// What the router has told since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) records: Vec<Arc<CallRecord>>,
    pub(crate) progress: Vec<CallView>,
    pub(crate) answers: Vec<Answer>,
}

pub(crate) fn told(world: &mut World) -> Told {
    let mut told = Told::default();
    while let Some(event) = world.router.poll_event() {
        match event {
            Event::CallEnded(record) => told.records.push(record),
            Event::CallProgress(view) => told.progress.push(*view),
            Event::Answer(answer) => told.answers.push(*answer),
            _ => {}
        }
    }
    told
}

/// The one record that was told.
#[track_caller]
pub(crate) fn record(world: &mut World) -> Arc<CallRecord> {
    let told = told(world).records;
    assert_eq!(told.len(), 1, "{told:#?}");
    Arc::clone(&told[0])
}

#[track_caller]
pub(crate) fn ask(world: &mut World, question: Question) -> (Said, Vec<Sent>) {
    let query = Query {
        number: 7,
        question,
    };
    let sent = world.command(&Command::Query(query));
    let mut answers = told(world).answers;
    assert_eq!(answers.len(), 1, "{answers:?}");
    let answer = answers.remove(0);
    assert_eq!(answer.number, 7);
    (answer.said, sent)
}

/// All calls, in one page.
#[track_caller]
pub(crate) fn list(world: &mut World) -> Vec<CallView> {
    let page = CallsPage {
        limit: 100,
        ..CallsPage::default()
    };
    match ask(world, Question::Calls(page)).0 {
        Said::Calls { calls, next: None } => calls,
        other => panic!("{other:?}"),
    }
}

/// The caller and the callee of a call to `user` speak, after a second of ringing and two of waiting.
#[track_caller]
pub(crate) fn connected(world: &mut World, user: &str) {
    world.call(user, "", "");
    world.seconds(1);
    world.ring("180 Ringing", "b", "", "");
    world.seconds(2);
    world.ring("200 OK", "b", "", &sdp(1, 3000, ""));
    world.ack(1, "");
}

/// The callee's side of a BYE of the caller.
#[track_caller]
pub(crate) fn hang_up(world: &mut World, more: &str) {
    let sent = world.caller_sends("BYE", more, "");
    let bye = one(&sent, world::CALLEE, "BYE");
    world.ok(&bye);
}
