//! What a configuration does to calls beside the routing DB, in sentences for `check`, `doctor`, `route`
//! and the log.

use crate::config::{ApplicationServer, Config};

/// The modes that are on.
pub(crate) fn sentences(config: &Config) -> Vec<String> {
    [application_server(config), proxy(config), probing(config)]
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
    open.map(warning).into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

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
