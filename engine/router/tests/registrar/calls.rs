//! Requests to users: which contacts they go to and in which order, and what is answered when they go nowhere.

use std::sync::Arc;

use tipring_router::rdb::Table;
use tipring_router::{Directory, Nat, Order, Reach, RegistrarSettings};

use crate::callers::{CALLER, answer, asked, inside, request};
use crate::world::{INSTANCE, PHONE, Register, Sent, World, world, world_of, world_with};

const ALICE: &str = "sip:alice@example.com";

fn place(host: u8) -> (String, String) {
    (
        format!("192.0.2.{host}:5060"),
        format!("sip:alice@192.0.2.{host}"),
    )
}

/// Alice has these contacts beside those before.
#[track_caller]
fn registered(world: &mut World, contacts: &[&str]) {
    world.registered(contacts);
}

#[test]
fn contacts_of_one_preference_ring_at_once_and_the_next_when_they_fail() {
    let mut world = world();
    registered(
        &mut world,
        &[
            "<sip:alice@192.0.2.11>;q=0.5",
            "<sip:alice@192.0.2.12>",
            "<sip:alice@192.0.2.13>;q=0.9",
            "<sip:alice@192.0.2.14>;q=0.9",
        ],
    );
    let first = world.called(ALICE, "fork");
    assert_eq!(asked(&first), [place(12)]);
    assert!(
        first[0]
            .value("Record-Route")
            .contains("@192.0.2.1:5060;lr")
    );
    let second = world.answered(&first[0], 486);
    assert_eq!(asked(&second)[1..], [place(14), place(13)], "{second:#?}");
    world.answered(&second[1], 486);
    let third = world.answered(&second[2], 486);
    assert_eq!(asked(&third)[1..], [place(11)], "{third:#?}");
    let won = world.answered(&third[1], 200);
    assert_eq!(
        (won[0].kind(), won[0].to.to_string()),
        ("200", CALLER.to_owned())
    );
    let reach = world.counters().reach;
    assert_eq!((reach.requests, reach.contacts), (1, 4));
}

#[test]
fn the_next_preference_is_tried_when_the_first_does_not_answer_in_time() {
    let mut world = world();
    registered(
        &mut world,
        &["<sip:alice@192.0.2.11>;q=0.5", "<sip:alice@192.0.2.12>"],
    );
    let first = world.called(ALICE, "slow");
    world.answered(&first[0], 180);
    let cancelled = world.passed(std::time::Duration::from_secs(20));
    let cancel = cancelled.iter().find(|it| it.kind() == "CANCEL");
    assert!(cancel.is_some(), "{cancelled:#?}");
    let second = world.answered(&first[0], 487);
    assert!(asked(&second).contains(&place(11)), "{second:#?}");
    // The last one rings on.
    let invite = second
        .iter()
        .find(|it| it.kind() == "INVITE")
        .expect("a call");
    world.answered(invite, 180);
    let later = world.passed(std::time::Duration::from_secs(60));
    let stopped = |it: &Sent| it.kind() == "CANCEL" && it.to == invite.to;
    assert!(!later.iter().any(stopped), "{later:#?}");
}

#[test]
fn a_user_without_contacts_is_unavailable_and_no_user_is_unknown() {
    let mut world = world();
    assert_eq!(world.refused(ALICE, "a"), "480");
    assert_eq!(world.refused("sip:nobody@example.com", "b"), "404");
    // What is not local is the routing DB's business, and that is empty.
    assert_eq!(world.refused("sip:alice@example.net", "c"), "404");
    let reach = world.counters().reach;
    assert_eq!((reach.unavailable, reach.unknown), (1, 1));
    registered(&mut world, &["<sip:alice@192.0.2.11>;expires=60"]);
    assert_eq!(asked(&world.called(ALICE, "d")), [place(11)]);
    world.seconds(60);
    assert_eq!(world.refused(ALICE, "e"), "480");
}

#[test]
fn other_requests_go_to_contacts_too_and_those_for_the_domain_do_not() {
    let mut world = world();
    registered(&mut world, &["<sip:alice@192.0.2.11>"]);
    for method in ["MESSAGE", "SUBSCRIBE", "INFO", "OPTIONS", "NOTIFY", "REFER"] {
        let sent = world.receive(CALLER, &request(method, ALICE, method));
        assert_eq!(asked(&sent), [place(11)], "{method}: {sent:#?}");
        let back = world.answered(&sent[0], 202);
        assert_eq!(back[0].kind(), "202", "{method}");
    }
    for (method, uri) in [("PUBLISH", ALICE), ("OPTIONS", "sip:example.com")] {
        let sent = world.receive(CALLER, &request(method, uri, uri));
        assert_eq!(asked(&sent), [], "{method}");
    }
}

#[test]
fn a_path_is_the_route_to_its_contact() {
    let mut world = world();
    let register = Register::contacts(&["<sip:alice@10.9.9.9>"])
        .with("Supported: path")
        .with("Path: <sip:192.0.2.50;lr>, <sip:192.0.2.51:5080;lr>");
    assert_eq!(world.send(&register).kind(), "200");
    let sent = world.called(ALICE, "path");
    let over = (
        "192.0.2.50:5060".to_owned(),
        "sip:alice@10.9.9.9".to_owned(),
    );
    assert_eq!(asked(&sent), [over]);
    let routes = ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51:5080;lr>"];
    assert_eq!(sent[0].values("Route"), routes);
}

/// Alice's phone is behind a NAT that shows this address.
const NAT: &str = "198.51.100.77:40001";

fn behind_nat(world: &mut World) {
    let phone = "<sip:alice@10.1.1.1:5060>";
    let mut register = Register::contacts(&[phone]);
    register.via = "10.1.1.1:5060;rport";
    register.from = NAT;
    assert_eq!(world.send(&register).kind(), "200");
}

#[test]
fn a_phone_behind_nat_is_reached_at_its_source_through_the_whole_call() {
    let mut world = world();
    behind_nat(&mut world);
    let sent = world.called(ALICE, "nat");
    let phone = (NAT.to_owned(), "sip:alice@10.1.1.1:5060".to_owned());
    assert_eq!(asked(&sent), std::slice::from_ref(&phone));
    let won = world.answered(&sent[0], 200);
    assert_eq!(won[0].kind(), "200");
    let ack = world.receive(CALLER, &inside("ACK", 1, &won[0]));
    assert_eq!(asked(&ack), std::slice::from_ref(&phone), "{ack:#?}");
    let bye = world.receive(CALLER, &inside("BYE", 2, &won[0]));
    assert_eq!(asked(&bye), [phone], "{bye:#?}");
    assert_eq!(world.answered(&bye[0], 200)[0].kind(), "200");
}

#[test]
fn nobody_else_is_reached_by_a_flow_that_was_not_handed_out() {
    let mut world = world();
    behind_nat(&mut world);
    let sent = world.called(ALICE, "forged");
    let won = world.answered(&sent[0], 200);
    // Another port in the flow, and the flow in another call.
    let port = inside("BYE", 2, &won[0]).replace("9c41", "9c42");
    let call = inside("BYE", 3, &won[0]).replace("forged", "another");
    for forged in [port, call] {
        assert!(forged.contains("9c4"), "{forged}");
        let refused = world.receive(CALLER, &forged);
        assert_eq!(asked(&refused), [], "{refused:#?}");
    }
}

#[test]
fn a_caller_behind_nat_is_reached_at_his_source_too() {
    let settings = RegistrarSettings {
        nat: Nat::Always,
        ..RegistrarSettings::default()
    };
    let mut world = world_with(settings);
    registered(&mut world, &["<sip:alice@10.1.1.1>"]);
    let behind = "203.0.113.5:33000";
    let invite = request("INVITE", ALICE, "both").replace("@198.51.100.9", "@10.7.7.7");
    let sent = world.receive(behind, &invite);
    let invite = sent
        .iter()
        .find(|it| it.kind() == "INVITE")
        .expect("a call");
    assert_eq!(invite.to.to_string(), PHONE);
    let won = world.answered(invite, 200);
    let routes: String = won[0].lines("Record-Route").replace("Record-", "");
    let bye = format!(
        "BYE sip:caller@10.7.7.7 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKbye\r\n{routes}\
         From: <{ALICE}>;tag=callee\r\nTo: <sip:caller@example.net>;tag=c\r\nCall-ID: both\r\n\
         CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    let there = (behind.to_owned(), "sip:caller@10.7.7.7".to_owned());
    assert_eq!(asked(&world.receive(PHONE, &bye)), [there]);
}

fn gruus(answer: &Sent) -> [String; 2] {
    ["pub-gruu=\"", "temp-gruu=\""].map(|name| {
        let rest = answer.text.split_once(name).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn a_gruu_leads_to_its_instance_alone() {
    let mut world = world();
    registered(&mut world, &["<sip:alice@192.0.2.11>"]);
    let contact = format!("<sip:alice@192.0.2.12>;{INSTANCE}");
    let with_gruu = Register::contacts(&[&contact]).with("Supported: gruu");
    let answer = world.send(&with_gruu);
    let [public, temporary] = gruus(&answer);
    for (call, gruu) in [&public, &temporary].into_iter().enumerate() {
        let sent = world.called(gruu, &format!("gruu-{call}"));
        assert_eq!(asked(&sent), [place(12)], "{gruu}");
    }
    registered(&mut world, &["<sip:alice@192.0.2.12>;expires=0"]);
    assert_eq!(world.refused(&public, "gone"), "480");
    assert_eq!(world.refused(&temporary, "gone-2"), "404");
}

#[test]
fn a_temporary_gruu_outlives_the_keys_it_was_made_with_as_long_as_they_hold() {
    use tipring_router::{Command, ProofKeys};
    let mut world = world_of(|config| config.proof_keys = ProofKeys::new([1, 2], []));
    let contact = format!("<sip:alice@192.0.2.12>;{INSTANCE}");
    let answer = world.send(&Register::contacts(&[&contact]).with("Supported: gruu"));
    let [_, temporary] = gruus(&answer);
    world.command(&Command::ProofKeys(ProofKeys::new([3, 4], [[1, 2]])));
    assert_eq!(asked(&world.called(&temporary, "kept")), [place(12)]);
    world.command(&Command::ProofKeys(ProofKeys::new([3, 4], [])));
    assert_eq!(world.refused(&temporary, "forgotten"), "404");
}

#[test]
fn one_flow_of_an_instance_is_used_at_a_time() {
    let mut world = world();
    for (host, id) in [(11, 1), (12, 2)] {
        let contact = format!("<sip:alice@192.0.2.{host}>;{INSTANCE};reg-id={id}");
        world.send(&Register::contacts(&[&contact]).with("Supported: outbound"));
    }
    let sent = world.called(ALICE, "flows");
    // RFC 5626 7: the newest one.
    assert_eq!(
        asked(&sent),
        [(PHONE.to_owned(), "sip:alice@192.0.2.12".to_owned())]
    );
}

const RDB: &str = r#"[{"userpartPattern": "^(alice|bob|5.*)$", "routingRecord":
    {"mode": "proxy", "outRuriHostport": "192.0.2.99"}}]"#;

fn ordered(order: Order) -> World {
    let mut world = world_of(|config| {
        config.table = Arc::new(Table::parse(RDB).expect("a good table"));
        let reach = Reach {
            order,
            ..Reach::default()
        };
        config.registrar = Some(Arc::new(RegistrarSettings {
            reach,
            ..RegistrarSettings::default()
        }));
    });
    registered(&mut world, &["<sip:alice@192.0.2.11>"]);
    world
}

#[test]
fn contacts_and_routing_db_are_asked_in_the_order_that_is_set() {
    let by_rdb = |user: &str| {
        (
            "192.0.2.99:5060".to_owned(),
            format!("sip:{user}@192.0.2.99"),
        )
    };
    for (order, alice) in [
        (Order::LocationThenRdb, place(11)),
        (Order::Location, place(11)),
        (Order::RdbThenLocation, by_rdb("alice")),
        (Order::Rdb, by_rdb("alice")),
    ] {
        let mut world = ordered(order);
        assert_eq!(asked(&world.called(ALICE, "a")), [alice], "{order:?}");
        let (bob, number) = ("sip:bob@example.com", "sip:5551@example.com");
        if order == Order::Location {
            assert_eq!(world.refused(bob, "b"), "480");
            assert_eq!(world.refused(number, "c"), "404");
        } else {
            assert_eq!(asked(&world.called(bob, "b")), [by_rdb("bob")], "{order:?}");
            assert_eq!(
                asked(&world.called(number, "c")),
                [by_rdb("5551")],
                "{order:?}"
            );
        }
    }
}

#[test]
fn an_address_of_ours_stands_for_the_default_domain() {
    let settings = RegistrarSettings {
        default_domain: Some("example.com".into()),
        ..RegistrarSettings::default()
    };
    let mut world = world_with(settings);
    registered(&mut world, &["<sip:alice@192.0.2.11>"]);
    let sent = world.called("sip:alice@192.0.2.1", "own");
    assert_eq!(asked(&sent), [place(11)]);
}

#[test]
fn without_local_domains_nothing_is_looked_up() {
    let mut world = world_of(|config| config.directory = Arc::new(Directory::default()));
    assert_eq!(world.refused(ALICE, "none"), "404");
    assert_eq!(world.counters().reach.unknown, 0);
}

#[test]
fn a_caller_who_gives_up_ends_all_branches() {
    let mut world = world();
    registered(
        &mut world,
        &["<sip:alice@192.0.2.11>", "<sip:alice@192.0.2.12>"],
    );
    let sent = world.called(ALICE, "cancel");
    assert_eq!(sent.len(), 2);
    for invite in &sent {
        world.receive(&invite.to.to_string(), &answer(invite, 180, invite.uri()));
    }
    let cancel = request("CANCEL", ALICE, "cancel");
    let sent = world.receive(CALLER, &cancel);
    let cancels = sent.iter().filter(|it| it.kind() == "CANCEL").count();
    assert_eq!(cancels, 2, "{sent:#?}");
}
