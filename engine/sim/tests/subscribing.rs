//! Subscriptions outside calls, and storms of requests beside them, in all weathers (RFC 6665, RFC 3428,
//! RFC 3903): through the back-to-back user agent and through the proxy.

use std::time::Duration;

use tipring_sim::{
    Act, Notifying, PhonePlan, Played, Scene, SceneRoute, play, play_in_all_weathers,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn routes(proxied: bool) -> Vec<SceneRoute> {
    vec![SceneRoute {
        proxied,
        ..SceneRoute::bridged(1)
    }]
}

/// Phone 0 subscribes to phone 1.
fn scene(proxied: bool, acts: &[(u64, Act)], notifying: Notifying) -> Scene {
    let subscriber = PhonePlan {
        acts: acts.iter().map(|(at, act)| (s(*at), *act)).collect(),
        ..PhonePlan::default()
    };
    let notifier = PhonePlan {
        notifying,
        ..PhonePlan::default()
    };
    Scene::of(routes(proxied), vec![subscriber, notifier])
}

fn got(played: &Played, phone: usize, method: &str) -> usize {
    let requests = played.lived[phone].requests.iter();
    requests.filter(|it| *it == method).count()
}

#[test]
fn a_subscription_lasts_as_long_as_it_is_refreshed() {
    for proxied in [false, true] {
        let acts = [(0, Act::Subscribe(0, 10, true))];
        let played = play_in_all_weathers(&scene(proxied, &acts, Notifying::default()));
        // Every 8 s until the 60th second, where it is ended.
        assert_eq!(got(&played, 1, "SUBSCRIBE"), 9, "proxied {proxied}");
        // News every 7 s, and one NOTIFY for each SUBSCRIBE.
        assert_eq!(got(&played, 0, "NOTIFY"), 17, "proxied {proxied}");
    }
}

#[test]
fn one_that_is_not_refreshed_expires() {
    for proxied in [false, true] {
        let acts = [(0, Act::Subscribe(0, 10, false))];
        let played = play_in_all_weathers(&scene(proxied, &acts, Notifying::default()));
        assert_eq!(got(&played, 1, "SUBSCRIBE"), 1);
        assert_eq!(got(&played, 0, "NOTIFY"), 3, "active, news, terminated");
    }
}

#[test]
fn it_is_ended_by_who_made_it() {
    for proxied in [false, true] {
        let acts = [(0, Act::Subscribe(0, 600, true)), (5, Act::Unsubscribe)];
        let played = play_in_all_weathers(&scene(proxied, &acts, Notifying::default()));
        assert_eq!(
            [got(&played, 1, "SUBSCRIBE"), got(&played, 0, "NOTIFY")],
            [2, 2]
        );
    }
}

#[test]
fn each_notifier_of_a_fork_has_a_dialog_of_its_own() {
    for proxied in [false, true] {
        for hasty in [false, true] {
            let notifying = Notifying {
                forks: true,
                hasty,
                ..Notifying::default()
            };
            let acts = [(0, Act::Subscribe(0, 10, false))];
            let played = play_in_all_weathers(&scene(proxied, &acts, notifying));
            assert_eq!(
                got(&played, 0, "NOTIFY"),
                6,
                "proxied {proxied}, hasty {hasty}"
            );
        }
    }
}

#[test]
fn a_storm_of_requests_harms_no_subscription() {
    for proxied in [false, true] {
        let methods = ["MESSAGE", "PUBLISH", "INFO", "OPTIONS"];
        let mut scene = scene(
            proxied,
            &[(0, Act::Subscribe(0, 10, true))],
            Notifying::default(),
        );
        let storm = (0..200).map(|n| (Duration::from_millis(5_000 + n), methods[n as usize % 4]));
        let storm = storm.map(|(at, method)| (at, Act::Say(method, 0)));
        scene.phones[0].acts.extend(storm);
        let played = play(&scene);
        played.expect_clean();
        let answers = played.lived[0].answers.iter();
        let said =
            answers.filter(|(method, code)| methods.contains(&method.as_str()) && *code == 200);
        assert_eq!(said.count(), 200);
        assert_eq!(got(&played, 1, "SUBSCRIBE"), 9);
    }
}
