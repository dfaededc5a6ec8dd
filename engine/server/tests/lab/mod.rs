//! A lab for end-to-end tests: the real binary on ports the kernel chose, its log line by line, and
//! telephones that are a UDP socket with a sense of SIP's line format. Waits end a test only by
//! failing it: they are far longer than anything they wait for.

// Each test file uses its own part of the lab.
#![allow(dead_code, clippy::disallowed_methods)]

pub(crate) mod api;
pub(crate) mod talk;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test.
pub(crate) const TIPRING: &str = env!("CARGO_BIN_EXE_tipring");

/// A directory of its own for a test, removed at its end.
pub(crate) struct Desk(PathBuf);

impl Desk {
    pub(crate) fn new() -> Desk {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tipring-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Desk(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file in the temporary directory");
        path
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A routing DB with one record.
pub(crate) fn rdb(pattern: &str, hostport: &str) -> String {
    format!(
        r#"[{{"userpartPattern": "{pattern}", "routingRecord": {{
            "noAnswerTimeout": 30, "no18xTimeout": 0, "maxCallDuration": 0, "outRuriUserpart": "",
            "outRuriHostport": "{hostport}", "outCallFlow": "Transparent",
            "disallowSimilar18x": false, "disallowDifferent18x": false, "steerMedia": false}}}}]"#
    )
}

/// A configuration with a listener, a JSON log and these sections.
pub(crate) fn config(extra: &str) -> String {
    format!("[[listen]]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n{extra}")
}

/// A running tipring.
pub(crate) struct Engine {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Engine {
    /// Starts it with `extra` sections beside a listener and a JSON log, and waits until it runs.
    pub(crate) fn start(desk: &Desk, extra: &str) -> Engine {
        Engine::start_with(desk, extra, |_| {})
    }

    pub(crate) fn start_with(desk: &Desk, extra: &str, adapt: impl FnOnce(&mut Command)) -> Engine {
        let config = desk.write("tipring.toml", &config(extra));
        let mut command = Command::new(TIPRING);
        command
            .args(["run", "--config"])
            .arg(&config)
            .stderr(Stdio::piped());
        without_variables(|name| {
            command.env_remove(name);
        });
        adapt(&mut command);
        let mut child = command.spawn().expect("the binary runs");
        let log = lines(child.stderr.take().expect("piped"));
        let address = ([127, 0, 0, 1], 0).into();
        let mut engine = Engine {
            child,
            log,
            seen: Vec::new(),
            address,
        };
        let started = engine.wait_for("\"message\":\"started\"");
        let listen = started
            .split("\"listen\":\"[")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        engine.address = listen
            .and_then(|text| text.parse().ok())
            .expect("its address");
        engine
    }

    /// The next log line that holds `what`.
    pub(crate) fn wait_for(&mut self, what: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!(
                    "{error} while waiting for {what:?} in the log:\n{}",
                    self.seen.join("\n")
                )
            });
            self.seen.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    /// The first log line so far that holds `what`.
    pub(crate) fn said(&self, what: &str) -> Option<&str> {
        let mut lines = self.seen.iter().map(String::as_str);
        lines.find(|line| line.contains(what))
    }

    pub(crate) fn signal(&self, signal: i32) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        assert!(status.expect("kill(1)").success());
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status,
                None if std::time::Instant::now() > deadline => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, log) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    log
}

/// A telephone.
pub(crate) struct Phone {
    socket: UdpSocket,
    router: SocketAddr,
    call_id: String,
    tag: String,
}

/// A message as text.
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) from: SocketAddr,
}

impl Message {
    pub(crate) fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of a header, spelt as the router spells it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.text.lines().filter_map(|line| line.split_once(": "));
        values
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The header lines of these names, whole.
    pub(crate) fn echoed(&self, names: &[&str]) -> String {
        let line = |name: &&str| {
            let of_name = move |line: &&str| line.starts_with(&format!("{name}: "));
            let lines: Vec<&str> = self.text.lines().filter(of_name).collect();
            lines
                .iter()
                .map(|line| format!("{line}\r\n"))
                .collect::<String>()
        };
        names.iter().map(line).collect()
    }
}

impl Phone {
    /// A telephone that calls through `router`.
    pub(crate) fn new(router: SocketAddr, name: &str) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let port = socket.local_addr().expect("bound").port();
        Phone {
            socket,
            router,
            call_id: format!("{name}-{port}"),
            tag: format!("{name}tag"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Sends a request; `to` is the whole value of the To header.
    pub(crate) fn request(&self, method: &str, uri: &str, to: &str, cseq: u32) {
        self.request_with(method, uri, to, cseq, "");
    }

    /// The same with a session description.
    pub(crate) fn request_with(&self, method: &str, uri: &str, to: &str, cseq: u32, sdp: &str) {
        self.request_more(method, uri, to, cseq, &body(sdp));
    }

    /// The same with these header lines, an empty line and a body.
    pub(crate) fn request_more(&self, method: &str, uri: &str, to: &str, cseq: u32, more: &str) {
        let (own, call_id, tag) = (self.address(), &self.call_id, &self.tag);
        // RFC 3261 17.1.1.3: the ACK of a 2xx is a transaction of its own.
        let branch = format!("z9hG4bK{call_id}{method}{cseq}");
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch={branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller@{own}>;tag={tag}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{own}>\r\n{more}",
        );
        self.send(&text, self.router);
    }

    /// Answers a request, with this telephone as Contact.
    pub(crate) fn answer(&self, request: &Message, status: &str) {
        self.answer_with(request, status, "");
    }

    /// The same with a session description.
    pub(crate) fn answer_with(&self, request: &Message, status: &str, sdp: &str) {
        let own = self.address();
        let head = request.echoed(&["Via", "From", "Call-ID", "CSeq"]);
        let to = request.header("To").expect("To");
        let to = if to.contains(";tag=") {
            to.to_owned()
        } else {
            format!("{to};tag={}", self.tag)
        };
        let text = format!(
            "SIP/2.0 {status}\r\n{head}To: {to}\r\nContact: <sip:callee@{own}>\r\n{}",
            body(sdp)
        );
        self.send(&text, request.from);
    }

    fn send(&self, text: &str, to: SocketAddr) {
        self.socket.send_to(text.as_bytes(), to).expect("sent");
    }

    /// The next message whose first line holds `what`; others, such as retransmissions, are skipped.
    pub(crate) fn wait_for(&self, what: &str) -> Message {
        let mut skipped = String::new();
        loop {
            let message = self.receive(|| format!("{what:?}; had\n{skipped}"));
            if message.start().contains(what) {
                return message;
            }
            skipped += message.start();
            skipped.push('\n');
        }
    }

    fn receive(&self, waiting_for: impl Fn() -> String) -> Message {
        let mut bytes = [0; 65_536];
        let (length, from) = self
            .socket
            .recv_from(&mut bytes)
            .unwrap_or_else(|error| panic!("{error} while waiting for {}", waiting_for()));
        Message {
            text: String::from_utf8_lossy(&bytes[..length]).into_owned(),
            from,
        }
    }
}

/// The end of a message: its last headers and a session description, if there is one.
fn body(sdp: &str) -> String {
    let kind = match sdp {
        "" => "",
        _ => "Content-Type: application/sdp\r\n",
    };
    format!("{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// A call that was set up.
pub(crate) struct Call {
    pub(crate) caller: Phone,
    pub(crate) callee: Phone,
    /// The callee as the caller knows it: request-URI and To of what it sends in the dialog.
    pub(crate) contact: String,
    pub(crate) to: String,
}

/// Sets a call up from `caller` to `callee`, to whom the routing DB leads `number`.
pub(crate) fn call(engine: &Engine, caller: Phone, callee: Phone, number: &str) -> Call {
    let uri = format!("sip:{number}@{}", engine.address);
    caller.request("INVITE", &uri, &format!("<{uri}>"), 1);
    callee.answer(&callee.wait_for("INVITE"), "200 OK");
    let answered = caller.wait_for("200");
    let to = answered.header("To").expect("To").to_owned();
    let contact = answered.header("Contact").expect("Contact");
    let contact = contact
        .trim_start_matches('<')
        .split('>')
        .next()
        .expect("a URI")
        .to_owned();
    caller.request("ACK", &contact, &to, 1);
    callee.wait_for("ACK");
    Call {
        caller,
        callee,
        contact,
        to,
    }
}

impl Call {
    /// The caller hangs up.
    pub(crate) fn hang_up(&self) {
        self.caller.request("BYE", &self.contact, &self.to, 2);
        self.callee.answer(&self.callee.wait_for("BYE"), "200 OK");
        self.caller.wait_for("200");
    }
}

/// Lets `command` lock so many KiB at most.
pub(crate) fn with_locked_memory(command: &mut Command, kib: u32) {
    let mut shell = Command::new("bash");
    let limited = format!("ulimit -l {kib} && exec \"$0\" \"$@\"");
    shell.args(["-c", &limited]).arg(command.get_program());
    shell.args(command.get_args()).stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    *command = shell;
}

/// The variables of SRGo that override a configuration: those of the tests' own surroundings must not.
fn without_variables(mut remove: impl FnMut(&str)) {
    for name in [
        "server_ipv4",
        "auto_server_ipv4",
        "sip_udp_port",
        "http_port",
        "as_sip_udp",
        "proxy_udp_server",
        "ka_interval",
        "indialogue_interval",
    ] {
        remove(name);
    }
}

/// Runs the binary to its end: exit code, stdout, stderr.
pub(crate) fn tipring(arguments: &[&str], directory: &Path) -> (Option<i32>, String, String) {
    tipring_with(&[], arguments, directory)
}

/// Like [`tipring`], with these variables in its environment.
pub(crate) fn tipring_with(
    variables: &[(&str, &str)],
    arguments: &[&str],
    directory: &Path,
) -> (Option<i32>, String, String) {
    let mut command = assert_cmd::Command::new(TIPRING);
    without_variables(|name| {
        command.env_remove(name);
    });
    let output = command
        .envs(variables.iter().copied())
        .args(arguments)
        .current_dir(directory)
        .timeout(PATIENCE)
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}
