//! A message that went between the peers and the shard, taken apart once: what later messages of the
//! same dialog or transaction are made of. It is read without `wire`, by lines, so that a misreading
//! there cannot hide here.

use stack::Flow;

/// A message of the past that nobody has looked into: most never are.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    bytes: Vec<u8>,
    flow: Flow,
    pub(super) from_shard: bool,
}

impl Sealed {
    pub(super) fn new(bytes: &[u8], from_shard: bool, flow: Flow) -> Sealed {
        Sealed {
            bytes: bytes.to_vec(),
            flow,
            from_shard,
        }
    }

    pub(super) fn is_request(&self) -> bool {
        !self.bytes.starts_with(b"SIP/2.0 ")
    }

    /// The ports of its m= lines.
    pub(super) fn media_ports(&self) -> impl Iterator<Item = u16> {
        let lines = self.bytes.split(|&byte| byte == b'\n');
        lines.filter_map(|line| {
            let line = line.strip_prefix(b"m=")?;
            let port = line.split(|&byte| byte == b' ').nth(1)?;
            str::from_utf8(port).ok()?.parse().ok()
        })
    }

    pub(super) fn open(&self) -> Letter {
        Letter::read(&self.bytes, self.from_shard, self.flow)
    }
}

/// One message of the past, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Letter {
    pub(super) text: String,
    pub(super) from_shard: bool,
    /// Our address and the peer's; None only in a letter of nothing.
    pub(super) flow: Option<Flow>,
    /// Method of a request, empty for a response.
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) code: u16,
    pub(super) vias: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) cseq_method: String,
    pub(super) contact: String,
    pub(super) rseq: String,
}

impl Letter {
    fn read(bytes: &[u8], from_shard: bool, flow: Flow) -> Letter {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut letter = Letter {
            from_shard,
            flow: Some(flow),
            ..Letter::default()
        };
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut lines = head.split("\r\n");
        letter.read_start(lines.next().unwrap_or_default());
        for line in lines {
            if let Some((name, value)) = line.split_once(':') {
                letter.read_header(name, value.trim());
            }
        }
        letter.text = text;
        letter
    }

    fn read_start(&mut self, line: &str) {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        if first == "SIP/2.0" {
            self.code = second.parse().unwrap_or_default();
        } else {
            self.method = first.to_owned();
            self.uri = second.to_owned();
        }
    }

    fn read_header(&mut self, name: &str, value: &str) {
        match name {
            "Via" => self.vias += &format!("Via: {value}\r\n"),
            "From" => self.from = value.to_owned(),
            "To" => self.to = value.to_owned(),
            "Call-ID" => self.call_id = value.to_owned(),
            "RSeq" => self.rseq = value.to_owned(),
            "Contact" => self.contact = within_brackets(value).to_owned(),
            "CSeq" => {
                let (number, method) = value.split_once(' ').unwrap_or((value, ""));
                self.cseq = number.parse().unwrap_or_default();
                self.cseq_method = method.to_owned();
            }
            _ => {}
        }
    }

    fn is_request(&self) -> bool {
        !self.method.is_empty()
    }

    /// From and To of a request that the peer of this letter would send in its dialog.
    pub(super) fn peer_first(&self) -> (String, String) {
        // The peer is the From of what it asked and of what it was answered.
        if self.from_shard == self.is_request() {
            (self.to.clone(), self.from.clone())
        } else {
            (self.from.clone(), self.to.clone())
        }
    }
}

fn within_brackets(value: &str) -> &str {
    let inside = value.split_once('<').map_or(value, |(_, rest)| rest);
    inside.split_once('>').map_or(inside, |(uri, _)| uri)
}
