//! What a configuration does to calls beside the routing DB, in sentences for `check`, `doctor`, `route`
//! and the log.

use crate::config::{ApplicationServer, Config, SessionTimerMode};

/// The modes that are on.
pub(crate) fn sentences(config: &Config) -> Vec<String> {
    [
        application_server(config),
        proxy(config),
        probing(config),
        session_timer(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What an operator should know who has these modes on.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let metrics = config.metrics.address.map(|address| address.0);
    let open = metrics.filter(|address| !address.ip().is_loopback());
    let warning = |address| {
        format!("metrics at {address} have no password: whoever reaches this address reads them")
    };
    let open = open.map(warning);
    open.into_iter().chain(short_session(config)).collect()
}

/// RFC 4028 5: a Min-SE is never below 90 seconds.
fn short_session(config: &Config) -> Option<String> {
    let timer = &config.session_timer;
    let short = timer.mode == SessionTimerMode::On && timer.min_se_s < 90;
    short.then(|| {
        let seconds = timer.min_se_s;
        format!(
            "session_timer.min_se_s is {seconds}: RFC 4028 forbids less than 90, which is for tests"
        )
    })
}

fn application_server(config: &Config) -> Option<String> {
    let server = &config.application_server;
    let address = server.address?;
    Some(format!(
        "application server {address}: every call goes there but its own, which go by the routing DB \
         ({}; {})",
        sources(server),
        keep_alive(server)
    ))
}

fn sources(server: &ApplicationServer) -> String {
    let own = "its own come from that address and port".to_owned();
    let others = server.sources.iter().map(ToString::to_string);
    std::iter::once(own)
        .chain(others.map(|other| format!("or from {other}")))
        .collect::<Vec<_>>()
        .join(" ")
}

fn keep_alive(server: &ApplicationServer) -> String {
    match (server.keep_alive_s, server.failures) {
        (0, _) => "never asked whether it lives".to_owned(),
        (seconds, 1) => format!("asked every {seconds} s, down after 1 failure"),
        (seconds, failures) => format!("asked every {seconds} s, down after {failures} failures"),
    }
}

fn proxy(config: &Config) -> Option<String> {
    let proxy = config.routing.outbound_proxy?;
    Some(format!(
        "outbound proxy {proxy}: calls that go by the routing DB leave through it"
    ))
}

fn probing(config: &Config) -> Option<String> {
    match config.timers.in_dialog_probe_s {
        0 => None,
        seconds => Some(format!(
            "in-dialog probes: OPTIONS on both legs of a call every {seconds} s"
        )),
    }
}

fn session_timer(config: &Config) -> Option<String> {
    let timer = &config.session_timer;
    let on = timer.mode == SessionTimerMode::On;
    on.then(|| {
        let (wanted, least) = (timer.session_expires_s, timer.min_se_s);
        format!("session timers: each leg is refreshed every {wanted} s, no more often than every {least} s")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_for_tests_is_warned_of() {
        let text = |mode| format!("[session_timer]\nmode = '{mode}'\nmin_se_s = 2\n");
        let on = of(&text("on"));
        assert!(warnings(&on).iter().any(|it| it.contains("min_se_s is 2")));
        assert!(sentences(&on).iter().any(|it| it.contains("every 1800 s")));
        let pass = of(&text("pass"));
        assert!(warnings(&pass).is_empty() && sentences(&pass).is_empty());
    }

    fn of(text: &str) -> Config {
        toml::from_str(text).expect("a configuration")
    }

    #[test]
    fn nothing_is_said_of_the_routing_db_alone() {
        assert!(sentences(&Config::default()).is_empty());
        assert!(warnings(&Config::default()).is_empty());
    }

    #[test]
    fn each_mode_is_one_sentence() {
        let config = of(
            "[application_server]\naddress = '10.0.0.5:5060'\nsources = ['10.0.0.6']\nkeep_alive_s = 20\n\
             [routing]\noutbound_proxy = '10.0.0.9:5060'\n[timers]\nin_dialog_probe_s = 60\n",
        );
        insta::assert_snapshot!(sentences(&config).join("\n"), @r#"
        application server 10.0.0.5:5060: every call goes there but its own, which go by the routing DB (its own come from that address and port or from 10.0.0.6; asked every 20 s, down after 2 failures)
        outbound proxy 10.0.0.9:5060: calls that go by the routing DB leave through it
        in-dialog probes: OPTIONS on both legs of a call every 60 s
        "#);
        let config = of("[application_server]\naddress = '10.0.0.5:5060'\nkeep_alive_s = 0\n");
        insta::assert_snapshot!(sentences(&config).join("\n"), @"application server 10.0.0.5:5060: every call goes there but its own, which go by the routing DB (its own come from that address and port; never asked whether it lives)");
    }

    #[test]
    fn metrics_beyond_loopback_are_worth_a_word() {
        for (address, words) in [
            ("127.0.0.1:9060", 0),
            ("[::1]:9060", 0),
            ("10.0.0.1:8080", 1),
        ] {
            let config = of(&format!("[metrics]\naddress = '{address}'\n"));
            assert_eq!(warnings(&config).len(), words, "{address}");
        }
    }
}
