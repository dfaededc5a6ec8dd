//! Where a binding is reached: at what its contact says, at its Path, or where its REGISTER came from.

use tipring_router::{Binding, Nat, RegistrarSettings};

use crate::world::{INSTANCE, Register, World, changed, world, world_with};

const SOURCE: &str = "198.51.100.1:4711";

/// Registers a contact from `SOURCE` with this Via; the binding.
#[track_caller]
fn registered(world: &mut World, via: &'static str, contact: &str, more: &str) -> Binding {
    let mut register = Register::contacts(&[contact]);
    (register.via, register.from) = (via, SOURCE);
    if !more.is_empty() {
        register = register.with(more);
    }
    // Where the answer goes tells, too: to the source, if the phone asks for that (RFC 3581).
    let answer = world.send(&register);
    assert_eq!(answer.kind(), "200", "{}", answer.text);
    changed(world).pop().expect("a binding")
}

const PRIVATE: &str = "10.0.0.7:5060;rport";

#[test]
fn a_contact_behind_nat_is_reached_at_its_source() {
    for (nat, expected) in [(Nat::Auto, true), (Nat::Always, true), (Nat::Never, false)] {
        let mut world = world_with(RegistrarSettings {
            nat,
            ..RegistrarSettings::default()
        });
        let binding = registered(&mut world, PRIVATE, "<sip:alice@10.0.0.7>", "");
        assert_eq!(binding.at_source, expected, "{nat:?}");
        assert_eq!(binding.source.remote.to_string(), SOURCE);
        assert_eq!(&*binding.contact, b"sip:alice@10.0.0.7");
    }
}

#[test]
fn a_contact_that_says_where_it_is_is_believed() {
    let (via, contact) = ("198.51.100.1:4711;rport", "<sip:alice@198.51.100.9>");
    assert!(!registered(&mut world(), via, contact, "").at_source);
    let mut always = world_with(RegistrarSettings {
        nat: Nat::Always,
        ..RegistrarSettings::default()
    });
    assert!(registered(&mut always, via, contact, "").at_source);
}

#[test]
fn a_path_or_a_proxy_is_the_way_where_there_is_one() {
    let path = "Path: <sip:p.example;lr>\r\nSupported: path";
    let binding = registered(&mut world(), PRIVATE, "<sip:alice@10.0.0.7>", path);
    assert_eq!(
        (binding.at_source, &*binding.path),
        (false, &b"<sip:p.example;lr>"[..])
    );
    let proxied = "Via: SIP/2.0/UDP 10.0.0.7";
    let via = "198.51.100.1:4711";
    assert!(!registered(&mut world(), via, "<sip:alice@10.0.0.7>", proxied).at_source);
}

#[test]
fn a_flow_is_reached_over_itself_whatever_its_contact_says() {
    let mut never = world_with(RegistrarSettings {
        nat: Nat::Never,
        ..RegistrarSettings::default()
    });
    let contact = format!("<sip:alice@phone.example>;{INSTANCE};reg-id=3");
    let via = "198.51.100.1:4711;rport";
    let binding = registered(&mut never, via, &contact, "Supported: outbound");
    assert!(binding.at_source);
    assert_eq!(binding.reg_id, Some(3));
    let instance = b"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    assert_eq!(binding.instance.as_deref(), Some(&instance[..]));
}

#[test]
fn what_the_request_says_of_itself_is_kept() {
    let mut world = world();
    let binding = registered(
        &mut world,
        PRIVATE,
        "<sip:a@192.0.2.7>;q=0.25",
        "User-Agent: Phone/1",
    );
    assert_eq!((binding.q, &*binding.user_agent), (250, &b"Phone/1"[..]));
    assert_eq!((&*binding.call_id, binding.cseq), (&b"alice-1"[..], 1));
}
