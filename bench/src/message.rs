//! Reads from a SIP message just what a load generator needs: the start line, the lines it must echo and the values that find
//! the call. One pass, no allocation. It is no validator: what the generator does not use it does not look at.

use memchr::memchr;
use thiserror::Error;

/// Lines of one name (Via, Record-Route) kept at most.
const LINES_MAX: usize = 8;

/// Why a datagram is no message this generator can use; the sender's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// The start line is neither a request's nor a response's.
    #[error("no SIP start line")]
    StartLine,
    /// No empty line ends the headers.
    #[error("headers without an end")]
    Unfinished,
    /// From, To, Call-ID, CSeq or Via is missing or unreadable.
    #[error("a mandatory header is missing")]
    Missing,
    /// More Via or Record-Route lines than are kept.
    #[error("too many Via or Record-Route lines")]
    TooManyLines,
}

/// The methods the basic call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Invite,
    Ack,
    Bye,
    Other,
}

impl Method {
    fn parse(token: &[u8]) -> Method {
        match token {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            _ => Method::Other,
        }
    }
}

/// What the start line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Request(Method),
    Response(u16),
}

/// A few lines of one header name, in the order of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    lines: [&'a [u8]; LINES_MAX],
    count: usize,
}

impl<'a> Lines<'a> {
    fn push(&mut self, line: &'a [u8]) -> Result<(), MessageError> {
        *self
            .lines
            .get_mut(self.count)
            .ok_or(MessageError::TooManyLines)? = line;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.lines[..self.count]
    }
}

/// One message. Lines are whole, with their line end; values are trimmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) start: Start,
    /// Method of the CSeq header.
    pub(crate) method: Method,
    pub(crate) vias: Lines<'a>,
    pub(crate) record_routes: Lines<'a>,
    pub(crate) from_line: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq_line: &'a [u8],
    /// Value of the first Contact; empty without one.
    pub(crate) contact: &'a [u8],
    /// What follows the headers, padding (RFC 3261 18.3) included.
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the headers of a datagram; the body, and whatever follows it (RFC 3261 18.3), is not looked into.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, MessageError> {
        let (first, mut rest) = take_line(bytes).ok_or(MessageError::StartLine)?;
        let mut message = Message::empty(parse_start(first)?);
        loop {
            let (line, after) = take_line(rest).ok_or(MessageError::Unfinished)?;
            if line.len() <= 2 {
                message.body = after;
                break;
            }
            message.keep(line)?;
            rest = after;
        }
        message.check()
    }

    fn empty(start: Start) -> Message<'a> {
        let lines = Lines {
            lines: [&[]; LINES_MAX],
            count: 0,
        };
        Message {
            start,
            method: Method::Other,
            vias: lines,
            record_routes: lines,
            from_line: &[],
            to: &[],
            call_id: &[],
            cseq_line: &[],
            contact: &[],
            body: &[],
        }
    }

    fn keep(&mut self, line: &'a [u8]) -> Result<(), MessageError> {
        let Some(colon) = memchr(b':', line) else {
            return Ok(());
        };
        let name = line[..colon].trim_ascii_end();
        let is = |long: &[u8], compact: u8| match name {
            [one] => one.to_ascii_lowercase() == compact,
            _ => name.eq_ignore_ascii_case(long),
        };
        match name.first().map(u8::to_ascii_lowercase) {
            Some(b'v') if is(b"Via", b'v') => self.vias.push(line)?,
            Some(b'r') if is(b"Record-Route", 0) => self.record_routes.push(line)?,
            Some(b'f') if is(b"From", b'f') => self.from_line = line,
            Some(b't') if is(b"To", b't') => self.to = line[colon + 1..].trim_ascii(),
            Some(b'c' | b'i') if is(b"Call-ID", b'i') => {
                self.call_id = line[colon + 1..].trim_ascii();
            }
            Some(b'c') if is(b"CSeq", 0) => self.keep_cseq(line),
            Some(b'c' | b'm') if self.contact.is_empty() && is(b"Contact", b'm') => {
                self.contact = line[colon + 1..].trim_ascii();
            }
            _ => {}
        }
        Ok(())
    }

    fn keep_cseq(&mut self, line: &'a [u8]) {
        self.cseq_line = line;
        let token = line.trim_ascii().rsplit(|&b| b == b' ').next();
        self.method = Method::parse(token.unwrap_or_default());
    }

    fn check(self) -> Result<Message<'a>, MessageError> {
        let mandatory = [self.from_line, self.to, self.call_id, self.cseq_line];
        if self.vias.count == 0 || mandatory.iter().any(|value| value.is_empty()) {
            return Err(MessageError::Missing);
        }
        Ok(self)
    }

    /// The tag of the To header.
    pub(crate) fn tag_of_to(&self) -> Option<&'a [u8]> {
        let params = match memchr(b'>', self.to) {
            Some(end) => &self.to[end + 1..],
            None => self.to,
        };
        params
            .split(|&b| b == b';')
            .skip(1)
            .find_map(|param| param.trim_ascii().strip_prefix(b"tag="))
    }
}

/// The URI of a name-addr or addr-spec value: `"A" <sip:b>;x` and `sip:b;x` both give `sip:b`.
pub(crate) fn uri_of(value: &[u8]) -> &[u8] {
    match memchr(b'<', value) {
        Some(open) => {
            let inside = &value[open + 1..];
            &inside[..memchr(b'>', inside).unwrap_or(inside.len())]
        }
        None => &value[..memchr(b';', value).unwrap_or(value.len())],
    }
}

/// The route set of a caller: every Record-Route value, last first, as Route lines (RFC 3261 12.1.2).
pub(crate) fn print_routes(record_routes: &Lines<'_>, out: &mut Vec<u8>) {
    for line in record_routes.as_slice().iter().rev() {
        let value = &line[memchr(b':', line).map_or(0, |colon| colon + 1)..];
        for route in values(value).rev() {
            out.extend_from_slice(b"Route: ");
            out.extend_from_slice(route);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The values of a line, parted by the commas outside of `<>`.
fn values(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let mut parts = [&line[..0]; LINES_MAX];
    let (mut count, mut start, mut inside) = (0, 0, false);
    for (i, byte) in line.iter().enumerate() {
        match byte {
            b'<' => inside = true,
            b'>' => inside = false,
            b',' if !inside && count + 1 < LINES_MAX => {
                parts[count] = &line[start..i];
                (count, start) = (count + 1, i + 1);
            }
            _ => {}
        }
    }
    parts[count] = &line[start..];
    parts.into_iter().take(count + 1).map(<[u8]>::trim_ascii)
}

fn take_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b'\n', bytes).map(|end| bytes.split_at(end + 1))
}

fn parse_start(line: &[u8]) -> Result<Start, MessageError> {
    if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
        let digits = rest.get(..3).ok_or(MessageError::StartLine)?;
        let code = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        return code.map(Start::Response).ok_or(MessageError::StartLine);
    }
    let end = memchr(b' ', line).ok_or(MessageError::StartLine)?;
    if !line.trim_ascii_end().ends_with(b" SIP/2.0") {
        return Err(MessageError::StartLine);
    }
    Ok(Start::Request(Method::parse(&line[..end])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nv: SIP/2.0/UDP b;branch=z9hG4bK2\r\n\
        Record-Route: <sip:p1;lr>, <sip:p2,x;lr>\r\nRecord-Route: <sip:p3;lr>\r\n\
        f: <sip:a@b>;tag=1\r\nTo: \"T\" <sip:c@d;tag=no>;x;tag=yes\r\ncall-id: abc\r\n\
        CSeq: 7 INVITE\r\nContact: \"C\" <sip:c@1.2.3.4:5;ob>;expires=3\r\nContent-Length: 3\r\n\r\nv=0PADDING";

    fn lines(message: &[u8]) -> Vec<u8> {
        let parsed = Message::parse(message).unwrap();
        let mut out = Vec::new();
        print_routes(&parsed.record_routes, &mut out);
        out
    }

    #[test]
    fn a_response_gives_what_the_caller_needs() {
        let message = Message::parse(ANSWER).unwrap();
        assert_eq!(message.start, Start::Response(200));
        assert_eq!(message.method, Method::Invite);
        assert_eq!(message.vias.as_slice().len(), 2);
        assert_eq!(
            message.vias.as_slice()[1],
            b"v: SIP/2.0/UDP b;branch=z9hG4bK2\r\n"
        );
        assert_eq!(message.call_id, b"abc");
        assert_eq!(message.tag_of_to(), Some(&b"yes"[..]));
        assert_eq!(uri_of(message.contact), b"sip:c@1.2.3.4:5;ob");
        assert_eq!(message.from_line, b"f: <sip:a@b>;tag=1\r\n");
    }

    #[test]
    fn routes_are_the_record_routes_from_last_to_first() {
        let expected = b"Route: <sip:p3;lr>\r\nRoute: <sip:p2,x;lr>\r\nRoute: <sip:p1;lr>\r\n";
        assert_eq!(lines(ANSWER), expected);
    }

    #[test]
    fn an_address_without_brackets_has_a_uri_and_a_tag() {
        let text = ANSWER.to_vec();
        let text = String::from_utf8(text).unwrap();
        let text = text.replace("\"T\" <sip:c@d;tag=no>;x;tag=yes", "sip:c@d;tag=plain");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.tag_of_to(), Some(&b"plain"[..]));
        assert_eq!(uri_of(message.to), b"sip:c@d");
    }

    #[test]
    fn a_request_names_its_method() {
        let text = String::from_utf8(ANSWER.to_vec()).unwrap();
        let text = text
            .replace("SIP/2.0 200 OK", "BYE sip:c@d SIP/2.0")
            .replace("7 INVITE", "8 BYE");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (message.start, message.method),
            (Start::Request(Method::Bye), Method::Bye)
        );
    }

    #[test]
    fn unusable_datagrams_say_why() {
        let error = |bytes: &[u8]| Message::parse(bytes).map(|_| ()).unwrap_err();
        assert_eq!(error(b""), MessageError::StartLine);
        assert_eq!(error(b"hello there\r\n\r\n"), MessageError::StartLine);
        assert_eq!(error(b"SIP/2.0 2x0 OK\r\n\r\n"), MessageError::StartLine);
        assert_eq!(
            error(b"SIP/2.0 200 OK\r\nVia: a\r\n"),
            MessageError::Unfinished
        );
        assert_eq!(
            error(b"SIP/2.0 200 OK\r\nVia: a\r\n\r\n"),
            MessageError::Missing
        );
        let vias = "Via: a\r\n".repeat(9);
        assert_eq!(
            error(format!("SIP/2.0 200 OK\r\n{vias}\r\n").as_bytes()),
            MessageError::TooManyLines
        );
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = Message::parse(&bytes);
            let mut broken = ANSWER[..cut.min(ANSWER.len())].to_vec();
            broken.extend(&bytes);
            if let Ok(message) = Message::parse(&broken) {
                let _ = (message.tag_of_to(), uri_of(message.contact));
            }
        }
    }
}
