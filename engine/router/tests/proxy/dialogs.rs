//! Requests inside a proxied dialog (RFC 3261 16.4, 16.12): loose and strict routing, re-INVITEs, and what
//! is no path of ours.

use tipring_router::{Command, ProofKeys};

use crate::world::{CALLER, ONE, Sent, THREE, World, kinds, one};

/// The 200 as the caller has it and the INVITE as the callee has it, of a call that is up.
fn call(world: &mut World) -> (Sent, Sent) {
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let answered = world.answer(&invite, "200 OK", "b", "");
    let ok = one(&answered, CALLER, "200");
    world.caller_in_dialog("ACK", 1, &ok);
    (ok, invite)
}

/// A request of the caller with this Request-URI and these Routes.
fn routed(world: &mut World, method: &str, ok: &Sent, uri: &str, routes: &[&str]) -> Vec<Sent> {
    let routes: String = routes.iter().map(|it| format!("Route: {it}\r\n")).collect();
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKr{method}\r\n{routes}\
         Max-Forwards: 70\r\n{}{}{}CSeq: 5 {method}\r\nContent-Length: 0\r\n\r\n",
        ok.lines("From"),
        ok.lines("To"),
        ok.lines("Call-ID"),
    );
    world.receive(CALLER, &text)
}

#[test]
fn a_reinvite_passes_and_can_be_cancelled() {
    let mut world = World::new();
    let (ok, _) = call(&mut world);
    let invite = one(&world.caller_in_dialog("INVITE", 2, &ok), ONE, "INVITE");
    assert_eq!(invite.header("Record-Route"), None);
    assert_eq!(world.router.calls(), 1);
    world.answer(&invite, "180 Ringing", "", "");
    let cancel = invite.values("Via")[1].to_owned();
    let text = format!(
        "CANCEL sip:b@127.0.0.2:5070 SIP/2.0\r\nVia: {cancel}\r\n{}{}{}CSeq: 2 CANCEL\r\n\r\n",
        invite.lines("From"),
        invite.lines("To"),
        invite.lines("Call-ID"),
    );
    let sent = world.receive(CALLER, &text);
    assert_eq!(
        (kinds(&sent, CALLER), kinds(&sent, ONE)),
        (vec!["200".to_owned()], vec!["CANCEL".to_owned()])
    );
    let ended = world.answer(&invite, "487 Request Terminated", "", "");
    assert_eq!(kinds(&ended, CALLER), ["487"]);
    world.assert_idle();
}

#[test]
fn the_next_route_is_the_next_hop_and_stays() {
    let mut world = World::new();
    let (ok, _) = call(&mut world);
    let own = ok
        .header("Record-Route")
        .expect("a Record-Route")
        .to_owned();
    let next = "<sip:127.0.0.4:5070;lr>";
    let both = format!("{own}, {next}");
    let info = one(
        &routed(&mut world, "INFO", &ok, "sip:b@127.0.0.2:5070", &[&both]),
        THREE,
        "INFO",
    );
    assert_eq!(info.uri(), "sip:b@127.0.0.2:5070");
    assert_eq!(info.values("Route"), [next]);
}

#[test]
fn proxy_strict_route() {
    let mut world = World::new();
    let (ok, _) = call(&mut world);
    let own = ok.header("Record-Route").expect("a Record-Route");
    let own_uri = own.trim_matches(['<', '>']).to_owned();
    // The element before us is a strict router: it put us into the Request-URI.
    let sent = routed(
        &mut world,
        "INFO",
        &ok,
        &own_uri,
        &["<sip:b@127.0.0.2:5070>"],
    );
    let info = one(&sent, ONE, "INFO");
    assert_eq!(
        (info.uri(), info.header("Route")),
        ("sip:b@127.0.0.2:5070", None)
    );
    // The one behind us is one: it wants to be in the Request-URI.
    let own = format!("<{own_uri}>");
    let routes = [own.as_str(), "<sip:127.0.0.4:5070>"];
    let sent = routed(&mut world, "BYE", &ok, "sip:b@127.0.0.2:5070", &routes);
    let bye = one(&sent, THREE, "BYE");
    assert_eq!(bye.uri(), "sip:127.0.0.4:5070");
    assert_eq!(bye.values("Route"), ["<sip:b@127.0.0.2:5070>"]);
}

#[test]
fn a_route_that_was_not_handed_out_here_opens_no_relay() {
    let mut world = World::new();
    let (ok, _) = call(&mut world);
    let own = ok
        .header("Record-Route")
        .expect("a Record-Route")
        .to_owned();
    let forged = own.replace("tprp", "tprp0").replacen("0@", "@", 1);
    for route in [
        "<sip:127.0.0.1:5060;lr>",
        "<sip:127.0.0.4:5070;lr>",
        &forged,
    ] {
        let sent = routed(&mut world, "INFO", &ok, "sip:x@127.0.0.4:5070", &[route]);
        let foreign: Vec<_> = sent
            .iter()
            .filter(|it| it.to.to_string() != CALLER)
            .collect();
        assert!(foreign.is_empty(), "{route}: {foreign:#?}");
        assert!(kinds(&sent, CALLER).iter().all(|kind| kind == "481"));
        world.seconds(40.0);
    }
    // Of another call it proves nothing.
    let text = format!(
        "INFO sip:x@127.0.0.4:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKz\r\n\
         Route: {own}\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>;tag=b\r\nCall-ID: another\r\n\
         CSeq: 1 INFO\r\n\r\n"
    );
    assert_eq!(kinds(&world.receive(CALLER, &text), CALLER), ["481"]);
}

#[test]
fn an_answered_non_invite_request_is_over_and_a_silent_one_gets_no_408() {
    let mut world = World::new();
    let (ok, _) = call(&mut world);
    world.seconds(40.0);
    world.caller_in_dialog("INFO", 2, &ok);
    let sent = world.seconds(40.0);
    // RFC 4320 4.1: a 100, late. 4.2: no 408.
    assert_eq!(kinds(&sent, CALLER), ["100"]);
    world.caller_in_dialog("INFO", 3, &ok);
    assert_eq!(kinds(&world.unreachable(ONE), CALLER), ["500"]);
    world.assert_idle();
}

/// What a router knows that was started with these keys, of a call that another had.
fn after_restart(keys: ProofKeys) -> Vec<String> {
    let with = |keys: ProofKeys| World::configured(|config| config.proof_keys = keys);
    let mut world = with(ProofKeys::new([1, 2], []));
    let (ok, invite) = call(&mut world);
    let mut restarted = with(keys);
    let sent = restarted.caller_in_dialog("BYE", 2, &ok);
    let theirs = restarted.callee_in_dialog("INFO", &invite, "b");
    [
        kinds(&sent, ONE),
        kinds(&sent, CALLER),
        kinds(&theirs, CALLER),
    ]
    .concat()
}

#[test]
fn a_dialog_outlives_the_router_while_its_key_is_known() {
    assert_eq!(after_restart(ProofKeys::new([1, 2], [])), ["BYE", "INFO"]);
    let rotated = ProofKeys::new([3, 4], [[5, 6], [1, 2]]);
    assert_eq!(after_restart(rotated), ["BYE", "INFO"]);
    assert_eq!(after_restart(ProofKeys::new([3, 4], [])), ["481"]);
}

#[test]
fn keys_can_be_changed_while_calls_go_on() {
    let mut world = World::configured(|config| config.proof_keys = ProofKeys::new([1, 2], []));
    let (old, _) = call(&mut world);
    world.command(&Command::ProofKeys(ProofKeys::new([3, 4], [[1, 2]])));
    let (new, _) = call(&mut world);
    for ok in [&old, &new] {
        one(&world.caller_in_dialog("INFO", 2, ok), ONE, "INFO");
    }
    world.command(&Command::ProofKeys(ProofKeys::new([3, 4], [])));
    one(&world.caller_in_dialog("INFO", 3, &new), ONE, "INFO");
    assert_eq!(
        kinds(&world.caller_in_dialog("INFO", 3, &old), CALLER),
        ["481"]
    );
}
