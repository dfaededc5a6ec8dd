//! `proxy_udp_server`: what the routing DB decides leaves through the proxy.

use std::time::Duration;

use tipring_router::{ApplicationServer, Outbound};

use crate::world::{CALLEE, CALLER, World, requests};

const PROXY: &str = "127.0.0.4:5064";
const ROUTE: &str = "<sip:127.0.0.4:5064;lr>";

fn world(application_server: Option<ApplicationServer>) -> World {
    let proxy = Some(PROXY.parse().expect("an address"));
    let outbound = Outbound {
        application_server,
        proxy,
    };
    World::new(outbound, None)
}

#[test]
fn the_invite_goes_to_the_proxy_and_names_the_target() {
    let mut world = world(None);
    for (uri, expected) in [
        ("sip:7@127.0.0.1", "sip:7@127.0.0.2:5070"),
        ("sip:8@127.0.0.1", "sip:8@callee.example"),
        ("sip:6@127.0.0.1", "sip:6@127.0.0.9:5080"),
    ] {
        let sent = world.invite(CALLER, uri);
        let invite = requests(&sent, "INVITE")[0];
        assert_eq!(invite.start(), format!("INVITE {expected} SIP/2.0"));
        assert_eq!(invite.header("Route"), Some(ROUTE));
        assert_eq!(invite.to.to_string(), PROXY);
    }
    assert_eq!(
        world.events(),
        [],
        "a name that the proxy resolves is not looked up"
    );
}

#[test]
fn cancel_and_the_ack_of_a_failure_go_the_way_of_the_invite() {
    let mut world = world(None);
    let sent = world.invite(CALLER, "sip:7@127.0.0.1");
    let invite = requests(&sent, "INVITE")[0].clone();
    let acked = world.answer(&invite, "486 Busy Here", "");
    let ack = requests(&acked, "ACK")[0];
    assert_eq!(
        (ack.to.to_string().as_str(), ack.header("Route")),
        (PROXY, Some(ROUTE))
    );
}

#[test]
fn the_dialog_keeps_the_proxy_only_when_it_records_itself() {
    let recorded = "Record-Route: <sip:127.0.0.4:5064;lr>\r\n";
    for (record_route, to, route) in [(recorded, PROXY, Some(ROUTE)), ("", CALLEE, None)] {
        let mut world = world(None);
        let sent = world.invite(CALLER, "sip:7@127.0.0.1");
        let invite = requests(&sent, "INVITE")[0].clone();
        let more = format!("{record_route}Contact: <sip:b@{CALLEE}>\r\n");
        let answered = world.answer(&invite, "200 OK", &more)[0].clone();
        for (method, cseq) in [("ACK", 1), ("INFO", 2), ("BYE", 3)] {
            let sent = world.in_dialog(method, &answered, cseq);
            let request = requests(&sent, method)[0];
            assert_eq!(request.header("Route"), route, "{method}");
            assert_eq!(request.to.to_string(), to, "{method}");
        }
    }
}

#[test]
fn the_application_server_is_reached_without_the_proxy() {
    let server = ApplicationServer {
        address: "127.0.0.5:5060".parse().expect("an address"),
        sources: Vec::new(),
        keep_alive: Some(Duration::from_secs(20)),
        failures: 1,
    };
    let mut world = world(Some(server));
    let mut sent = world.invite(CALLER, "sip:7@127.0.0.1");
    sent.extend(world.pass(0.1));
    for method in ["INVITE", "OPTIONS"] {
        let request = requests(&sent, method)[0];
        assert_eq!(request.to.to_string(), "127.0.0.5:5060");
        assert_eq!(request.header("Route"), None);
    }
    let sent = world.invite("127.0.0.5:5060", "sip:7@127.0.0.1");
    assert_eq!(requests(&sent, "INVITE")[0].to.to_string(), PROXY);
}
