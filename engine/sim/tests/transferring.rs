//! Transfers in all weathers (RFC 3515, RFC 5589): blind and attended, passed through and carried out by the
//! router.

use std::time::Duration;

use tipring_sim::{
    Act, Answering, Leaving, Outcome, PhonePlan, Played, Referred, Scene, SceneRoute, play,
    play_in_all_weathers,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Phone 0 calls 1, and may call 2; one of the first two refers the other.
fn scene(acts: [&[(u64, Act)]; 2], handled: bool) -> Scene {
    let phone = |acts: &[(u64, Act)]| PhonePlan {
        acts: acts.iter().map(|(at, act)| (s(*at), *act)).collect(),
        answering: Answering {
            ring: Some((s(1), 180)),
            after: s(2),
            ..Answering::default()
        },
        handled,
        ..PhonePlan::default()
    };
    let phones = vec![phone(acts[0]), phone(acts[1]), phone(&[])];
    Scene::of((0..3).map(SceneRoute::bridged).collect(), phones)
}

fn answer(played: &Played, phone: usize, method: &str) -> Option<u16> {
    let mut answers = played.lived[phone].answers.iter();
    answers.find(|it| it.0 == method).map(|it| it.1)
}

fn got(played: &Played, phone: usize, method: &str) -> usize {
    let requests = played.lived[phone].requests.iter();
    requests.filter(|it| *it == method).count()
}

#[test]
fn a_blind_transfer_crosses_and_its_progress_comes_back() {
    let played = play_in_all_weathers(&scene(
        [&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]],
        false,
    ));
    assert_eq!(answer(&played, 0, "REFER"), Some(202));
    assert_eq!(got(&played, 0, "NOTIFY"), 3, "100, 180, 200");
    // The one referred calls the third, and stays with it until the end.
    assert_eq!(answer(&played, 1, "INVITE"), Some(200));
    assert_eq!([got(&played, 1, "BYE"), got(&played, 2, "INVITE")], [1, 1]);
}

#[test]
fn an_attended_transfer_replaces_the_consultation() {
    let acts = [
        (0, Act::Call(1)),
        (4, Act::Call(2)),
        (9, Act::Transfer(0, 1)),
    ];
    let played = play_in_all_weathers(&scene([&acts, &[]], false));
    assert_eq!(answer(&played, 0, "REFER"), Some(202));
    assert_eq!(answer(&played, 1, "INVITE"), Some(200));
    assert_eq!(
        got(&played, 2, "INVITE"),
        2,
        "the consultation, and what replaces it"
    );
}

#[test]
fn the_router_carries_out_a_blind_transfer() {
    let played = play_in_all_weathers(&scene(
        [&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]],
        true,
    ));
    assert_eq!(answer(&played, 0, "REFER"), Some(202));
    assert_eq!(got(&played, 1, "REFER"), 0, "the other party is not asked");
    assert_eq!(
        got(&played, 1, "INVITE"),
        2,
        "its call, and the re-INVITE with the target's offer"
    );
    assert_eq!(got(&played, 2, "INVITE"), 1);
}

#[test]
fn the_router_carries_out_an_attended_transfer_of_the_callee() {
    let acts = [(4, Act::Call(2)), (9, Act::Transfer(0, 1))];
    let played = play_in_all_weathers(&scene([&[(0, Act::Call(1))], &acts], true));
    assert_eq!(answer(&played, 1, "REFER"), Some(202));
    assert_eq!(got(&played, 0, "REFER"), 0);
    assert_eq!(got(&played, 2, "INVITE"), 2);
}

#[test]
fn a_target_that_refuses_leaves_the_call_as_it_was() {
    for handled in [false, true] {
        let mut scene = scene([&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]], handled);
        scene.phones[2].answering.outcome = Outcome::Reject(486);
        scene.phones[0].leaves = Leaving::Never;
        let played = play_in_all_weathers(&scene);
        assert_eq!(answer(&played, 0, "REFER"), Some(202));
        let last = played.tape.iter().rev().find_map(|crossing| {
            let heard = crossing.heard.as_ref().ok()?;
            (heard.method == "NOTIFY" && heard.is_request()).then(|| heard.body.clone())
        });
        assert_eq!(
            last.as_deref(),
            Some(&b"SIP/2.0 486 Busy Here\r\n"[..]),
            "handled {handled}"
        );
    }
}

#[test]
fn hang_ups_that_cross_a_transfer_leave_nothing() {
    for handled in [false, true] {
        for (who, at) in [(0, 5_000), (0, 5_003), (1, 5_001), (1, 6_500), (2, 7_800)] {
            let mut scene = scene([&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]], handled);
            let at = Duration::from_millis(at);
            scene.phones[who].acts.push((at, Act::HangUp(0)));
            play_in_all_weathers(&scene);
        }
    }
}

#[test]
fn who_refuses_or_hangs_up_when_referred_is_understood() {
    for referred in [Referred::Refuses(603), Referred::HangsUp] {
        let mut scene = scene([&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]], false);
        scene.phones[1].referred = referred;
        let played = play_in_all_weathers(&scene);
        let code = match referred {
            Referred::Refuses(code) => code,
            _ => 202,
        };
        assert_eq!(answer(&played, 0, "REFER"), Some(code));
    }
}

#[test]
fn nobody_hears_the_notifications() {
    for handled in [false, true] {
        let mut scene = scene([&[(0, Act::Call(1)), (5, Act::Refer(0, 2))], &[]], handled);
        scene.phones[0].deaf = Some("NOTIFY");
        let played = play_in_all_weathers(&scene);
        assert_eq!(
            got(&played, 2, "INVITE"),
            1,
            "handled {handled}: the transfer goes on"
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_scene() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| play(&Scene::random(seed)).trace());
        assert_eq!(first, second, "seed {seed}");
    }
}
