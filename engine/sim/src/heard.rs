//! A received message as plain owned values: what the agents and the checkers look at. Read with
//! `wire`; nothing is decided here.

use wire::{HeaderName, Index, Limits, Message, Uri};

/// The parts of a message that anybody here asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Status code; 0 for a request.
    pub code: u16,
    /// Reason phrase of a response.
    pub phrase: String,
    /// Method of the request, or of the CSeq of a response.
    pub method: String,
    /// Request-URI; empty for a response.
    pub uri: String,
    /// All Via values, topmost first.
    pub vias: Vec<String>,
    /// Branch of the topmost Via.
    pub branch: String,
    /// Sent-by of the topmost Via.
    pub sent_by: String,
    /// From value with its tag.
    pub from: String,
    /// To value with its tag if there is one.
    pub to: String,
    /// Tag of From; empty for none.
    pub from_tag: String,
    /// Tag of To; empty for none.
    pub to_tag: String,
    /// Call-ID.
    pub call_id: String,
    /// Number of the CSeq.
    pub cseq: u32,
    /// URI of the first Contact.
    pub contact: Option<String>,
    /// RSeq of a reliable provisional response (RFC 3262).
    pub rseq: Option<u32>,
    /// Response number and CSeq number of the RAck.
    pub rack: Option<(u32, u32)>,
    /// Max-Forwards.
    pub max_forwards: Option<u32>,
    /// Reason values.
    pub reasons: Vec<String>,
    /// Retry-After value.
    pub retry_after: Option<String>,
    /// Content-Length.
    pub content_length: Option<usize>,
    /// The mark that each message of an agent bears, by which it is known again behind the router.
    pub stamp: Option<String>,
    /// It holds a session description.
    pub sdp: bool,
    /// The bytes before the body.
    pub head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// The header that carries [`Heard::stamp`].
pub(crate) const STAMP: &str = "X-Stamp";

impl Heard {
    /// Reads a datagram.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(bytes: &[u8]) -> Result<Heard, String> {
        let mut index = Index::new();
        let message = Message::parse(bytes, &mut index, &Limits::default())
            .map_err(|error| error.to_string())?;
        message
            .check_mandatory()
            .map_err(|error| error.to_string())?;
        Heard::of(&message).map_err(|error| error.to_string())
    }

    fn of(message: &Message<'_>) -> Result<Heard, wire::ParseError> {
        let via = message.top_via()?;
        let body = message.body().to_vec();
        let bytes = message.bytes();
        Ok(Heard {
            code: message.code(),
            phrase: text(message.reason()),
            method: text(message.method_token()),
            uri: text(message.request_uri()),
            vias: message.values(HeaderName::Via).map(text).collect(),
            branch: text(via.branch.unwrap_or_default()),
            sent_by: text(via.sent_by),
            from: header(message, HeaderName::From).unwrap_or_default(),
            to: header(message, HeaderName::To).unwrap_or_default(),
            from_tag: text(message.from_tag().unwrap_or_default()),
            to_tag: text(message.to_tag().unwrap_or_default()),
            call_id: text(message.call_id()),
            cseq: message.cseq()?.number,
            contact: message.contact()?.map(|contact| text(contact.uri)),
            rseq: header(message, HeaderName::RSeq).and_then(|value| value.parse().ok()),
            rack: message.rack()?.map(|rack| (rack.response, rack.cseq)),
            max_forwards: message.max_forwards()?,
            reasons: message.values(HeaderName::Reason).map(text).collect(),
            retry_after: header(message, HeaderName::RetryAfter),
            content_length: header(message, HeaderName::ContentLength)
                .and_then(|value| value.parse().ok()),
            stamp: stamp(message),
            sdp: message.has_sdp(),
            head: bytes[..bytes.len() - body.len()].to_vec(),
            body,
        })
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        self.code == 0
    }

    /// Whether it is a final response.
    pub fn is_final(&self) -> bool {
        self.code >= 200
    }

    /// Whether it is a response to `method` with a code of this hundred.
    pub(crate) fn is_answer(&self, method: &str, hundred: u16) -> bool {
        self.code / 100 == hundred && self.method == method
    }

    /// The head as text.
    pub fn head_text(&self) -> String {
        text(&self.head)
    }

    /// The values of this header, a line each; the name as it is written out.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let head = self.head_text();
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let named = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The number at the beginning of this header's value; the name as it is written out.
    pub(crate) fn seconds(&self, name: &str) -> Option<u32> {
        let head = self.head_text();
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        let digits: String = value
            .trim()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    }

    /// `INVITE`, or `180 INVITE`.
    pub fn title(&self) -> String {
        match self.code {
            0 => self.method.clone(),
            code => format!("{code} {}", self.method),
        }
    }
}

fn header(message: &Message<'_>, name: HeaderName) -> Option<String> {
    message.header(name).map(text)
}

fn stamp(message: &Message<'_>) -> Option<String> {
    let mut headers = message.headers();
    headers
        .find(|header| header.token == STAMP.as_bytes())
        .map(|header| text(header.value))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The address a SIP URI with an IP address names.
pub(crate) fn address_of(uri: &str) -> Option<std::net::SocketAddr> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    let ip = uri.host.ip()?;
    Some(std::net::SocketAddr::new(ip, uri.port.unwrap_or(5060)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read() {
        let text = "SIP/2.0 183 Session Progress\r\n\
            Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa\r\n\
            From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
            Contact: <sip:b@[fd00::1]:5062>\r\nRSeq: 11\r\nX-Stamp: b1-3\r\n\
            Content-Length: 2\r\n\r\nxy";
        let heard = Heard::read(text.as_bytes()).expect("a well-formed response");
        assert_eq!((heard.code, heard.cseq, heard.rseq), (183, 7, Some(11)));
        assert_eq!(heard.title(), "183 INVITE");
        assert_eq!(
            (heard.branch.as_str(), heard.sent_by.as_str()),
            ("z9hG4bKa", "10.0.0.1:5070")
        );
        assert_eq!((heard.from_tag.as_str(), heard.to_tag.as_str()), ("1", "2"));
        assert_eq!(heard.stamp.as_deref(), Some("b1-3"));
        assert_eq!(heard.body, b"xy");
        let contact = heard.contact.as_deref().and_then(address_of);
        assert_eq!(contact, Some("[fd00::1]:5062".parse().expect("an address")));
    }

    #[test]
    fn a_message_without_a_mandatory_header_is_not() {
        let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\r\n";
        assert!(Heard::read(text.as_bytes()).is_err());
        assert!(Heard::read(b"\r\n").is_err());
    }
}
