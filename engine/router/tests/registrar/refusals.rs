//! REGISTERs that are refused, each with the answer that tells why; and those that are not the registrar's.

use tipring_router::RegistrarSettings;

use crate::world::{INSTANCE, PHONE, Register, World, world, world_of, world_with};

const CONTACT: &str = "<sip:alice@192.0.2.7>";

#[track_caller]
fn start(world: &mut World, register: &Register<'_>) -> String {
    world.send(register).start().to_owned()
}

#[test]
fn who_is_no_user_here_is_not_found() {
    let mut world = world();
    for to in [
        "sip:nobody@example.com",
        "sip:alice@example.net",
        "sip:carol@example.com",
        "sip:example.com",
        "tel:+15551234",
    ] {
        let register = Register {
            to,
            ..Register::contacts(&[CONTACT])
        };
        assert_eq!(
            start(&mut world, &register),
            "SIP/2.0 404 Not Found",
            "{to}"
        );
    }
    assert_eq!(world.counters().registrar.unknown, 5);
}

#[test]
fn domains_and_users_are_compared_as_uris_are() {
    let mut world = world();
    for (uri, to) in [
        ("sip:EXAMPLE.com", "sip:%61lice@Example.COM"),
        ("sip:example.com.", "sip:alice@example.com.;x=y"),
        // The registrar of the one domain has the bindings of the other, too (RFC 3261 10.3 step 1).
        ("sip:example.org", "sip:alice@example.com"),
    ] {
        let register = Register {
            uri,
            to,
            ..Register::contacts(&[CONTACT])
        };
        assert_eq!(world.send(&register).kind(), "200", "{uri} {to}");
    }
    assert_eq!(world.fetched().len(), 1);
}

#[test]
fn an_address_of_ours_is_the_default_domain_if_there_is_one() {
    let by_address = Register {
        uri: "sip:192.0.2.1",
        to: "sip:alice@192.0.2.1:5060",
        ..Register::contacts(&[CONTACT])
    };
    assert_eq!(world().send(&by_address).kind(), "405");
    let mut world = world_with(RegistrarSettings {
        default_domain: Some("example.com".into()),
        ..RegistrarSettings::default()
    });
    assert_eq!(world.send(&by_address).kind(), "200");
    assert_eq!(world.fetched().len(), 1);
    let elsewhere = Register {
        uri: "sip:192.0.2.2",
        ..by_address
    };
    assert_eq!(world.send(&elsewhere).kind(), "405");
}

#[test]
fn without_a_registrar_or_for_another_domain_it_is_as_ever() {
    let register = Register::contacts(&[CONTACT]);
    let off = world_of(|config| config.registrar = None).send(&register);
    assert_eq!(off.start(), "SIP/2.0 405 Method Not Allowed");
    let foreign = Register {
        uri: "sip:example.net",
        ..register
    };
    let foreign = world().send(&foreign);
    assert_eq!(foreign.kind(), "405");
    assert!(!off.value("Allow").contains("REGISTER"));
    assert!(foreign.value("Allow").contains("REGISTER"));
}

#[test]
fn options_says_what_the_registrar_can() {
    let options = format!(
        "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKo\r\nFrom: <sip:a@b>;tag=a\r\n\
         To: <sip:192.0.2.1>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    let told = |mut world: World| {
        let answer = world.receive(PHONE, &options).remove(0);
        let has = |name: &str, option: &str| answer.value(name).split(", ").any(|it| it == option);
        ["path", "outbound", "gruu"]
            .map(|option| has("Supported", option))
            .into_iter()
            .chain([has("Allow", "REGISTER")])
            .collect::<Vec<bool>>()
    };
    assert_eq!(told(world()), [true; 4]);
    assert_eq!(
        told(world_of(|config| config.directory = Default::default())),
        [false; 4]
    );
}

#[test]
fn too_brief_an_interval_is_423_and_an_hour_never_is() {
    let mut world = world_with(RegistrarSettings {
        min_expires_s: 3600,
        ..RegistrarSettings::default()
    });
    let answer = world.register(&["<sip:alice@192.0.2.7>;expires=3599"]);
    assert_eq!(answer.start(), "SIP/2.0 423 Interval Too Brief");
    assert_eq!(answer.value("Min-Expires"), "3600");
    assert_eq!(
        world
            .registered(&["<sip:alice@192.0.2.7>;expires=3600"])
            .len(),
        1
    );
    // Zero is no interval.
    assert_eq!(
        world.registered(&["<sip:alice@192.0.2.7>;expires=0"]).len(),
        0
    );
    assert_eq!(world.counters().registrar.too_brief, 1);
}

#[test]
fn one_bad_contact_leaves_all_as_they_were() {
    let mut world = world();
    for (bad, code) in [
        ("<sip:alice@>", "400"),
        ("<sip:alice@192.0.2.8>;q=1.5", "400"),
        ("<sip:alice@192.0.2.8>;expires=1", "423"),
        ("<sip:alice@192.0.2.8>;+sip.instance=\"x\"", "400"),
        ("<sip:alice@example.com>", "403"),
        ("<sip:alice@example.com;gr=urn:x>", "403"),
    ] {
        assert_eq!(world.register(&[CONTACT, bad]).kind(), code, "{bad}");
    }
    let tel = format!("<tel:+1555>;{INSTANCE}");
    assert_eq!(world.register(&[CONTACT, &tel]).kind(), "403");
    let long = format!("<sip:alice@192.0.2.8;x={}>", "y".repeat(2_100));
    assert_eq!(
        world.register(&[CONTACT, &long]).start(),
        "SIP/2.0 400 Contact Too Long"
    );
    assert_eq!(world.fetched(), [""; 0]);
}

#[test]
fn more_contacts_than_allowed_are_refused() {
    let mut world = world_of(|config| config.limits.contacts = 2);
    let contact = |n: u32| format!("<sip:alice@192.0.2.{n}>");
    world.registered(&[&contact(7), &contact(8)]);
    let answer = world.register(&[&contact(9)]);
    assert_eq!(answer.start(), "SIP/2.0 403 Too Many Contacts");
    assert_eq!(world.fetched().len(), 2);
    // One for one fits.
    let gone = format!("{};expires=0", contact(7));
    assert_eq!(world.registered(&[&contact(9), &gone]).len(), 2);
    assert_eq!(world.counters().registrar.too_many, 1);
}

#[test]
fn extensions_that_are_not_understood_are_named() {
    let mut world = world();
    let register = Register::contacts(&[CONTACT]).with("Require: path, pref, gruu");
    let answer = world.send(&register);
    assert_eq!(
        (answer.kind(), answer.value("Unsupported")),
        ("420", "pref")
    );
}
