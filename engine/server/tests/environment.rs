//! The environment variables of SRGo, asked of the real binary: what they override, how their mistakes
//! are told, and where `check` says each value came from.

// The lab opens sockets.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::path::Path;

use lab::{Desk, tipring, tipring_with};

const FILE: &str = "[[listen]]\naddress = \"127.0.0.1:5070\"\n[timers]\nt1_ms = 250\n\
                    [application_server]\nkeep_alive_s = 7\n";

fn check(variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let desk = Desk::new();
    desk.write("tipring.toml", FILE);
    tipring_with(
        variables,
        &["check", "--config", "tipring.toml"],
        &desk.path(""),
    )
}

/// Value and source of a key in the table that `check` prints.
fn row(out: &str, key: &str) -> Vec<String> {
    let row = |line: &&str| line.split_whitespace().next() == Some(key);
    let line = out.lines().find(row);
    let line = line.unwrap_or_else(|| panic!("{key} not in\n{out}"));
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_start_line_of_srgo_needs_no_file() {
    let variables = [
        ("server_ipv4", "127.0.0.1"),
        ("sip_udp_port", "5099"),
        ("http_port", "8080"),
        ("as_sip_udp", "127.0.0.5:5060"),
        ("ka_interval", "20"),
        ("indialogue_interval", "60"),
        ("proxy_udp_server", "127.0.0.9:5060"),
        ("auto_server_ipv4", "true"),
    ];
    let (code, out, err) = tipring_with(&variables, &["check"], Path::new("/"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let summary: Vec<&str> = out.lines().take_while(|line| !line.is_empty()).collect();
    let summary = summary
        .into_iter()
        .filter(|line| !line.starts_with("shards"));
    insta::assert_snapshot!(summary.collect::<Vec<_>>().join("\n"), @r#"
    config    (built-in)
    listen    udp 127.0.0.1:5099
    udp       coalesce trunks, steering auto
    media     ports 16384-20383 at 127.0.0.1, latching latch, timeout 60 s
    limits    250000 calls, 1000000 transactions
    metrics   http://127.0.0.1:8080
    journal   off: journal.directory is not set, and there is no STATE_DIRECTORY
    rdb       (built-in), 5 records
    mode      application server 127.0.0.5:5060: every call goes there but its own, which go by the routing DB (its own come from that address and port; asked every 20 s, down after 2 failures)
    mode      outbound proxy 127.0.0.9:5060: calls that go by the routing DB leave through it
    mode      in-dialog probes: OPTIONS on both legs of a call every 60 s
    "#);
}

#[test]
fn the_table_says_where_each_value_came_from() {
    let variables = [
        ("as_sip_udp", "127.0.0.5:5060"),
        ("indialogue_interval", "60"),
    ];
    let (code, out, _) = check(&variables);
    assert_eq!(code, Some(0));
    for (key, expected) in [
        ("listen[0].address", "\"127.0.0.1:5070\" tipring.toml:2"),
        ("timers.t1_ms", "250 tipring.toml:4"),
        ("timers.t2_ms", "4000 default"),
        (
            "timers.in_dialog_probe_s",
            "60 environment indialogue_interval",
        ),
        (
            "application_server.address",
            "\"127.0.0.5:5060\" environment as_sip_udp",
        ),
        ("application_server.keep_alive_s", "7 tipring.toml:6"),
        ("metrics.address", "not set default"),
    ] {
        assert_eq!(row(&out, key).join(" "), expected, "{key}");
    }
}

#[test]
fn without_variables_the_file_says_it_all() {
    let (code, out, _) = check(&[]);
    assert_eq!(code, Some(0));
    assert!(
        !out.contains("environment") && !out.lines().any(|line| line.starts_with("mode ")),
        "{out}"
    );
    assert_eq!(
        row(&out, "application_server.address").join(" "),
        "not set default"
    );
}

#[test]
fn wrong_values_are_told_together_each_with_its_variable() {
    let (code, out, err) = check(&[
        ("server_ipv4", "localhost"),
        ("sip_udp_port", "sip"),
        ("as_sip_udp", "as.example.com:5060"),
        ("ka_interval", "-5"),
    ]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    insta::assert_snapshot!(err, @r#"
    error: environment: sip_udp_port: "sip" is not a port; allowed: 1 to 65535

    error: environment: server_ipv4: "localhost" is not an IPv4 address that peers can call; write it like "192.0.2.1", with the port in sip_udp_port

    error: environment: as_sip_udp: "as.example.com:5060" is not an address with a port; write it like "192.0.2.1:5060" or "[2001:db8::1]:5060"

    error: environment: ka_interval: "-5" is not a number of seconds; 0 is off
    "#);
}

#[test]
fn a_rule_that_a_variable_breaks_names_it() {
    let (code, _, err) = check(&[("as_sip_udp", "127.0.0.1:5070")]);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("error: environment: as_sip_udp: 127.0.0.1:5070 is this router's own"),
        "{err}"
    );
}

#[test]
fn the_own_address_is_found_or_asked_for() {
    let (code, out, err) = check(&[("auto_server_ipv4", "")]);
    match code {
        Some(0) => {
            let row = row(&out, "listen[0].address");
            assert!(
                row[0].ends_with(":5060\"") && row[0] != "\"0.0.0.0:5060\"",
                "{row:?}"
            );
            assert_eq!(row[1..], ["environment", "auto_server_ipv4"]);
        }
        // A machine without a default route.
        _ => assert!(
            err.contains("environment: auto_server_ipv4: ") && err.contains("set server_ipv4"),
            "{err}"
        ),
    }
}

#[test]
fn metrics_beyond_loopback_are_warned_of() {
    let (_, out, _) = check(&[("server_ipv4", "192.0.2.1"), ("http_port", "8080")]);
    assert!(
        out.contains("warning   metrics at 192.0.2.1:8080 have no password"),
        "{out}"
    );
    let (_, out, _) = check(&[("http_port", "8080")]);
    assert!(!out.contains("warning   metrics"), "{out}");
    assert_eq!(
        row(&out, "metrics.address").join(" "),
        "\"127.0.0.1:8080\" environment http_port"
    );
}

#[test]
fn route_and_doctor_say_what_the_modes_do_to_a_call() {
    let variables = [
        ("as_sip_udp", "127.0.0.5:5060"),
        ("proxy_udp_server", "127.0.0.9"),
    ];
    for arguments in [["route", "1234"].as_slice(), &["doctor"]] {
        let (_, out, _) = tipring_with(&variables, arguments, Path::new("/"));
        assert!(
            out.contains("application server 127.0.0.5:5060: every call goes there"),
            "{out}"
        );
        assert!(out.contains("outbound proxy 127.0.0.9:5060: "), "{out}");
        let (_, out, _) = tipring(arguments, Path::new("/"));
        assert!(
            !out.contains("application server") && !out.contains("outbound proxy"),
            "{out}"
        );
    }
}
