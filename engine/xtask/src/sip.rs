//! SIP text as the test agents read and write it. Kept apart from the `wire` room on purpose: a test
//! that parsed with the parser under test would share its mistakes.

/// One SIP message, taken to pieces in the plainest way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request or status line.
    pub(crate) start: String,
    /// Names as written and unfolded values, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// What follows the blank line.
    pub(crate) body: String,
}

impl Message {
    /// Reads a message with LF or CRLF line ends; None when there is no SIP start line.
    pub(crate) fn parse(text: &str) -> Option<Message> {
        let text = text.replace("\r\n", "\n");
        let text = text.trim_start_matches('\n');
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let start = lines
            .next()
            .filter(|line| line.contains("SIP/2.0"))?
            .to_owned();
        Some(Message {
            start,
            headers: read_headers(lines),
            body: body.to_owned(),
        })
    }

    /// The status code; None for a request.
    pub(crate) fn code(&self) -> Option<u16> {
        self.start
            .strip_prefix("SIP/2.0 ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    }

    /// The method of a request; None for a response.
    pub(crate) fn request_method(&self) -> Option<&str> {
        if self.code().is_some() {
            None
        } else {
            self.start.split(' ').next()
        }
    }

    /// The request-URI of a request.
    pub(crate) fn uri(&self) -> &str {
        self.request_method()
            .and_then(|_| self.start.split(' ').nth(1))
            .unwrap_or("")
    }

    /// The first value of a header, by its long name; empty when absent.
    pub(crate) fn header<'a>(&'a self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or("")
    }

    /// Every value of a header, by its long name.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let wanted = move |(written, _): &&(String, String)| {
            written.eq_ignore_ascii_case(name) || compact(written) == Some(name)
        };
        self.headers
            .iter()
            .filter(wanted)
            .map(|(_, value)| value.as_str())
    }

    /// The number in CSeq.
    pub(crate) fn cseq_number(&self) -> Option<u32> {
        self.header("CSeq").split_whitespace().next()?.parse().ok()
    }

    /// The method in CSeq.
    pub(crate) fn cseq_method(&self) -> &str {
        self.header("CSeq").split_whitespace().nth(1).unwrap_or("")
    }

    /// The tag of From or To; empty without one.
    pub(crate) fn tag<'a>(&'a self, header: &str) -> &'a str {
        parameter(self.header(header), "tag").unwrap_or("")
    }

    /// The branch of the top Via; empty without one.
    pub(crate) fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch").unwrap_or("")
    }

    /// The URI in the first Contact; empty without one.
    pub(crate) fn target(&self) -> &str {
        let contact = self.header("Contact");
        match contact.split_once('<') {
            Some((_, rest)) => rest.split('>').next().unwrap_or(""),
            None => contact.split(';').next().unwrap_or(""),
        }
    }
}

/// The value of `;name=value` after the last `>` of a header value.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let parameters = value.rsplit('>').next()?;
    parameters
        .split([';', ','])
        .filter_map(|one| one.trim().split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn compact(name: &str) -> Option<&'static str> {
    Some(match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "l" => "Content-Length",
        "c" => "Content-Type",
        _ => return None,
    })
}

fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), headers.last_mut()) {
            // RFC 3261 7.3.1: a folded line continues the value before it.
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => headers.extend(
                line.split_once(':')
                    .map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned())),
            ),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:1@h SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bKx;rport\r\n\
        From: \"A;tag=no\" <sip:a@h;tag=no>;x=y;tag=real\r\nSubject: one\r\n two\r\n\
        m: \"B\" <sip:b@h:1>;q=1\r\nCSeq: 42 INVITE\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_request_is_taken_to_pieces() {
        let message = Message::parse(INVITE).unwrap();
        assert_eq!(message.request_method(), Some("INVITE"));
        assert_eq!(message.uri(), "sip:1@h");
        assert_eq!(message.branch(), "z9hG4bKx");
        assert_eq!(message.tag("From"), "real");
        assert_eq!(message.tag("To"), "");
        assert_eq!(message.header("subject"), "one two");
        assert_eq!(message.target(), "sip:b@h:1");
        assert_eq!(
            (message.cseq_number(), message.cseq_method()),
            (Some(42), "INVITE")
        );
        assert_eq!(message.body, "abc");
    }

    #[test]
    fn a_response_has_a_code_and_no_method() {
        let message = Message::parse("SIP/2.0 486 Busy Here\nCSeq: 1 INVITE\n\n").unwrap();
        assert_eq!(message.code(), Some(486));
        assert_eq!(message.request_method(), None);
        assert_eq!(message.uri(), "");
    }

    #[test]
    fn what_is_not_sip_is_none() {
        assert_eq!(Message::parse("hello"), None);
        assert_eq!(Message::parse(""), None);
    }
}
