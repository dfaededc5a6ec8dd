//! A target moves when the request that moves it succeeds, and with its 2xx (RFC 6141 4), on either leg.

use super::world::{Sent, World, one, sdp};
use super::{CALLEE, CALLER, connected, reliable};

const MOVED_CALLER: &str = "sip:a@127.0.0.9:5099";
const MOVED_CALLEE: &str = "sip:b@127.0.0.2:5099";

/// Where a BYE of the callee, or else of the caller, goes.
fn target(world: &mut World, of: &str) -> String {
    let sent = match of {
        CALLER => world.callee_sends("INFO", "x", "", ""),
        _ => world.caller_sends("INFO", "", ""),
    };
    let info = sent
        .iter()
        .find(|sent| sent.kind() == "INFO")
        .expect("an INFO");
    let uri = info.text.split(' ').nth(1).expect("a URI");
    let host = uri.rsplit('@').next().expect("a host");
    assert_eq!(info.to.to_string(), host);
    uri.to_owned()
}

fn offers(world: &mut World, party: &str, method: &str) -> Sent {
    match party {
        CALLER => {
            world.caller_at = MOVED_CALLER.to_owned();
            one(
                &world.caller_sends(method, "", &sdp(2, 4000, "")),
                CALLEE,
                method,
            )
        }
        _ => {
            world.callee_at = MOVED_CALLEE.to_owned();
            one(
                &world.callee_sends(method, "x", "", &sdp(2, 6000, "")),
                CALLER,
                method,
            )
        }
    }
}

#[test]
fn a_request_moves_its_senders_target_when_it_succeeds() {
    for method in ["INVITE", "UPDATE"] {
        for (party, old, new) in [
            (CALLER, "sip:a@127.0.0.9:5080", MOVED_CALLER),
            (CALLEE, "sip:b@127.0.0.2:5070", MOVED_CALLEE),
        ] {
            for (status, expected) in [("200 OK", new), ("488 No", old), ("500 No", old)] {
                let mut world = connected();
                let seen = offers(&mut world, party, method);
                assert_eq!(target(&mut world, party), old, "{method} {status}: not yet");
                world.answer(&seen, status, "", "", &sdp(2, 4100, ""));
                assert_eq!(target(&mut world, party), expected, "{method} {status}");
            }
        }
    }
}

#[test]
fn a_2xx_moves_the_target_of_who_answers() {
    for method in ["INVITE", "UPDATE"] {
        let mut world = connected();
        let sent = world.caller_sends(method, "", &sdp(2, 4000, ""));
        let seen = one(&sent, CALLEE, method);
        world.callee_at = MOVED_CALLEE.to_owned();
        world.answer(&seen, "200 OK", "", "", &sdp(2, 6000, ""));
        assert_eq!(target(&mut world, CALLEE), MOVED_CALLEE, "{method}");

        let mut world = connected();
        let sent = world.callee_sends(method, "x", "", &sdp(2, 6000, ""));
        let seen = one(&sent, CALLER, method);
        world.caller_at = MOVED_CALLER.to_owned();
        world.answer(&seen, "200 OK", "", "", &sdp(2, 4000, ""));
        assert_eq!(target(&mut world, CALLER), MOVED_CALLER, "{method}");
    }
}

#[test]
fn a_reliable_provisional_moves_both_targets_and_no_other_does() {
    for (more, callee, caller) in [
        ("", "sip:b@127.0.0.2:5070", "sip:a@127.0.0.9:5080"),
        (&*reliable(1), MOVED_CALLEE, MOVED_CALLER),
    ] {
        let mut world = connected();
        let seen = offers(&mut world, CALLER, "INVITE");
        world.callee_at = MOVED_CALLEE.to_owned();
        world.answer(&seen, "183 Session Progress", "", more, "");
        assert_eq!(target(&mut world, CALLEE), callee);
        assert_eq!(target(&mut world, CALLER), caller);
        // RFC 6141 4.4: a rejection does not move it back.
        world.answer(&seen, "488 No", "", "", "");
        assert_eq!(target(&mut world, CALLEE), callee);
        assert_eq!(target(&mut world, CALLER), caller);
    }
}

#[test]
fn an_early_dialog_moves_like_any_other() {
    for (more, expected) in [("", "sip:b@127.0.0.2:5070"), (&*reliable(1), MOVED_CALLEE)] {
        let mut world = super::calling("Supported: 100rel\r\n");
        world.ring("180 Ringing", "x", "", "");
        world.callee_at = MOVED_CALLEE.to_owned();
        world.ring("183 Session Progress", "x", more, "");
        assert_eq!(target(&mut world, CALLEE), expected);
        world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
        assert_eq!(target(&mut world, CALLEE), MOVED_CALLEE);
    }
}
