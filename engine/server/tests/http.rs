//! The HTTP API of the whole binary: calls seen and hung up over it, reloads, users pushed and registering, and
//! what it refuses to start with.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lab::{Desk, Engine, Phone, call, rdb, tipring};
use serde_json::Value;

const ADMIN: &str = "admin-admin-admin-admin";

/// The sections of an API with a token.
fn api() -> String {
    format!(
        "[engine]\nshards = 2\n[routing]\nrdb = \"rdb.json\"\n[http]\naddress = \"127.0.0.1:0\"\n\
         tokens = [{{ role = \"admin\", token = \"{ADMIN}\" }}]\n"
    )
}

/// A running engine and the address of its API.
struct Api {
    engine: Engine,
    address: String,
}

impl Api {
    fn start(desk: &Desk, sections: &str) -> Api {
        let engine = Engine::start(desk, sections);
        let line = engine
            .said("\"message\":\"HTTP API\"")
            .expect("the API listens");
        let line: Value = serde_json::from_str(line).expect("JSON");
        let address = line["address"].as_str().expect("its address").to_owned();
        Api { engine, address }
    }

    fn send(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n{}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn call(&self, method: &str, path: &str) -> (u16, Value) {
        self.send(method, path, Some(ADMIN), "")
    }
}

#[test]
fn a_call_is_seen_and_hung_up() {
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &rdb("^100$", &callee.address().to_string()));
    let api = Api::start(&desk, &api());
    let caller = Phone::new(api.engine.address, "caller");
    let call = call(&api.engine, caller, callee, "100");
    let (status, page) = api.call("GET", "/api/v1/session?state=answered");
    let sessions = page["sessions"].as_array().expect("a list");
    assert_eq!((status, sessions.len()), (200, 1), "{page}");
    assert_eq!(sessions[0]["to"], "100");
    let path = format!(
        "/api/v1/session/{}",
        sessions[0]["id"].as_str().expect("an id")
    );
    let (status, detail) = api.call("GET", &path);
    assert_eq!(
        (status, detail["legs"].as_array().map(Vec::len)),
        (200, Some(2)),
        "{detail}"
    );
    assert!(
        detail["timeline"]
            .as_array()
            .is_some_and(|timeline| timeline.len() >= 4),
        "{detail}"
    );
    assert_eq!(api.call("DELETE", &path).0, 204);
    for phone in [&call.caller, &call.callee] {
        phone.answer(&phone.wait_for("BYE"), "200 OK");
    }
}

#[test]
fn a_reload_is_refused_with_its_reasons_and_changes_nothing() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let api = Api::start(&desk, &api());
    let (status, told) = api.call("PATCH", "/api/v1/config");
    assert_eq!((status, &told["records"]), (200, &1.into()), "{told}");
    let wrong = rdb("^100$", "127.0.0.1:9").replace("Transparent", "Opaque");
    desk.write("rdb.json", &wrong);
    let (status, told) = api.call("PATCH", "/api/v1/config");
    assert_eq!(status, 422);
    assert!(
        told["reasons"][0]
            .as_str()
            .is_some_and(|reason| reason.contains("rdb.json")),
        "{told}"
    );
    let (_, config) = api.call("GET", "/api/v1/config");
    let text = config.to_string();
    assert!(
        text.contains("http.tokens[0].role") && !text.contains(ADMIN),
        "{text}"
    );
}

#[test]
fn tokens_are_asked_for_and_change_with_a_reload() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let mut api = Api::start(&desk, &api());
    assert_eq!(api.send("GET", "/api/v1/stats", None, "").0, 401);
    assert_eq!(api.call("GET", "/api/v1/stats").0, 200);
    let other = self::api().replace(ADMIN, "other-other-other-other");
    desk.write("tipring.toml", &lab::config(&other));
    let (status, told) = api.call("PATCH", "/api/v1/config");
    // The port of an address that says 0 stays; the address itself is as it was.
    assert_eq!(
        (status, told["needs_restart"].as_array().map(Vec::len)),
        (200, Some(0)),
        "{told}"
    );
    api.engine.wait_for("\"message\":\"reloaded\"");
    let until = Instant::now() + Duration::from_secs(10);
    while api.call("GET", "/api/v1/stats").0 != 401 {
        assert!(Instant::now() < until, "the old token is still good");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        api.send("GET", "/api/v1/stats", Some("other-other-other-other"), "")
            .0,
        200
    );
}

#[test]
fn a_public_address_without_a_token_is_not_started_with() {
    let desk = Desk::new();
    desk.write(
        "tipring.toml",
        &lab::config("[http]\naddress = \"0.0.0.0:0\"\n"),
    );
    let (code, _, said) = tipring(&["run", "--config", "tipring.toml"], &desk.path(""));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("http.address") && said.contains("add a token"),
        "{said}"
    );
}

#[test]
fn users_that_are_pushed_are_known() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let api = Api::start(&desk, &api());
    let users = r#"{"users":[{"username":"1003","secret":"s"}]}"#;
    assert_eq!(
        api.send("PUT", "/dir/example.com", Some(ADMIN), users).0,
        201
    );
    let (_, told) = api.call("GET", "/reg/example.com/1003");
    assert_eq!(told["users"]["1003"]["registered"], false, "{told}");
    let phone = Phone::new(api.engine.address, "phone");
    phone.request("REGISTER", "sip:example.com", "<sip:1003@example.com>", 1);
    // A domain that is not known is answered otherwise: 405 or 404.
    let answer = phone.wait_for("SIP/2.0");
    assert!(
        answer.start().contains("200") || answer.start().contains("401"),
        "{}",
        answer.start()
    );
    if answer.start().contains("200") {
        let until = Instant::now() + Duration::from_secs(10);
        while api.call("GET", "/reg").1["count"] != 1 {
            assert!(Instant::now() < until, "the registration is not told");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
