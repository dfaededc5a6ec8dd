//! Phones behind the proxy (RFC 3261 16), in all weathers: forks, redirections, losers, and dialogs whose
//! requests take the recorded route.

use std::time::Duration;

use tipring_sim::{
    Act, Answering, Outcome, PhonePlan, Place, Played, Scene, SceneRoute, play_in_all_weathers,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn acts(acts: &[(u64, Act)]) -> PhonePlan {
    PhonePlan {
        acts: acts.iter().map(|(at, act)| (s(*at), *act)).collect(),
        ..PhonePlan::default()
    }
}

fn callee(after: u64, outcome: Outcome) -> PhonePlan {
    PhonePlan {
        answering: Answering {
            ring: Some((Duration::from_millis(100), 180)),
            after: s(after),
            outcome,
            crosses_cancel: false,
        },
        ..PhonePlan::default()
    }
}

/// What the caller's first INVITE came to.
fn outcome(played: &Played) -> Option<u16> {
    let mut answers = played.lived[0].answers.iter();
    answers.find(|it| it.0 == "INVITE").map(|it| it.1)
}

fn contains(played: &Played, phone: usize, title: &str) -> bool {
    played.titles(phone).contains(&title.to_owned())
}

#[test]
fn the_first_answer_of_a_parallel_fork_wins_and_the_others_are_cancelled() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000), (2, 1_000)])];
    let phones = vec![
        acts(&[(0, Act::Call(0)), (10, Act::HangUp(0))]),
        callee(2, Outcome::Accept),
        callee(5, Outcome::Accept),
    ];
    let played = play_in_all_weathers(&Scene::of(routes, phones));
    assert_eq!(outcome(&played), Some(200));
    assert_eq!(played.titles(1), ["INVITE", "ACK", "BYE"]);
    assert_eq!(played.titles(2), ["INVITE", "CANCEL", "ACK"]);
}

#[test]
fn a_serial_fork_goes_on_where_one_refuses() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000), (2, 500)])];
    let phones = vec![
        acts(&[(0, Act::Call(0))]),
        callee(1, Outcome::Reject(486)),
        callee(1, Outcome::Accept),
    ];
    let played = play_in_all_weathers(&Scene::of(routes, phones));
    assert_eq!(outcome(&played), Some(200));
    assert_eq!(played.titles(1), ["INVITE", "ACK"]);
}

#[test]
fn several_that_answered_are_all_told_to_the_caller_who_keeps_one() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000), (2, 1_000)])];
    let crossing = PhonePlan {
        answering: Answering {
            crosses_cancel: true,
            ..callee(5, Outcome::Accept).answering
        },
        ..PhonePlan::default()
    };
    let phones = vec![
        acts(&[(0, Act::Call(0)), (10, Act::HangUp(0))]),
        callee(2, Outcome::Accept),
        crossing,
    ];
    let played = play_in_all_weathers(&Scene::of(routes, phones));
    // RFC 3261 16.7 step 5 and 13.2.2.4: each 2xx is passed on, acknowledged, and all but one are ended.
    assert_eq!(played.titles(2), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert!(contains(&played, 1, "BYE"));
}

#[test]
fn a_redirection_is_tried_or_passed_back() {
    for recurse in [true, false] {
        let route = SceneRoute {
            recurse,
            ..SceneRoute::proxied(&[(1, 1_000)])
        };
        let phones = vec![
            acts(&[(0, Act::Call(0))]),
            callee(1, Outcome::Redirect(vec![2])),
            callee(1, Outcome::Accept),
        ];
        let played = play_in_all_weathers(&Scene::of(vec![route], phones));
        let expected = if recurse { 200 } else { 302 };
        assert_eq!(outcome(&played), Some(expected), "recurse {recurse}");
        assert_eq!(played.titles(2).is_empty(), !recurse);
    }
}

#[test]
fn timer_c_ends_what_rings_without_end() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000)])];
    let phones = vec![acts(&[(0, Act::Call(0))]), callee(1, Outcome::Silence)];
    let scene = Scene {
        curtain: s(400),
        ..Scene::of(routes, phones)
    };
    let played = play_in_all_weathers(&scene);
    assert_eq!(outcome(&played), Some(408));
    assert_eq!(played.titles(1), ["INVITE", "CANCEL", "ACK"]);
}

#[test]
fn requests_inside_a_dialog_take_the_recorded_route() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000)])];
    let inside = [
        (0, Act::Call(0)),
        (4, Act::Inside(0, "INVITE")),
        (6, Act::Inside(0, "INFO")),
    ];
    let mut other = callee(1, Outcome::Accept);
    other.acts = vec![(s(8), Act::Inside(0, "INVITE")), (s(12), Act::HangUp(0))];
    // The one speaks IPv6, the other IPv4: two Record-Routes (RFC 5658).
    let caller = PhonePlan {
        ipv6: true,
        ..acts(&inside)
    };
    let played = play_in_all_weathers(&Scene::of(routes, vec![caller, other]));
    assert_eq!(
        played.titles(1),
        [
            "INVITE",
            "ACK",
            "INVITE",
            "ACK",
            "INFO",
            "200 INVITE",
            "200 BYE"
        ]
    );
    assert!(contains(&played, 0, "BYE"));
}

#[test]
fn who_is_reached_twice_takes_it_for_one_request() {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000), (1, 1_000)])];
    let phones = vec![
        acts(&[(0, Act::Call(0)), (10, Act::HangUp(0))]),
        callee(2, Outcome::Accept),
    ];
    let played = play_in_all_weathers(&Scene::of(routes, phones));
    assert_eq!(outcome(&played), Some(200));
    assert_eq!(played.lived[1].invites, 1, "RFC 3261 8.2.2.2");
}

#[test]
fn a_loop_is_found_and_a_spiral_is_none() {
    let to = |route| SceneRoute {
        proxied: true,
        targets: vec![(Place::Router(route), 1_000)],
        ..SceneRoute::default()
    };
    let routes = vec![to(0), to(2), SceneRoute::proxied(&[(1, 1_000)])];
    for (route, code) in [(0, 482), (1, 200)] {
        let phones = vec![acts(&[(0, Act::Call(route))]), callee(1, Outcome::Accept)];
        let played = play_in_all_weathers(&Scene::of(routes.clone(), phones));
        assert_eq!(outcome(&played), Some(code), "RFC 5393 4.2");
    }
}
