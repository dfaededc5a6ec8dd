//! What can still be read of a request that cannot be: just enough to answer it 400.

use crate::index::{Index, Limits, header_line, skip_line_ends};
use crate::message::Message;
use crate::method::Method;
use crate::name::HeaderName;
use crate::span::Span;
use crate::start_line::{Start, is_status_line};
use memchr::{memchr2, memmem};

impl Index {
    /// Reads the lines that are sound out of a request [`Message::parse`] has refused, so that the
    /// head of a response can be printed from them. Lines that are not are passed over, and there
    /// is no body.
    ///
    /// None when no answer may or can be given: to a response, to an ACK, and to what has no Via.
    /// The Via may be what is wrong; the answer then goes where the request came from.
    pub fn salvage<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Message<'a>> {
        let bytes = skip_line_ends(bytes);
        let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
        self.clear();
        self.start = salvage_request_line(bytes)?;
        self.salvage_headers(bytes);
        let message = Message::new(bytes, self);
        message.header(HeaderName::Via).map(|_| message)
    }

    fn salvage_headers(&mut self, bytes: &[u8]) {
        let headers_max = Limits::default().headers_max;
        let mut start = header_end(bytes, 0) + 2;
        while start < bytes.len() && self.lines.len() < headers_max {
            let end = header_end(bytes, start);
            if end == start {
                break;
            }
            if end < bytes.len()
                && is_sound(bytes.get(start..end).unwrap_or_default())
                && let Ok(line) = header_line(bytes, start, end)
            {
                self.push(line);
            }
            start = end + 2;
        }
        self.end_at(start.min(bytes.len()));
    }
}

/// The method is what stands before the first white space; the URI is not looked for.
fn salvage_request_line(bytes: &[u8]) -> Option<Start> {
    let end = bytes.iter().position(|byte| byte.is_ascii_whitespace())?;
    let token = Span::new(0, end);
    let method = Method::parse(token.of(bytes));
    if is_status_line(bytes) || method == Method::Ack {
        return None;
    }
    Some(Start::Request {
        method,
        token,
        uri: Span::new(end, end),
    })
}

/// The offset of the CRLF no white space follows, or the end of the bytes.
fn header_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    memmem::find_iter(rest, b"\r\n")
        .map(|at| from + at)
        .find(|&end| end == from || !matches!(bytes.get(end + 2), Some(b' ' | b'\t')))
        .unwrap_or(bytes.len())
}

/// Whether every CR and LF in `line` is part of a fold, so that the line can be sent back.
fn is_sound(line: &[u8]) -> bool {
    let mut rest = line;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        match rest.get(at..at + 3) {
            Some(b"\r\n " | b"\r\n\t") => rest = rest.get(at + 3..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
         From: <sip:a@b>;tag=1\r\nbroken\r\nTo: a\rb\r\nt:\r\n <sip:c@d>\r\nCall-ID: x\r\n\
         CSeq: 1 INVITE\r\nl: -1\r\n\r\nTo: body";

    #[test]
    fn sound_lines_are_kept_and_broken_ones_passed_over() {
        for start in [
            "INVITE  sip:a@b SIP/2.0",
            "INVITE sip:a@b SIP/2.0 ",
            "INVITE sip:a@b SIP/9.0",
        ] {
            let text = format!("\r\n{start}\r\n{HEADERS}");
            let mut index = Index::new();
            let message = index.salvage(text.as_bytes()).unwrap();
            assert_eq!(message.method(), Method::Invite);
            assert_eq!(message.call_id(), b"x");
            assert_eq!(message.header(HeaderName::To), Some(&b"<sip:c@d>"[..]));
            assert_eq!(message.from_tag(), Some(&b"1"[..]));
            assert_eq!(message.headers().count(), 6);
            assert_eq!(message.body(), b"");
        }
    }

    #[test]
    fn headers_cut_off_by_the_end_of_the_datagram_are_left_out() {
        let mut index = Index::new();
        let text = b"BYE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: x\r\nFrom: <sip:a@";
        let message = index.salvage(text).unwrap();
        assert_eq!(message.call_id(), b"x");
        assert_eq!(message.header(HeaderName::From), None);
    }

    #[test]
    fn no_answer_to_responses_acks_and_what_has_no_via() {
        for start in ["SIP/2.0 2000 OK", "ACK  sip:a@b SIP/2.0", ""] {
            let text = format!("{start}\r\n{HEADERS}");
            assert!(Index::new().salvage(text.as_bytes()).is_none(), "{start}");
        }
        for text in [
            "INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n",
            "INVITE",
            "\r\n\r\n",
            "",
        ] {
            assert!(Index::new().salvage(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
