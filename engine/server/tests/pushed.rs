//! Users that are pushed over HTTP outlast the process, and so do their registrations, with the time since when.

// Sockets and the clock are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab::api::{ADMIN, Api, api};
use lab::{Desk, Message, Phone, rdb, tipring};
use serde_json::Value;
use stack::digest::Algorithm;

const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);

fn site() -> String {
    format!("{}[journal]\ndirectory = \"state\"\ncommit_ms = 5\n", api())
}

fn killed(mut api: Api) {
    api.engine.signal(SIGKILL);
    api.engine.end();
}

fn wait_until(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let found = challenge.split(&format!("{name}=\"")).nth(1);
    found
        .and_then(|rest| rest.split('"').next())
        .expect("a parameter")
}

/// The answer to a challenge of RFC 7616 with SHA-256 and qop "auth".
fn authorization(refused: &Message, user: &str, secret: &str, uri: &str) -> String {
    let challenge = refused.header("WWW-Authenticate").expect("a challenge");
    assert!(challenge.contains("SHA-256"), "{challenge}");
    let (realm, nonce) = (parameter(challenge, "realm"), parameter(challenge, "nonce"));
    let hash = |text: String| {
        let sum = Algorithm::Sha256.hash(&[text.as_bytes()]);
        String::from_utf8(sum.hex().text().to_vec()).expect("digits")
    };
    let ha1 = hash(format!("{user}:{realm}:{secret}"));
    let ha2 = hash(format!("REGISTER:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:00000001:c:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\"\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Registers 1003 with its password.
fn register(api: &Api) {
    let phone = Phone::new(api.engine.address, "phone");
    let (uri, to) = ("sip:example.com", "<sip:1003@example.com>");
    phone.request("REGISTER", uri, to, 1);
    let proof = authorization(&phone.wait_for("401"), "1003", "s3cret", uri);
    phone.request_more("REGISTER", uri, to, 2, &proof);
    phone.wait_for("200");
}

fn registered_at(api: &Api) -> Option<u64> {
    let (_, told) = api.call("GET", "/reg/example.com/1003");
    told["users"]["1003"]["epochs"]["registered"].as_u64()
}

fn bindings(desk: &Desk) -> Option<u64> {
    let arguments = ["journal", "inspect", "--json", "state"];
    let (_, out, _) = tipring(&arguments, &desk.path("."));
    let all: Value = serde_json::from_str(&out).ok()?;
    all["in_force"]["bindings"].as_u64()
}

#[test]
fn a_pushed_user_and_its_registration_survive_kill_9() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let api = Api::start(&desk, &site());
    let users =
        r#"{"users":[{"username":"1003","secret":"other"},{"username":"1004","secret":"s"}]}"#;
    let (status, _) = api.send("PUT", "/dir/example.com", Some(ADMIN), users);
    assert_eq!(status, 201);
    let changed = r#"{"secret":"s3cret"}"#;
    let (status, _) = api.send("PUT", "/dir/example.com/1003", Some(ADMIN), changed);
    assert_eq!(status, 200);
    assert_eq!(api.call("DELETE", "/dir/example.com/1004").0, 204);
    killed(api);

    let api = Api::start(&desk, &site());
    let (status, told) = api.call("GET", "/dir/example.com");
    assert_eq!((status, &told["count"]), (200, &1.into()), "{told}");
    register(&api);
    wait_until("it is told", || registered_at(&api).is_some());
    wait_until("it is on the disk", || bindings(&desk) == Some(1));
    let since = registered_at(&api).expect("registered");
    killed(api);

    // A start in the second of the registration could not be told from it.
    let now_s = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |it| it.as_secs())
    };
    wait_until("another second", || now_s() > since + 1);
    let api = Api::start(&desk, &site());
    assert_eq!(api.call("GET", "/reg").1["count"], 1);
    let again = registered_at(&api).expect("still registered");
    // Whole seconds, rounded at another place.
    assert!(again.abs_diff(since) <= 1, "{again} and not {since}");
    let (_, stats) = api.call("GET", "/api/v1/stats");
    assert!(stats["uptime_s"].as_u64() < Some(600), "{stats}");
}

#[test]
fn a_reload_changes_the_domains_of_the_file_alone() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let api = Api::start(&desk, &site());
    let none = r#"{"users":[]}"#;
    let push = |domain: &str| {
        let path = format!("/dir/{domain}");
        api.send("PUT", &path, Some(ADMIN), none).0
    };
    assert_eq!(push("pushed.example"), 201);
    let with_domain = format!("{}[[domain]]\nname = \"file.example\"\n", site());
    desk.write("tipring.toml", &lab::config(&with_domain));
    assert_eq!(api.call("PATCH", "/api/v1/config").0, 200);
    wait_until("the domain of the file is there", || {
        api.call("GET", "/dir/file.example").0 == 200
    });
    assert_eq!(api.call("GET", "/dir/pushed.example").0, 200);
    assert_eq!((push("file.example"), push("pushed.example")), (409, 201));
}
