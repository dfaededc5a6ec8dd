//! What the commands print and how they end, asked of the real binary.

// Sockets are part of what these tests arrange.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::path::Path;

use lab::{Desk, rdb, tipring};

fn check(desk: &Desk, config: &str) -> (Option<i32>, String, String) {
    desk.write("tipring.toml", config);
    tipring(&["check", "--config", "tipring.toml"], &desk.path(""))
}

#[test]
fn check_says_what_a_good_configuration_amounts_to() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^1", "127.0.0.1:5070"));
    let config = "[engine]\nshards = 1\n[[listen]]\naddress = \"[::]:5060\"\n\
                  advertise = \"sip.example.com\"\n[routing]\nrdb = \"rdb.json\"\n\
                  [[peer]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\nclass = \"trunk\"\n";
    let (code, out, err) = check(&desk, config);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    // Which CPU that is depends on the machine.
    let (shards, rest): (Vec<&str>, Vec<&str>) =
        out.lines().partition(|line| line.starts_with("shards"));
    assert!(shards[0].starts_with("shards    1 on CPUs "), "{shards:?}");
    let summary: Vec<&str> = rest
        .into_iter()
        .take_while(|line| !line.is_empty())
        .collect();
    assert!(out.ends_with("\n\nok\n"), "{out}");
    insta::assert_snapshot!(summary.join("\n"), @r#"
        config    tipring.toml
        listen    udp [::]:5060, advertised as sip.example.com
        peer      a (trunk): 192.0.2.1/32
        udp       coalesce trunks, steering auto
        media     off
        limits    250000 calls, 1000000 transactions
        metrics   off
        journal   off: journal.directory is not set, and there is no STATE_DIRECTORY
        rdb       rdb.json, 1 record
        "#);
}

#[test]
fn check_shows_where_media_goes_and_warns_when_a_route_needs_it_in_vain() {
    let desk = Desk::new();
    let steered =
        rdb("^1", "127.0.0.1:5070").replace(r#""steerMedia": false"#, r#""steerMedia": true"#);
    desk.write("rdb.json", &steered);
    let config = "[[listen]]\naddress = \"127.0.0.1:5060\"\n[routing]\nrdb = \"rdb.json\"\n";
    let (code, out, _) = check(&desk, config);
    assert_eq!(code, Some(0));
    let warning = "warning   rdb.json: 1 record needs media (steerMedia or EchoResponder), but there \
                   is no media.ports: its calls are refused with 503";
    assert!(out.lines().any(|line| line == warning), "{out}");
    let media = "[media]\nports = \"16384-16483\"\n[[peer]]\nname = \"a\"\nclass = \"trunk\"\n\
                 addresses = [\"192.0.2.1\"]\nmedia = \"latch-same-host\"\n";
    let (_, out, _) = check(&desk, &format!("{config}{media}"));
    for line in [
        "media     ports 16384-16483 at 127.0.0.1, latching latch, timeout 60 s",
        "peer      a (trunk, media latch-same-host): 192.0.2.1/32",
    ] {
        assert!(
            out.lines().any(|found| found == line),
            "{line}\nnot in\n{out}"
        );
    }
    assert!(!out.contains("warning"), "{out}");
}

#[test]
fn media_ports_that_other_programs_may_have_are_warned_of() {
    let sysctl = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
    let lent = sysctl("ip_local_port_range").expect("Linux");
    let first: u16 = lent.split_whitespace().next().unwrap().parse().unwrap();
    let desk = Desk::new();
    let config = |low: u16| {
        let high = low + 9;
        format!("[[listen]]\naddress = \"127.0.0.1:5060\"\n[media]\nports = \"{low}-{high}\"\n")
    };
    for (low, warned) in [(first - 10, false), (first - 8, true)] {
        let (code, out, _) = check(&desk, &config(low));
        assert_eq!(code, Some(0));
        let warning = "warning   media.ports: 2 of 10 ports are in net.ipv4.ip_local_port_range";
        let found = out.lines().any(|line| line.starts_with(warning));
        assert_eq!(found, warned, "{out}");
        let (_, out, _) = tipring(&["doctor", "--config", "tipring.toml"], &desk.path(""));
        let row = out.lines().find(|line| line.contains("media ports"));
        let row = row.expect("a row of the media ports");
        assert_eq!(row.contains("warn"), warned, "{row}");
    }
}

#[test]
fn check_names_line_column_and_key_of_every_mistake_in_both_files() {
    let desk = Desk::new();
    let bad = rdb("^1", "127.0.0.1:5070").replace("30", "\"soon\"");
    desk.write("rdb.json", &bad.replace("Transparent", "Opaque"));
    let config = "[engine]\nshards = -1\n[[listen]]\naddress = \"here\"\ntransport = \"tcp\"\n\
                  [routing]\nrdb = \"rdb.json\"\n";
    let (code, out, err) = check(&desk, config);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    insta::assert_snapshot!(err, @r#"
        error: tipring.toml:2:10: engine.shards: invalid value: integer `-1`, expected a whole number from 0 to 65535
          |
        2 | shards = -1
          |          ^^

        error: tipring.toml:4:11: listen[0].address: "here" is not an address with a port; write it like "192.0.2.1:5060" or "[2001:db8::1]:5060"
          |
        4 | address = "here"
          |           ^^^^^^

        error: tipring.toml:5:13: listen[0].transport: unknown word `tcp`, expected `udp`
          |
        5 | transport = "tcp"
          |             ^^^^^

        error: rdb.json:2:32: record 0: routingRecord.noAnswerTimeout: "soon" is a time that is not a number; allowed: seconds, whole or fractional, without quotes, 0 or less for off
          |
        2 |             "noAnswerTimeout": "soon", "no18xTimeout": 0, "maxCallDuration": 0, "outRuriUserpart": "",
          |                                ^

        error: rdb.json:3:65: record 0: routingRecord.outCallFlow: unknown call flow "Opaque"; allowed: Transparent, TransformEarlyToFinal, EchoResponder
          |
        3 |             "outRuriHostport": "127.0.0.1:5070", "outCallFlow": "Opaque",
          |                                                                 ^
        "#);
}

#[test]
fn a_pattern_that_is_no_regular_expression_is_placed() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^1(", "127.0.0.1:5070"));
    let config = "[[listen]]\naddress = \"127.0.0.1:5060\"\n[routing]\nrdb = \"rdb.json\"\n";
    let (code, _, err) = check(&desk, config);
    assert_eq!(code, Some(1));
    let headline = err.lines().next().unwrap_or_default();
    assert!(headline.starts_with("error: rdb.json:1:"), "{headline}");
    assert!(
        headline.contains("record 0: userpartPattern: "),
        "{headline}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let (code, _, err) = tipring(&["run", "--config", "absent.toml"], Path::new("/"));
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("error: absent.toml: cannot be read: "),
        "{err}"
    );
}

#[test]
fn the_printed_default_is_what_runs_without_a_file() {
    let desk = Desk::new();
    let (_, default, _) = tipring(&["config", "default"], Path::new("/"));
    let (code, from_file, _) = check(&desk, &default);
    let (_, built_in, _) = tipring(&["check"], Path::new("/"));
    assert_eq!(code, Some(0));
    assert_eq!(from_file.replace("tipring.toml", "(built-in)"), built_in);
}

#[test]
fn the_schema_describes_every_section() {
    let (code, schema, _) = tipring(&["config", "schema"], Path::new("/"));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(code, Some(0));
    for section in [
        "engine",
        "listen",
        "udp",
        "peer",
        "routing",
        "limits",
        "timers",
        "metrics",
        "log",
        "application_server",
        "media",
        "session_timer",
    ] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn route_says_which_record_wins_and_why() {
    let (code, out, _) = tipring(&["route", "1234"], Path::new("/"));
    assert_eq!(code, Some(0));
    assert!(out.contains("127.0.0.1:5080"), "{out}");
    let (code, out, _) = tipring(&["route", "service"], Path::new("/"));
    assert_eq!(code, Some(0));
    assert!(out.contains("127.0.0.1:5070"), "{out}");
}

#[test]
fn route_of_a_number_nobody_routes_is_404_and_exit_code_1() {
    let (code, out, _) = tipring(&["route", "nobody"], Path::new("/"));
    assert_eq!(code, Some(1));
    assert!(out.contains("404"), "{out}");
}

#[test]
fn route_reads_a_routing_db_by_itself() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^00(.*)", "gateway.example.com"));
    let (code, out, _) = tipring(&["route", "0049", "--rdb", "rdb.json"], &desk.path(""));
    assert_eq!(code, Some(0));
    assert!(out.contains("gateway.example.com"), "{out}");
}

#[test]
fn doctor_shows_a_table_and_a_verdict() {
    let (code, out, _) = tipring(&["doctor"], Path::new("/"));
    for topic in ["kernel", "io_uring", "locked memory", "rmem_max"] {
        assert!(out.contains(topic), "{topic} not in\n{out}");
    }
    let cannot = out.contains("tipring cannot run here");
    assert_eq!(code, Some(i32::from(cannot)), "{out}");
}

#[test]
fn an_address_that_is_taken_is_named_with_what_to_do() {
    let desk = Desk::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    let address = taken.local_addr().expect("bound");
    desk.write(
        "tipring.toml",
        &format!("[[listen]]\naddress = \"{address}\"\n"),
    );
    let (code, _, err) = tipring(&["run", "--config", "tipring.toml"], &desk.path(""));
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&format!("cannot listen on {address}")),
        "{err}"
    );
    assert!(err.contains("no other program has the port"), "{err}");
    assert!(err.contains("tipring doctor"), "{err}");
}

#[test]
fn more_media_ports_than_files_may_be_open_are_refused_with_what_to_do() {
    let desk = Desk::new();
    let config = "[engine]\nshards = 1\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
                  [media]\nports = \"10000-10999\"\n";
    desk.write("tipring.toml", config);
    let run = |command: &str| {
        // Soft and hard limit both: what a start may not raise.
        let shell = format!(
            "ulimit -n 800; {} {command} --config tipring.toml",
            lab::TIPRING
        );
        let output = assert_cmd::Command::new("bash")
            .args(["-c", &shell])
            .current_dir(desk.path(""))
            .output()
            .expect("bash");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (code, said) = run("run");
    assert_eq!(code, Some(1));
    assert!(said.contains("files are to be open"), "{said}");
    assert!(
        said.contains("only 800 may") && said.contains("LimitNOFILE"),
        "{said}"
    );
    let (code, said) = run("doctor");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("open files") && said.contains("LimitNOFILE"),
        "{said}"
    );
}

#[test]
fn a_cpu_that_is_not_ours_is_named() {
    let desk = Desk::new();
    desk.write(
        "tipring.toml",
        "[engine]\ncpus = [9999]\n[[listen]]\naddress = \"127.0.0.1:0\"\n",
    );
    let (code, _, err) = tipring(&["run", "--config", "tipring.toml"], &desk.path(""));
    assert_eq!(code, Some(1));
    assert!(err.contains("engine.cpus lists CPU 9999"), "{err}");
}

#[test]
fn a_pipe_that_is_closed_early_is_no_error() {
    let shell = format!("{} config schema | head -1", lab::TIPRING);
    let output = assert_cmd::Command::new("bash")
        .args(["-c", &shell])
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
