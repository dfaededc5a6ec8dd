//! IPv4 on one leg and IPv6 on the other, and parties that name no address.

use crate::*;

#[test]
fn each_leg_is_shown_its_own_family() {
    let mut world = World::new();
    let (invite, ok) = world.call("6", &audio("10.0.0.9", 4000), &audio("2001:db8::2", 6000));
    assert_eq!(invite.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    assert!(invite.lines("o=")[0].ends_with(&format!(" IN IP6 {OURS6}")));
    assert_eq!(ok.lines("c="), [format!("c=IN IP4 {OURS}")]);
    assert!(invite.port(0) >= PORTS[1] && ok.port(0) < PORTS[1]);
    let sent = world.packet("10.0.0.9:4000", ok.port(0));
    assert_eq!(
        sent,
        Some(("[2001:db8::2]:6000".to_owned(), invite.port(0)))
    );
    let sent = world.packet("[2001:db8::2]:6000", invite.port(0));
    assert_eq!(sent, Some(("10.0.0.9:4000".to_owned(), ok.port(0))));
    world.hang_up();
}

#[test]
fn an_offer_of_another_family_than_its_signalling_is_served_in_its_own() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("2001:db8::9", 4000), &audio("10.0.0.2", 6000));
    assert_eq!(ok.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    assert_eq!(invite.lines("c="), [format!("c=IN IP4 {OURS}")]);
    let sent = world
        .packet("10.0.0.2:6000", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("[2001:db8::9]:4000"));
    world.hang_up();
}

#[test]
fn a_leg_whose_family_has_no_ports_gets_those_there_are() {
    let mut world = World::with_pairs(4, 0);
    let invite = world.invite("6", "", &audio("10.0.0.9", 4000));
    assert_eq!(invite.lines("c="), [format!("c=IN IP4 {OURS}")]);
    let ok = world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    world.ack(Caller, "");
    let sent = world.packet("10.0.0.9:4000", ok.port(0)).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.2:6000"));
    world.hang_up();
}

#[test]
fn an_answer_in_a_family_that_was_not_offered_gets_nothing() {
    let mut world = World::new();
    let (_, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("2001:db8::2", 6000));
    assert_eq!(world.packet("10.0.0.9:4000", ok.port(0)), None);
    world.hang_up();
}

#[test]
fn a_name_stands_for_where_the_signalling_comes_from() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("phone.example", 4000), &audio("10.0.0.2", 6000));
    assert!(!invite.body().contains("phone.example"));
    let sent = world
        .packet("10.0.0.2:6000", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("127.0.0.9:4000"));
    assert_eq!(ok.lines("c="), [format!("c=IN IP4 {OURS}")]);
    world.hang_up();
}

/// Both families in turn: where each side says its media is.
const AT: [[&str; 2]; 2] = [["10.0.0.9", "2001:db8::9"], ["10.0.0.2", "2001:db8::2"]];

/// An agreed call in IPv4, and what either side knows our ports by.
fn agreed(pairs: [u16; 2]) -> (World, u16, u16) {
    let mut world = World::with_pairs(pairs[0], pairs[1]);
    let (invite, ok) = world.call("7", &audio(AT[0][0], 4000), &audio(AT[1][0], 4000));
    (world, ok.port(0), invite.port(0))
}

/// Whether packets of each side reach the other where it says it is.
fn talk(world: &mut World, at: [&str; 2], ports: [u16; 2]) {
    let socket = |address: &str| match address.contains(':') {
        true => format!("[{address}]:4000"),
        false => format!("{address}:4000"),
    };
    let sides = at.map(socket);
    for (from, to) in [(0, 1), (1, 0)] {
        let sent = world.packet(&sides[from], ports[from]);
        assert_eq!(sent, Some((sides[to].clone(), ports[to])));
    }
}

#[test]
fn a_party_that_changes_its_family_gets_ports_of_that() {
    for from in [Caller, Callee] {
        for method in ["INVITE", "UPDATE"] {
            let (mut world, to_caller, to_callee) = agreed([2, 1]);
            let mut ports = [to_caller, to_callee];
            let mut at = [AT[0][0], AT[1][0]];
            let (own, other) = (from as usize, from.other() as usize);
            let mut origin = None;
            for family in [1, 1, 0] {
                at[own] = AT[own][family];
                let offer = world.request(from, method, "", &audio(at[own], 4000));
                assert_eq!(offer.port(0), ports[other], "the other side sees no change");
                let answer = world.answer(from.other(), &offer, 200, "", &audio(at[other], 4000));
                if method == "INVITE" {
                    world.ack(from, "");
                }
                let ours = [format!("c=IN IP4 {OURS}"), format!("c=IN IP6 {OURS6}")];
                assert_eq!(answer.lines("c="), [ours[family].as_str()]);
                assert_eq!(answer.port(0) >= PORTS[1], family == 1);
                let named = answer.lines("o=")[0].split(' ').skip(3).collect::<Vec<_>>();
                let named = named.join(" ");
                assert_eq!(*origin.get_or_insert(named.clone()), named);
                ports[own] = answer.port(0);
                talk(&mut world, at, ports);
                assert_eq!(world.router.counters().media.pairs_used, 2);
            }
            world.hang_up();
        }
    }
}

#[test]
fn a_change_of_family_that_is_rejected_leaves_everything_as_it_was() {
    let (mut world, to_caller, to_callee) = agreed([2, 1]);
    let at = [AT[0][0], AT[1][0]];
    for (code, body) in [(488, String::new()), (200, String::new())] {
        let update = world.request(Caller, "UPDATE", "", &audio(AT[0][1], 4000));
        assert_eq!(world.router.counters().media.pairs_used, 3, "kept for it");
        talk(&mut world, at, [to_caller, to_callee]);
        world.answer(Callee, &update, code, "", &body);
        assert_eq!(world.router.counters().media.pairs_used, 2);
        talk(&mut world, at, [to_caller, to_callee]);
    }
    world.hang_up();
}

#[test]
fn a_change_of_family_whose_line_is_refused_takes_no_ports() {
    let (mut world, _, _) = agreed([2, 1]);
    let reinvite = world.request(Caller, "INVITE", "", &audio(AT[0][1], 4000));
    let ok = world.answer(Callee, &reinvite, 200, "", &audio(AT[1][0], 0));
    assert_eq!(ok.port(0), 0);
    world.ack(Caller, "");
    assert_eq!(world.router.counters().media.pairs_used, 0);
    world.hang_up();
}

#[test]
fn a_family_without_free_ports_is_500_and_one_without_any_488() {
    let (mut world, _, _) = agreed([2, 1]);
    let update = world.request(Callee, "UPDATE", "", &audio(AT[1][1], 4000));
    world.answer(Caller, &update, 200, "", &audio(AT[0][0], 4000));
    let refused = world.request(Caller, "UPDATE", "", &audio(AT[0][1], 4000));
    assert_eq!(refused.code(), 500, "the callee has the only pair");
    world.hang_up();

    let (mut world, to_caller, to_callee) = agreed([4, 0]);
    for method in ["INVITE", "UPDATE"] {
        let refused = world.request(Caller, method, "", &audio(AT[0][1], 4000));
        assert_eq!(refused.code(), 488, "{method}");
        let warning = "301 127.0.0.1:5060 \"Incompatible network address formats\"";
        assert_eq!(refused.header("Warning"), Some(warning));
    }
    talk(&mut world, [AT[0][0], AT[1][0]], [to_caller, to_callee]);
    let refused = world.invite("7", "", &audio(AT[0][1], 4000));
    assert_eq!(refused.code(), 488, "a first offer likewise");
}

#[test]
fn an_offer_in_a_response_changes_the_family_once_its_ack_answers_it() {
    let (mut world, to_caller, _) = agreed([2, 1]);
    let reinvite = world.request(Caller, "INVITE", "", "");
    let ok = world.answer(Callee, &reinvite, 200, "", &audio(AT[1][1], 4000));
    assert_eq!(ok.port(0), to_caller);
    let ack = world.ack(Caller, &audio(AT[0][0], 4000));
    assert_eq!(ack.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    let ports = [to_caller, ack.port(0)];
    talk(&mut world, [AT[0][0], AT[1][1]], ports);
    world.hang_up();
}

#[test]
fn a_stream_added_after_the_change_has_the_new_family_too() {
    let (mut world, _, _) = agreed([4, 2]);
    let update = world.request(Callee, "UPDATE", "", &audio(AT[1][1], 4000));
    world.answer(Caller, &update, 200, "", &audio(AT[0][0], 4000));
    let sections = "m=audio 4000 RTP/AVP 0\r\nm=video 4200 RTP/AVP 31\r\n";
    let reinvite = world.request(Caller, "INVITE", "", &sdp(AT[0][0], 2, sections));
    assert_eq!(reinvite.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    assert!(reinvite.port(0) >= PORTS[1] && reinvite.port(1) >= PORTS[1]);
    world.answer(Callee, &reinvite, 200, "", &sdp(AT[1][1], 2, sections));
    world.ack(Caller, "");
    world.hang_up();
}
