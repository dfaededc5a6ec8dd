//! A received message: the datagram and its index, and every value read on demand.

use crate::address::NameAddr;
use crate::body;
use crate::cseq::{CSeq, RAck};
use crate::error::ParseError;
use crate::index::{Index, Limits, Line, skip_line_ends};
use crate::lex::{is_lws, number};
use crate::list::Values;
use crate::method::Method;
use crate::name::HeaderName;
use crate::span::Span;
use crate::start_line::{Start, StartLine};
use crate::uri::{Scheme, Uri};
use crate::via::Via;
use std::ops::Range;

/// A message whose lines are known and whose values are read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    index: &'a Index,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header, whatever its spelling.
    pub name: HeaderName,
    /// The name as written.
    pub token: &'a [u8],
    /// The value, trimmed; the line ends of folds are still inside.
    pub value: &'a [u8],
    /// The whole line, its final CRLF included.
    pub line: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the datagram `bytes`. Line ends before the start line are passed over, bytes after the
    /// body are left out (RFC 3261 7.5, 18.3).
    ///
    /// This finds lines and checks their form; [`Message::check_mandatory`] checks what a message
    /// must have, and the typed accessors check each value.
    ///
    /// # Errors
    /// The first thing found wrong; see [`ParseError`]. [`Index::salvage`] then reads what a
    /// refusal needs.
    #[inline]
    pub fn parse(
        bytes: &'a [u8],
        index: &'a mut Index,
        limits: &Limits,
    ) -> Result<Message<'a>, ParseError> {
        let bytes = skip_line_ends(bytes);
        index.read(bytes, limits)?;
        Ok(Message::new(bytes, index))
    }

    pub(crate) fn new(bytes: &'a [u8], index: &'a Index) -> Message<'a> {
        Message {
            bytes: bytes.get(..index.length()).unwrap_or(bytes),
            index,
        }
    }

    /// The message, start line to body.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The start line.
    #[inline]
    pub fn start_line(&self) -> StartLine<'a> {
        self.index.start.of(self.bytes)
    }

    /// Whether this is a request.
    #[inline]
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// The status code; 0 for a request.
    #[inline]
    pub fn code(&self) -> u16 {
        match self.index.start {
            Start::Request { .. } => 0,
            Start::Response { code, .. } => code,
        }
    }

    /// The reason phrase; empty for a request.
    pub fn reason(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { .. } => &[],
            Start::Response { reason, .. } => reason.of(self.bytes),
        }
    }

    /// The method: a request's own; for a response that of its CSeq, `Other` when it is unreadable.
    #[inline]
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.cseq().map_or(Method::Other, |cseq| cseq.method),
        }
    }

    /// The method as written, from the same place as [`Message::method`].
    pub fn method_token(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { token, .. } => token.of(self.bytes),
            Start::Response { .. } => self.cseq().map_or(&[], |cseq| cseq.token),
        }
    }

    /// The Request-URI as written; empty for a response.
    #[inline]
    pub fn request_uri(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { uri, .. } => uri.of(self.bytes),
            Start::Response { .. } => &[],
        }
    }

    /// Every header line, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + 'a {
        let bytes = self.bytes;
        self.index.lines.iter().map(move |line| header(bytes, line))
    }

    /// The message without the header lines that `drops` picks, all else byte for byte.
    pub fn without_lines(&self, drops: impl Fn(&Header<'a>) -> bool) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        for (header, (_, line)) in self.headers().zip(self.spans()) {
            if drops(&header) {
                kept.extend_from_slice(self.bytes.get(at..line.start).unwrap_or_default());
                at = line.end;
            }
        }
        kept.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        kept
    }

    /// The name of every header line and where in [`Message::bytes`] it stands.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (HeaderName, Range<usize>)> {
        let range = |span: Span| usize::from(span.start)..usize::from(span.end);
        self.index
            .lines
            .iter()
            .map(move |line| (line.name, range(line.line)))
    }

    /// The value of the first line called `name`. For `Other` the first unknown header.
    #[inline]
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.first_line(name).map(|line| line.value.of(self.bytes))
    }

    /// Every line called `name`, in order.
    pub fn lines(&self, name: HeaderName) -> impl Iterator<Item = Header<'a>> + 'a {
        let bytes = self.bytes;
        let first = self.index.first(name).unwrap_or(self.index.lines.len());
        let lines = self.index.lines.get(first..).unwrap_or_default();
        lines
            .iter()
            .filter(move |line| line.name == name)
            .map(move |line| header(bytes, line))
    }

    /// Every value of the header `name`, across its lines and split at separating commas. Not for
    /// headers whose single value may hold a comma (Date, the challenges and credentials).
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.lines(name).flat_map(|line| Values::new(line.value))
    }

    /// The Call-ID; empty when there is none.
    #[inline]
    pub fn call_id(&self) -> &'a [u8] {
        self.header(HeaderName::CallId).unwrap_or_default()
    }

    /// The CSeq.
    ///
    /// # Errors
    /// `MissingCSeq`, `BadCSeq`.
    #[inline]
    pub fn cseq(&self) -> Result<CSeq<'a>, ParseError> {
        CSeq::parse(
            self.header(HeaderName::CSeq)
                .ok_or(ParseError::MissingCSeq)?,
        )
    }

    /// The first Via.
    ///
    /// # Errors
    /// `MissingVia`, `BadVia`.
    #[inline]
    pub fn top_via(&self) -> Result<Via<'a>, ParseError> {
        let value = self.header(HeaderName::Via).ok_or(ParseError::MissingVia)?;
        Via::parse(Values::new(value).next().unwrap_or_default())
    }

    /// The From.
    ///
    /// # Errors
    /// `MissingFrom`, `BadFrom`.
    #[inline]
    pub fn from(&self) -> Result<NameAddr<'a>, ParseError> {
        let value = self
            .header(HeaderName::From)
            .ok_or(ParseError::MissingFrom)?;
        NameAddr::parse(value).map_err(|_| ParseError::BadFrom)
    }

    /// The To.
    ///
    /// # Errors
    /// `MissingTo`, `BadTo`.
    #[inline]
    pub fn to(&self) -> Result<NameAddr<'a>, ParseError> {
        let value = self.header(HeaderName::To).ok_or(ParseError::MissingTo)?;
        NameAddr::parse(value).map_err(|_| ParseError::BadTo)
    }

    /// The tag of a readable From.
    pub fn from_tag(&self) -> Option<&'a [u8]> {
        self.from().ok()?.tag()
    }

    /// The tag of a readable To.
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        self.to().ok()?.tag()
    }

    /// The first Contact, when there is one. Its URI can be read: requests are sent to it.
    ///
    /// # Errors
    /// `BadContact`; also for `*`, which is no address.
    #[inline]
    pub fn contact(&self) -> Result<Option<NameAddr<'a>>, ParseError> {
        let first = self
            .header(HeaderName::Contact)
            .map(|value| Values::new(value).next());
        first
            .map(|value| {
                let contact = NameAddr::parse(value.unwrap_or_default())?;
                contact.uri_parsed().map(|_| contact)
            })
            .transpose()
            .map_err(|_| ParseError::BadContact)
    }

    /// Max-Forwards, when there is one.
    ///
    /// # Errors
    /// `BadMaxForwards`: not a number from 0 to 255 (RFC 3261 20.22).
    #[inline]
    pub fn max_forwards(&self) -> Result<Option<u32>, ParseError> {
        let Some(value) = self.header(HeaderName::MaxForwards) else {
            return Ok(None);
        };
        let hops = number(value).filter(|&hops| hops < 256);
        hops.map(Some).ok_or(ParseError::BadMaxForwards)
    }

    /// RAck, when there is one.
    ///
    /// # Errors
    /// `BadRAck`.
    pub fn rack(&self) -> Result<Option<RAck<'a>>, ParseError> {
        self.header(HeaderName::RAck).map(RAck::parse).transpose()
    }

    /// The body; may be empty.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.index.body().of(self.bytes)
    }

    /// The Content-Type.
    #[inline]
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.header(HeaderName::ContentType)
    }

    /// Whether the body is a session description, or a multipart that holds one.
    pub fn has_sdp(&self) -> bool {
        self.content_type()
            .is_some_and(|kind| body::holds_sdp(kind, self.body()))
    }

    /// The session description of the body, the first of a multipart.
    pub fn session_description(&self) -> Option<&'a [u8]> {
        let places = body::session_descriptions(self.content_type()?, self.body());
        self.body().get(places.first()?.clone())
    }

    /// Whether Require names `option`.
    pub fn requires(&self, option: &str) -> bool {
        self.names(HeaderName::Require, option)
    }

    /// Whether Supported names `option`.
    pub fn supports(&self, option: &str) -> bool {
        self.names(HeaderName::Supported, option)
    }

    /// Checks what every message must have (RFC 3261 8.1.1, 8.2.6): Via, From, To, Call-ID and
    /// CSeq, readable and but for Via only once; Max-Forwards readable if present; in a request
    /// also a CSeq of the request's method and a Request-URI that can be read and has no headers.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn check_mandatory(&self) -> Result<(), ParseError> {
        self.check_present()?;
        self.check_repeated()?;
        self.top_via()?;
        self.from()?;
        self.to()?;
        self.max_forwards()?;
        if self.call_id().is_empty() || self.call_id().iter().any(|&byte| is_lws(byte)) {
            return Err(ParseError::BadCallId);
        }
        match self.index.start {
            Start::Request { .. } => self.check_request(),
            Start::Response { .. } => self.cseq().map(|_| ()),
        }
    }

    fn check_present(&self) -> Result<(), ParseError> {
        let mandatory = [
            (HeaderName::Via, ParseError::MissingVia),
            (HeaderName::From, ParseError::MissingFrom),
            (HeaderName::To, ParseError::MissingTo),
            (HeaderName::CallId, ParseError::MissingCallId),
            (HeaderName::CSeq, ParseError::MissingCSeq),
        ];
        let missing = mandatory
            .into_iter()
            .find(|&(name, _)| self.index.first(name).is_none());
        missing.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn check_repeated(&self) -> Result<(), ParseError> {
        let single = [
            (HeaderName::From, ParseError::DuplicateFrom),
            (HeaderName::To, ParseError::DuplicateTo),
            (HeaderName::CallId, ParseError::DuplicateCallId),
            (HeaderName::CSeq, ParseError::DuplicateCSeq),
            (HeaderName::MaxForwards, ParseError::DuplicateMaxForwards),
        ];
        let repeated = single
            .into_iter()
            .find(|&(name, _)| self.index.is_repeated(name));
        repeated.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// RFC 3261 8.1.1.5: the methods match. 19.1.1: no headers in the Request-URI.
    fn check_request(&self) -> Result<(), ParseError> {
        if self.cseq()?.token != self.method_token() {
            return Err(ParseError::CSeqMismatch);
        }
        match Uri::parse(self.request_uri()) {
            Ok(Uri {
                scheme: Scheme::Sip | Scheme::Sips,
                headers: [_, ..],
                ..
            })
            | Err(_) => Err(ParseError::BadRequestUri),
            Ok(_) => Ok(()),
        }
    }

    /// Option tags are tokens and ignore case (RFC 3261 7.3.1).
    fn names(&self, list: HeaderName, option: &str) -> bool {
        self.values(list)
            .any(|value| value.eq_ignore_ascii_case(option.as_bytes()))
    }

    #[inline]
    fn first_line(&self, name: HeaderName) -> Option<&'a Line> {
        self.index.lines.get(self.index.first(name)?)
    }
}

#[inline]
fn header<'a>(bytes: &'a [u8], line: &Line) -> Header<'a> {
    let start = usize::from(line.line.start);
    Header {
        name: line.name,
        token: bytes
            .get(start..usize::from(line.token_end))
            .unwrap_or_default(),
        value: line.value.of(bytes),
        line: line.line.of(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "\r\nPRACK sip:a@b SIP/2.0\r\n\
         v: SIP/2.0/UDP h;branch=z, SIP/2.0/TCP i\r\n\
         X-Other : 1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\ni: x\r\nCSeq: 7 PRACK\r\n\
         RAck: 3 2 INVITE\r\nVia: SIP/2.0/UDP j\r\nSupported: Timer, 100rel\r\n\
         Content-Type: application/sdp\r\nl: 2\r\n\r\nv=rubbish";

    fn with<T>(text: &str, read: impl FnOnce(Message<'_>) -> T) -> T {
        let mut index = Index::new();
        read(Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap())
    }

    #[test]
    fn a_request_says_what_it_is() {
        with(REQUEST, |message| {
            assert!(message.is_request());
            assert_eq!((message.code(), message.reason()), (0, &b""[..]));
            assert_eq!(
                (message.method(), message.method_token()),
                (Method::Prack, &b"PRACK"[..])
            );
            assert_eq!(message.request_uri(), b"sip:a@b");
            assert_eq!(message.call_id(), b"x");
            assert_eq!(
                (message.from_tag(), message.to_tag()),
                (Some(&b"1"[..]), None)
            );
            let rack = RAck {
                response: 3,
                cseq: 2,
                method: b"INVITE",
            };
            assert_eq!(message.rack(), Ok(Some(rack)));
            assert_eq!(message.max_forwards(), Ok(None));
            assert_eq!(message.contact(), Ok(None));
            assert_eq!(message.body(), b"v=");
            assert_eq!(message.bytes(), &REQUEST.as_bytes()[2..REQUEST.len() - 7]);
            assert!(message.supports("timer") && message.supports("100REL"));
            assert!(!message.supports("time") && !message.requires("timer"));
            assert!(message.has_sdp());
            assert_eq!(message.check_mandatory(), Ok(()));
        });
    }

    #[test]
    fn a_response_has_the_method_of_its_cseq() {
        let text = "SIP/2.0 183 Session Progress\r\nCSeq: 1 INVITE\r\n\r\n";
        with(text, |message| {
            assert!(!message.is_request());
            assert_eq!(
                (message.code(), message.reason()),
                (183, &b"Session Progress"[..])
            );
            assert_eq!(
                (message.method(), message.method_token()),
                (Method::Invite, &b"INVITE"[..])
            );
            assert_eq!(message.request_uri(), b"");
        });
        with("SIP/2.0 200 OK\r\nCSeq: INVITE\r\n\r\n", |message| {
            assert_eq!(
                (message.method(), message.method_token()),
                (Method::Other, &b""[..])
            );
        });
    }

    #[test]
    fn lines_and_values_of_one_name_come_in_order() {
        with(REQUEST, |message| {
            let lines: Vec<_> = message
                .lines(HeaderName::Via)
                .map(|header| header.line)
                .collect();
            let expected: [&[u8]; 2] = [
                b"v: SIP/2.0/UDP h;branch=z, SIP/2.0/TCP i\r\n",
                b"Via: SIP/2.0/UDP j\r\n",
            ];
            assert_eq!(lines, expected);
            let values: Vec<_> = message.values(HeaderName::Via).collect();
            let expected: [&[u8]; 3] = [
                b"SIP/2.0/UDP h;branch=z",
                b"SIP/2.0/TCP i",
                b"SIP/2.0/UDP j",
            ];
            assert_eq!(values, expected);
            assert_eq!(message.lines(HeaderName::Route).count(), 0);
            let other = message
                .headers()
                .find(|header| header.name == HeaderName::Other)
                .unwrap();
            assert_eq!((other.token, other.value), (&b"X-Other"[..], &b"1"[..]));
        });
    }

    #[test]
    fn the_first_contact_counts() {
        let contact = |value: &str| {
            let text = format!("OPTIONS sip:a SIP/2.0\r\nContact:{value}\r\n\r\n");
            with(&text, |message| {
                message
                    .contact()
                    .map(|contact| String::from_utf8_lossy(contact.unwrap().uri).into())
            })
        };
        assert_eq!(
            contact("\"a, b\" <sip:c,d@e>, <sip:f>"),
            Ok("sip:c,d@e".to_owned())
        );
        for bad in ["", " *", "<sip:a", " , "] {
            assert_eq!(contact(bad), Err(ParseError::BadContact), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_mandatory_header_is_told() {
        for (from, to, error) in [
            (
                "SIP/2.0/UDP h;branch=z,",
                "SIP/1.0/UDP h,",
                ParseError::BadVia,
            ),
            ("<sip:a@b>;tag=1", "<sip:a@b", ParseError::BadFrom),
            ("<sip:c@d>", "sip", ParseError::BadTo),
            ("i: x", "i:", ParseError::BadCallId),
            ("i: x", "i: x y", ParseError::BadCallId),
            ("7 PRACK", "PRACK", ParseError::BadCSeq),
            ("7 PRACK", "7 prack", ParseError::CSeqMismatch),
            ("X-Other ", "Max-Forwards: -", ParseError::BadMaxForwards),
            ("sip:a@b SIP", "sip:a@ SIP", ParseError::BadRequestUri),
            (
                "sip:a@b SIP",
                "sip:a@b?Route=c SIP",
                ParseError::BadRequestUri,
            ),
        ] {
            let text = REQUEST.replacen(from, to, 1);
            assert_eq!(
                with(&text, |message| message.check_mandatory()),
                Err(error),
                "{to}"
            );
        }
    }

    #[test]
    fn lines_are_left_out_and_nothing_else() {
        let text = REQUEST.replacen(
            "X-Other",
            "Authorization: Digest a=\"b\",\r\n c=d\r\nX-Other",
            1,
        );
        with(&text, |message| {
            let kept = message.without_lines(|it| it.name == HeaderName::Authorization);
            // What precedes and follows the message in its datagram is none of it.
            let alone = |text: &'static str| text.trim_start().strip_suffix("rubbish");
            assert_eq!(Some(kept.as_slice()), alone(REQUEST).map(str::as_bytes));
            assert_eq!(message.without_lines(|_| false), message.bytes());
        });
    }

    #[test]
    fn regression_a_contact_whose_uri_cannot_be_read_is_none() {
        for uri in [
            "sip:b@10.0.0.9\u{e9}5060",
            "sip:",
            "sip:b@[::1",
            "sip:b@h:x",
        ] {
            let text = format!("SIP/2.0 200 OK\r\nContact: <{uri}>\r\n\r\n");
            with(&text, |message| {
                assert_eq!(message.contact(), Err(ParseError::BadContact), "{uri}");
            });
        }
    }
}
