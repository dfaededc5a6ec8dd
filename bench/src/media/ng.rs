//! rtpengine's control protocol (ng): a cookie and a bencoded dictionary in one datagram each way. Just what a call needs:
//! offer, answer, delete.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long an answer may take; then the same cookie is sent again, which rtpengine answers without doing it twice.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: usize = 4;
/// Values inside values at most.
const DEPTH_MAX: usize = 16;

/// A bencoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Text(Vec<u8>),
    List(Vec<Value>),
    Dictionary(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    /// Text from a string.
    pub(crate) fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    /// The text under a key of a dictionary.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        match self {
            Value::Dictionary(entries) => match entries.get(key.as_bytes()) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Prints the value.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        match self {
            Value::Number(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Value::Text(text) => print_text(text, out),
            Value::List(values) => {
                out.push(b'l');
                values.iter().for_each(|value| value.print(out));
                out.push(b'e');
            }
            Value::Dictionary(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    print_text(key, out);
                    value.print(out);
                }
                out.push(b'e');
            }
        }
    }

    /// Reads one value from the beginning of `bytes`: it and the rest.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Value, &[u8])> {
        read_value(bytes, 0)
    }
}

fn print_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

fn read_value(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (&first, rest) = bytes.split_first().filter(|_| depth < DEPTH_MAX)?;
    match first {
        b'i' => {
            let (number, rest) = read_number(rest, b'e')?;
            Some((Value::Number(number), rest))
        }
        b'l' => {
            let (mut values, mut rest) = (Vec::new(), rest);
            while *rest.first()? != b'e' {
                let (value, after) = read_value(rest, depth + 1)?;
                values.push(value);
                rest = after;
            }
            Some((Value::List(values), &rest[1..]))
        }
        b'd' => {
            let (mut entries, mut rest) = (BTreeMap::new(), rest);
            while *rest.first()? != b'e' {
                let (key, after) = read_text(rest)?;
                let (value, after) = read_value(after, depth + 1)?;
                entries.insert(key, value);
                rest = after;
            }
            Some((Value::Dictionary(entries), &rest[1..]))
        }
        _ => {
            let (text, rest) = read_text(bytes)?;
            Some((Value::Text(text), rest))
        }
    }
}

fn read_number(bytes: &[u8], end: u8) -> Option<(i64, &[u8])> {
    let length = bytes.iter().position(|&byte| byte == end)?;
    let number = str::from_utf8(&bytes[..length]).ok()?.parse().ok()?;
    Some((number, &bytes[length + 1..]))
}

fn read_text(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = read_number(bytes, b':')?;
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((text.to_vec(), rest))
}

/// A client of one rtpengine.
pub(crate) struct Client {
    socket: UdpSocket,
    cookies: u64,
}

/// One side's words about a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    pub(crate) command: &'a str,
    pub(crate) call: &'a str,
    /// The session description; empty for `delete`.
    pub(crate) sdp: &'a str,
}

impl Client {
    /// A client of the rtpengine that listens at `server`.
    pub(crate) fn new(server: SocketAddr) -> io::Result<Client> {
        let any_port = SocketAddr::new(server.ip(), 0);
        let socket = UdpSocket::bind(any_port)?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { socket, cookies: 0 })
    }

    /// Sends a command; what was answered.
    ///
    /// # Errors
    /// No answer, or a result other than `ok`.
    pub(crate) fn ask(&mut self, words: &Words<'_>) -> io::Result<Value> {
        self.cookies += 1;
        let cookie = format!("bench{}-{}", std::process::id(), self.cookies);
        let mut message = format!("{cookie} ").into_bytes();
        command(words).print(&mut message);
        let mut buffer = vec![0; 65_536];
        for _ in 0..TRIES {
            self.socket.send(&message)?;
            if let Some(value) = self.listen(&cookie, &mut buffer) {
                return check(value, words);
            }
        }
        Err(io::Error::other(format!(
            "rtpengine does not answer {}",
            words.command
        )))
    }

    fn listen(&self, cookie: &str, buffer: &mut [u8]) -> Option<Value> {
        loop {
            let length = self.socket.recv(buffer).ok()?;
            let answer = buffer[..length].strip_prefix(cookie.as_bytes());
            if let Some(body) = answer.and_then(|rest| rest.strip_prefix(b" ")) {
                return Some(Value::read(body)?.0);
            }
        }
    }
}

fn command(words: &Words<'_>) -> Value {
    let mut command = BTreeMap::new();
    let mut put = |key: &str, value: Value| command.insert(key.as_bytes().to_vec(), value);
    put("command", Value::text(words.command));
    put("call-id", Value::text(words.call));
    put("from-tag", Value::text("a"));
    if words.command == "answer" {
        put("to-tag", Value::text("b"));
    }
    if words.command == "delete" {
        // Gone at once: a call that lingers would be in the next round's figures.
        put("delete-delay", Value::Number(0));
    }
    if !words.sdp.is_empty() {
        put("sdp", Value::text(words.sdp));
        put("ICE", Value::text("remove"));
        put("replace", Value::List(vec![Value::text("origin")]));
    }
    Value::Dictionary(command)
}

fn check(value: Value, words: &Words<'_>) -> io::Result<Value> {
    if value.get("result") == Some(b"ok") {
        return Ok(value);
    }
    let reason = value.get("error-reason").unwrap_or(b"no reason given");
    Err(io::Error::other(format!(
        "rtpengine refuses {}: {}",
        words.command,
        String::from_utf8_lossy(reason)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
        let entries = entries.map(|(key, value)| (key.as_bytes().to_vec(), value));
        Value::Dictionary(BTreeMap::from(entries))
    }

    fn printed(value: &Value) -> String {
        let mut out = Vec::new();
        value.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_offer_is_a_sorted_dictionary() {
        let words = Words {
            command: "offer",
            call: "x1",
            sdp: "v=0\r\n",
        };
        assert_eq!(
            printed(&command(&words)),
            "d3:ICE6:remove7:call-id2:x17:command5:offer8:from-tag1:a7:replacel6:origine3:sdp5:v=0\r\ne"
        );
    }

    #[test]
    fn only_an_answer_has_a_to_tag_and_a_delete_no_delay() {
        let words = |command| Words {
            command,
            call: "x",
            sdp: "",
        };
        assert_eq!(command(&words("answer")).get("to-tag"), Some(&b"b"[..]));
        assert_eq!(command(&words("offer")).get("to-tag"), None);
        assert!(printed(&command(&words("delete"))).contains("12:delete-delayi0e"));
    }

    #[test]
    fn a_refusal_says_why() {
        let words = Words {
            command: "offer",
            call: "x",
            sdp: "",
        };
        let refusal = dictionary([
            ("result", Value::text("error")),
            ("error-reason", Value::text("no ports")),
        ]);
        let error = check(refusal, &words).unwrap_err().to_string();
        assert_eq!(error, "rtpengine refuses offer: no ports");
        assert!(check(dictionary([("result", Value::text("ok"))]), &words).is_ok());
    }

    #[test]
    fn the_client_asks_again_and_skips_stale_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut client = Client::new(server.local_addr().unwrap()).unwrap();
        let answers = std::thread::spawn(move || {
            let mut buffer = [0; 1_000];
            server.recv_from(&mut buffer).unwrap();
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let cookie = text.split(' ').next().unwrap();
            server.send_to(b"stale d6:result5:errore", from).unwrap();
            let answer = format!("{cookie} d6:result2:ok3:sdp1:xe");
            server.send_to(answer.as_bytes(), from).unwrap();
        });
        let words = Words {
            command: "offer",
            call: "x",
            sdp: "v=0",
        };
        assert_eq!(client.ask(&words).unwrap().get("sdp"), Some(&b"x"[..]));
        answers.join().unwrap();
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Number),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let key = proptest::collection::vec(any::<u8>(), 0..5);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map(key, inner, 0..4).prop_map(Value::Dictionary),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_survive_printing(value in values()) {
            let mut out = Vec::new();
            value.print(&mut out);
            out.push(b'!');
            prop_assert_eq!(Value::read(&out), Some((value, &b"!"[..])));
        }

        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(prop_oneof![Just(b'd'), Just(b'l'), Just(b'e'), Just(b':'), b'0'..=b'9', any::<u8>()], 0..60)) {
            let _ = Value::read(&bytes);
        }
    }
}
