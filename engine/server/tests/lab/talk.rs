//! A call with media through the router: two telephones, a socket of RTP for each, and the ports for it.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Engine, Message, PATIENCE, Phone, rdb};

/// The lowest of eight ports in a row that nobody has: below those the kernel chooses for others, and
/// each test and test process looks elsewhere.
pub(crate) fn eight_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = std::process::id() as u16 % 60 * 320;
    let is_free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
    let low = || 10_000 + own + NEXT.fetch_add(8, Ordering::Relaxed) % 2_000;
    let found = (0..1000)
        .map(|_| low())
        .find(|&low| (low..low + 8).all(is_free));
    found.expect("eight free ports")
}

/// The section that gives media the eight ports from `low` on: two calls' worth.
pub(crate) fn media_section(low: u16) -> String {
    format!("[media]\nports = \"{low}-{}\"\n", low + 7)
}

/// A routing DB that steers the media of what it leads to `callee`.
pub(crate) fn steered_rdb(pattern: &str, callee: &Phone) -> String {
    let records = rdb(pattern, &callee.address().to_string());
    records.replace(r#""steerMedia": false"#, r#""steerMedia": true"#)
}

/// RTP with this sequence number: 20 ms of PCMA.
pub(crate) fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(0x1234_5678u32.to_be_bytes());
    packet.extend([sequence as u8; 160]);
    packet
}

/// A session description of one audio stream at this socket.
fn audio(socket: &UdpSocket) -> String {
    let port = socket.local_addr().expect("bound").port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}

/// The port of the audio stream a message describes.
fn audio_port(message: &Message) -> u16 {
    let line = message
        .text
        .lines()
        .find(|line| line.starts_with("m=audio "));
    let port = line.and_then(|line| line.split(' ').nth(1)?.parse().ok());
    port.unwrap_or_else(|| panic!("no audio in\n{}", message.text))
}

/// A call to the number 100 with media, from its answer on.
pub(crate) struct Talk {
    caller: Phone,
    to: String,
    contact: String,
    /// Where the caller and the callee have their media.
    streams: [UdpSocket; 2],
    /// The router's ports as the two were told them.
    pub(crate) ports: [u16; 2],
}

impl Talk {
    /// Sets the call up.
    pub(crate) fn begin(engine: &Engine, callee: &Phone) -> Talk {
        let caller = Phone::new(engine.address, "caller");
        let streams = [0, 1].map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        });
        let uri = format!("sip:100@{}", engine.address);
        caller.request_with("INVITE", &uri, &format!("<{uri}>"), 1, &audio(&streams[0]));
        let invite = callee.wait_for("INVITE");
        callee.answer_with(&invite, "200 OK", &audio(&streams[1]));
        let answered = caller.wait_for("200");
        let (to, contact) = (answered.header("To"), answered.header("Contact"));
        let contact = contact.expect("Contact").trim_matches(['<', '>']);
        let to = to.expect("To");
        caller.request("ACK", contact, to, 1);
        callee.wait_for("ACK");
        Talk {
            to: to.to_owned(),
            contact: contact.to_owned(),
            caller,
            streams,
            ports: [audio_port(&answered), audio_port(&invite)],
        }
    }

    /// The caller (0) or the callee (1) sends to the port it was told.
    pub(crate) fn say(&self, who: usize, packet: &[u8]) {
        let to = ("127.0.0.1", self.ports[who]);
        self.streams[who].send_to(packet, to).expect("sent");
    }

    /// What it hears next, and from which port.
    pub(crate) fn hear(&self, who: usize) -> (Vec<u8>, u16) {
        let mut heard = [0; 2048];
        let (length, sender) = self.streams[who].recv_from(&mut heard).expect("media");
        (heard[..length].to_vec(), sender.port())
    }

    /// Both hear so many packets of the other, from the port they send to and unchanged.
    pub(crate) fn converse(&self, packets: u16) {
        for sequence in 0..packets {
            for (from, to) in [(0, 1), (1, 0)] {
                self.say(from, &rtp(sequence));
                assert_eq!(self.hear(to), (rtp(sequence), self.ports[to]));
            }
        }
    }

    /// The caller hangs up.
    pub(crate) fn end(&self, callee: &Phone) {
        self.caller.request("BYE", &self.contact, &self.to, 2);
        callee.answer(&callee.wait_for("BYE"), "200 OK");
        self.caller.wait_for("200");
    }
}
