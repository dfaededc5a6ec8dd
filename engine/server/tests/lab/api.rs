//! The HTTP API of an engine, as a program uses it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Desk, Engine};

/// A token for everything.
pub(crate) const ADMIN: &str = "admin-admin-admin-admin";

/// The sections of an API with a token.
pub(crate) fn api() -> String {
    format!(
        "[engine]\nshards = 2\n[routing]\nrdb = \"rdb.json\"\n[http]\naddress = \"127.0.0.1:0\"\n\
         tokens = [{{ role = \"admin\", token = \"{ADMIN}\" }}]\n"
    )
}

/// A running engine and the address of its API.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    address: String,
}

impl Api {
    pub(crate) fn start(desk: &Desk, sections: &str) -> Api {
        let engine = Engine::start(desk, sections);
        let line = engine
            .said("\"message\":\"HTTP API\"")
            .expect("the API listens");
        let line: Value = serde_json::from_str(line).expect("JSON");
        let address = line["address"].as_str().expect("its address").to_owned();
        Api { engine, address }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
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

    pub(crate) fn call(&self, method: &str, path: &str) -> (u16, Value) {
        self.send(method, path, Some(ADMIN), "")
    }
}
