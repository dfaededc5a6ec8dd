//! Questions about calls, hanging them up, and hearing how they go.

use tipring_router::{
    Accounting, CallDetail, CallState, CallView, CallsPage, Command, EndedBy, Question, Said,
};

use crate::world::{CALLEE, CALLER, World, kinds, one, sdp, world, world_configured};
use crate::{accounted, ask, connected, hang_up, list, record, told};

#[track_caller]
fn detail(world: &mut World, id: &str) -> Box<CallDetail> {
    match ask(world, Question::Call(id.to_owned())).0 {
        Said::Call(Some(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

fn states(views: &[CallView]) -> Vec<CallState> {
    views.iter().map(|view| view.state).collect()
}

#[test]
fn a_call_is_listed_as_far_as_it_is() {
    let mut world = accounted();
    assert_eq!(list(&mut world), []);
    world.call("5", "", "");
    let [view] = &list(&mut world)[..] else {
        panic!("one call");
    };
    assert_eq!((&*view.from, &*view.to), ("a", "5"));
    assert_eq!(view.caller.to_string(), CALLER);
    assert_eq!(view.callee.map(|it| it.to_string()), Some(CALLEE.into()));
    assert_eq!((view.state, view.answered), (CallState::Trying, None));
    world.ring("180 Ringing", "b", "", "");
    assert_eq!(states(&list(&mut world)), [CallState::Ringing]);
    world.ring("200 OK", "b", "", "");
    world.ack(1, "");
    assert_eq!(states(&list(&mut world)), [CallState::Answered]);
    let sent = world.caller_sends("BYE", "", "");
    assert_eq!(states(&list(&mut world)), [CallState::Ending]);
    world.ok(&one(&sent, CALLEE, "BYE"));
    assert_eq!(list(&mut world), []);
}

#[test]
fn pages_meet_every_call_once_and_filters_hold() {
    let mut world = accounted();
    for call in 0..25 {
        world.call = format!("call-{call}");
        world.call(if call % 5 == 0 { "51" } else { "52" }, "", "");
    }
    let mut page = CallsPage {
        limit: 4,
        ..CallsPage::default()
    };
    let mut walk = |page: &mut CallsPage| {
        let (mut ids, mut pages) = (Vec::new(), 0);
        page.from = 0;
        loop {
            let asked = ask(&mut world, Question::Calls(page.clone())).0;
            let Said::Calls { calls, next } = asked else {
                panic!("{asked:?}");
            };
            assert!(calls.len() <= 4);
            ids.extend(calls.into_iter().map(|view| view.id));
            pages += 1;
            match next {
                Some(next) => page.from = next,
                None => return (ids, pages),
            }
        }
    };
    let (mut ids, pages) = walk(&mut page);
    assert_eq!((ids.len(), pages), (25, 7));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 25);
    page.user = Some("51".to_owned());
    assert_eq!(walk(&mut page).0.len(), 5);
    page.user = Some("a".to_owned());
    assert_eq!(walk(&mut page).0.len(), 25);
    page.state = Some(CallState::Answered);
    assert_eq!(walk(&mut page).0.len(), 0);
    // A cursor of somewhere else is no harm.
    page.from = u32::MAX;
    let said = ask(&mut world, Question::Calls(page)).0;
    let nothing = Said::Calls {
        calls: Vec::new(),
        next: None,
    };
    assert_eq!(said, nothing);
}

#[test]
fn one_call_is_told_in_full() {
    let mut world = accounted();
    world.call("5", "", &sdp(1, 2000, "a=sendonly\r\n"));
    world.ring("180 Ringing", "b", "", "");
    world.ring("200 OK", "b", "", &sdp(1, 3000, "a=recvonly\r\n"));
    world.ack(1, "");
    let id = list(&mut world)[0].id.clone();
    let told = detail(&mut world, &id);
    assert_eq!(told.view.id, id);
    assert_eq!(told.route, "^5");
    assert!(told.why.starts_with("record 3, "), "{}", told.why);
    let [caller, callee] = &told.legs[..] else {
        panic!("{told:#?}");
    };
    assert_eq!((&*caller.call_id, &*caller.remote_tag), ("call-1", "a"));
    assert_eq!(caller.local_tag, format!("tpr{id}"));
    assert_eq!(caller.remote_target, format!("sip:a@{CALLER}"));
    assert_eq!(
        (&*callee.remote_tag, callee.remote.to_string()),
        ("b", CALLEE.into())
    );
    let session = "audio RTP/AVP 8/telephone-event 127.0.0.2:2000 sendonly";
    assert_eq!(caller.session, session);
    let session = "audio RTP/AVP 8/telephone-event 127.0.0.2:3000 recvonly";
    assert_eq!(callee.session, session);
    let line = |entry: &tipring_router::TimelineEntry| {
        let leg = if entry.on_caller_leg {
            "caller"
        } else {
            "callee"
        };
        let way = if entry.received { "<-" } else { "->" };
        let body = if entry.with_body { " +" } else { "" };
        format!("{leg} {way} {} {}{body}", entry.method, entry.code)
    };
    let lines: Vec<String> = told.timeline.iter().map(line).collect();
    let expected = [
        "caller <- INVITE 0 +",
        "callee -> INVITE 0 +",
        "callee <- INVITE 180",
        "caller -> INVITE 180",
        "callee <- INVITE 200 +",
        "caller -> INVITE 200 +",
        "caller <- ACK 0",
        "callee -> ACK 0",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn messages_of_two_parties_at_one_address_are_told_apart() {
    let mut world = accounted();
    world.call("5", "", "");
    let invite = world.invite.clone().expect("an INVITE");
    let ringing = format!(
        "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:b@{CALLER}>\r\n\r\n",
        invite.value("Via"),
        invite.value("From"),
        invite.value("To"),
        invite.value("Call-ID"),
    );
    world.receive(CALLER, &ringing);
    let id = list(&mut world)[0].id.clone();
    let told = detail(&mut world, &id);
    let legs: Vec<_> = told.timeline.iter().map(|it| it.on_caller_leg).collect();
    assert_eq!(legs, [true, false, false, true]);
}

#[test]
fn a_connected_call_is_hung_up_with_bye_to_both() {
    let mut world = accounted();
    connected(&mut world, "5");
    let id = list(&mut world)[0].id.clone();
    let (said, sent) = ask(&mut world, Question::HangUp(id.clone()));
    assert_eq!(said, Said::HungUp(true));
    let byes = [CALLER, CALLEE].map(|party| one(&sent, party, "BYE"));
    for bye in &byes {
        let reason = "Q.850;cause=31;text=\"Ended By Operator\"";
        assert_eq!(bye.value("Reason"), reason);
    }
    assert_eq!(
        ask(&mut world, Question::HangUp(id.clone())).0,
        Said::HungUp(false)
    );
    byes.iter().for_each(|bye| drop(world.ok(bye)));
    assert_eq!(
        ask(&mut world, Question::HangUp(id.clone())).0,
        Said::HungUp(false)
    );
    assert_eq!(ask(&mut world, Question::Call(id)).0, Said::Call(None));
    world.assert_idle();
}

#[test]
fn a_ringing_call_is_hung_up_with_cancel() {
    let mut world = accounted();
    world.call("5", "", "");
    world.ring("180 Ringing", "b", "", "");
    told(&mut world);
    let id = list(&mut world)[0].id.clone();
    let query = tipring_router::Query {
        number: 1,
        question: Question::HangUp(id),
    };
    let sent = world.command(&Command::Query(query));
    assert_eq!(kinds(&sent, CALLER), ["480"]);
    assert_eq!(kinds(&sent, CALLEE), ["CANCEL"]);
    let told = record(&mut world);
    assert_eq!(
        (told.ended_by, told.code, told.cause),
        (EndedBy::Router, 480, 31)
    );
    assert_eq!(told.reason, "Ended By Operator");
}

#[test]
fn an_echo_is_listed_and_hung_up() {
    let mut world = accounted();
    world.call("8", "", &sdp(1, 3000, ""));
    world.ack(1, "");
    let id = list(&mut world)[0].id.clone();
    let told = detail(&mut world, &id);
    assert_eq!((told.legs.len(), &*told.route), (1, "echo"));
    assert_eq!(told.streams.len(), 1);
    let (said, sent) = ask(&mut world, Question::HangUp(id));
    assert_eq!(said, Said::HungUp(true));
    world.ok(&one(&sent, CALLER, "BYE"));
    world.assert_idle();
}

#[test]
fn a_name_that_is_not_exactly_a_calls_finds_none() {
    let mut world = accounted();
    connected(&mut world, "5");
    let id = list(&mut world)[0].id.clone();
    let mut guessed = id.clone();
    guessed.pop();
    guessed.push(if id.ends_with('0') { '1' } else { '0' });
    let long = format!("{id}0");
    for name in ["", "x", &id[1..], &long, &guessed, &"f".repeat(32)] {
        let said = ask(&mut world, Question::Call(name.to_owned())).0;
        assert_eq!(said, Said::Call(None), "{name}");
        let said = ask(&mut world, Question::HangUp(name.to_owned())).0;
        assert_eq!(said, Said::HungUp(false), "{name}");
    }
}

#[test]
fn progress_is_told_while_somebody_listens() {
    let mut world = world_configured(|config| {
        config.accounting = Accounting {
            calls: true,
            ..Accounting::default()
        }
    });
    connected(&mut world, "5");
    hang_up(&mut world, "");
    let silent = told(&mut world);
    assert!(silent.progress.is_empty() && silent.records.is_empty());
    world.command(&Command::Watch(true));
    world.invite = None;
    world.call = "call-2".to_owned();
    connected(&mut world, "5");
    let heard = told(&mut world).progress;
    let expected = [CallState::Trying, CallState::Ringing, CallState::Answered];
    assert_eq!(states(&heard), expected);
    hang_up(&mut world, "");
    assert_eq!(record(&mut world).id, heard[0].id);
}

#[test]
fn without_accounts_nothing_is_listed() {
    let mut world = world();
    connected(&mut world, "5");
    assert_eq!(list(&mut world), []);
}
