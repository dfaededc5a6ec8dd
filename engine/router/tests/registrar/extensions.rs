//! Path, Service-Route, outbound and GRUUs in a REGISTER and its 200.

use tipring_router::{RegistrarSettings, UnsupportedPath};

use crate::world::{INSTANCE, Register, Sent, listed, world, world_with};

/// What a proxy was sent.
const BEHIND: &str = "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKphone";

fn flow(parameters: &str) -> Register<'static> {
    let contact = format!("<sip:alice@192.0.2.7>;{INSTANCE}{parameters}");
    Register::contacts(&[&contact])
}

#[test]
fn a_path_is_kept_in_its_order_and_told() {
    let mut world = world();
    let register = Register::contacts(&["<sip:alice@192.0.2.7>"])
        .with("Path: <sip:p3.example;lr>, <sip:p2.example;lr>")
        .with("Path: \"P\" <sip:p1.example;lr;ob>");
    let refused = world.send(&register);
    assert_eq!(
        (refused.kind(), refused.value("Unsupported")),
        ("420", "path")
    );
    let answer = world.send(&register.clone().with("Supported: gruu, path"));
    let path = "<sip:p3.example;lr>, <sip:p2.example;lr>, \"P\" <sip:p1.example;lr;ob>";
    assert_eq!((answer.kind(), answer.value("Path")), ("200", path));
    let bad = Register::contacts(&[])
        .with("Path: <p1>")
        .with("Supported: path");
    assert_eq!(world.send(&bad).start(), "SIP/2.0 400 Bad Path");
    let mut lenient = world_with(RegistrarSettings {
        path: UnsupportedPath::Accept,
        ..RegistrarSettings::default()
    });
    assert_eq!(lenient.send(&register).value("Path"), path);
}

#[test]
fn the_service_route_is_told_with_every_200() {
    let mut world = world_with(RegistrarSettings {
        service_route: Some("<sip:edge.example.com;lr>".into()),
        ..RegistrarSettings::default()
    });
    let answer = world.register(&["<sip:alice@192.0.2.7>"]);
    assert_eq!(answer.value("Service-Route"), "<sip:edge.example.com;lr>");
    assert_eq!(answer.value("Supported"), "path, outbound");
    assert_eq!(
        world.register(&["<sip:alice@>"]).header("Service-Route"),
        None
    );
}

#[test]
fn a_flow_is_registered_for_who_asks_and_told_by_require() {
    let mut world = world();
    let asked = world.send(&flow(";reg-id=1").with("Supported: outbound"));
    assert_eq!((asked.kind(), asked.value("Require")), ("200", "outbound"));
    // The same flow again replaces its contact, another one is beside it.
    let moved = format!("<sip:alice@192.0.2.70>;{INSTANCE};reg-id=1");
    let moved = Register::contacts(&[&moved]).with("Supported: outbound");
    assert_eq!(listed(&world.send(&moved)).len(), 1);
    let second = world.send(&flow(";reg-id=2"));
    assert_eq!((second.header("Require"), listed(&second).len()), (None, 2));
    let contact = format!("<sip:alice@192.0.2.7>;{INSTANCE};reg-id=2;expires=3600");
    assert_eq!(listed(&second)[1], contact);
}

#[test]
fn a_reg_id_without_instance_is_not_heeded() {
    let mut world = world();
    let register = Register::contacts(&["<sip:alice@192.0.2.7>;reg-id=1"]);
    let answer = world.send(&register.with("Supported: outbound"));
    assert_eq!(answer.header("Require"), None);
    assert_eq!(listed(&answer), ["<sip:alice@192.0.2.7>;expires=3600"]);
}

#[test]
fn a_first_hop_without_outbound_is_told_or_passed_over() {
    let mut world = world();
    let behind = |register: Register<'static>| register.with(BEHIND);
    let asked = behind(flow(";reg-id=1").with("Supported: outbound, path"));
    let answer = world.send(&asked);
    assert_eq!(
        answer.start(),
        "SIP/2.0 439 First Hop Lacks Outbound Support"
    );
    let answer = world.send(&behind(flow(";reg-id=1")));
    assert_eq!((answer.kind(), answer.header("Require")), ("200", None));
    assert!(
        !answer.value("Contact").contains("reg-id"),
        "{}",
        answer.text
    );
    let by_edge = asked.with("Path: <sip:edge.example;lr;ob>");
    assert_eq!(world.send(&by_edge).value("Require"), "outbound");
}

#[test]
fn a_flow_is_registered_alone_and_has_a_number() {
    let mut world = world();
    let two = flow(";reg-id=1").with("Contact: <sip:alice@192.0.2.8>");
    assert_eq!(world.send(&two).kind(), "400");
    let one_gone = flow(";reg-id=1").with("Contact: <sip:alice@192.0.2.8>;expires=0");
    assert_eq!(world.send(&one_gone).kind(), "200");
    for bad in ["0", "x", "2147483648"] {
        let answer = world.send(&flow(&format!(";reg-id={bad}")));
        assert_eq!(answer.start(), "SIP/2.0 400 Bad reg-id", "{bad}");
    }
}

fn gruus(answer: &Sent) -> (String, String) {
    let contact = answer.value("Contact");
    let of = |name: &str| {
        let start = contact
            .split(&format!(";{name}=\""))
            .nth(1)
            .unwrap_or_default();
        start.split('"').next().unwrap_or_default().to_owned()
    };
    (of("pub-gruu"), of("temp-gruu"))
}

#[test]
fn gruus_are_told_to_who_knows_them_and_no_two_temporary_ones_are_alike() {
    let mut world = world();
    assert_eq!(gruus(&world.send(&flow(""))), Default::default());
    // What the phone proposes is not heeded.
    let register = flow(";pub-gruu=\"sip:mine\";temp-gruu=\"sip:mine\"").with("Supported: gruu");
    let (public, temporary) = gruus(&world.send(&register));
    assert_eq!(
        public,
        "sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    );
    assert!(temporary.starts_with("sip:tgruu.") && temporary.ends_with("@example.com;gr"));
    let (again, another) = gruus(&world.send(&register));
    assert_eq!(again, public);
    assert_ne!(another, temporary);
    assert!(!temporary.contains("alice") && another.len() == temporary.len());
    // A contact that is its own GRUU would lead in a circle.
    for gruu in [public, temporary] {
        assert_eq!(world.register(&[&format!("<{gruu}>")]).kind(), "403");
    }
    // Without an instance there is none.
    let plain = Register::contacts(&["<sip:alice@192.0.2.8>"]).with("Supported: gruu");
    let plain = world.send(&plain);
    let told = plain
        .values("Contact")
        .iter()
        .filter(|it| it.contains("gruu"))
        .count();
    assert_eq!((plain.values("Contact").len(), told), (2, 1));
}
