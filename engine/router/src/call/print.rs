//! The text of a call's messages: what crosses from one leg to the other, and what is written anew.

use smallvec::SmallVec;
use stack::Token;
use stack::dialog::Dialog;
use wire::print::Policy;
use wire::{HeaderName, Host, Message, NameAddr, Params, Uri, print};

use super::Text;
use super::changes::Changes;
use super::session_timer::policy_with_timer;
use crate::core::Door;
use crate::headers::{BODILESS, BODY, POLICY, RENUMBERED, UNRELIABLE};
use crate::identity::Hidden;

/// RFC 3261 8.1.1.6: what a request carries that named none.
pub(crate) const MAX_FORWARDS: u32 = 70;

/// A Reason header (RFC 3326), complete with its line end; empty for none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reason(SmallVec<[u8; 64]>);

impl Reason {
    pub(crate) fn q850(cause: u8, text: &str) -> Reason {
        Reason(format_line("Q.850", cause.into(), text))
    }

    pub(crate) fn sip(cause: u16, text: &str) -> Reason {
        Reason(format_line("SIP", cause, text))
    }

    /// The Reason headers of a message, to be said again on the other leg.
    pub(crate) fn of(message: &Message<'_>) -> Reason {
        let lines = message
            .lines(HeaderName::Reason)
            .flat_map(|header| header.line);
        Reason(lines.copied().collect())
    }

    /// Why the callee refused, for a caller who can be told with a BYE only: the status, and the
    /// response's own Reasons of other protocols (RFC 3326 2: one of each).
    pub(super) fn of_refusal(response: &Message<'_>) -> Reason {
        let code = response.code();
        let phrase = String::from_utf8_lossy(response.reason());
        let mut text = String::new();
        if phrase.is_empty() {
            text.push_str(print::reason_phrase(code));
        }
        for letter in phrase.chars().filter(|letter| !letter.is_control()) {
            if matches!(letter, '"' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        let mut reason = Reason::sip(code, &text);
        for value in response.values(HeaderName::Reason) {
            let protocol = value.split(|&byte| byte == b';').next().unwrap_or_default();
            if !protocol.trim_ascii().eq_ignore_ascii_case(b"SIP") {
                reason.push(value);
            }
        }
        reason
    }

    fn push(&mut self, value: &[u8]) {
        for piece in [b"Reason: ".as_slice(), value, b"\r\n"] {
            self.0.extend_from_slice(piece);
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn format_line(protocol: &str, cause: u16, text: &str) -> SmallVec<[u8; 64]> {
    let mut digits = Vec::with_capacity(5);
    print::number(&mut digits, cause.into());
    let mut line = SmallVec::new();
    for piece in [
        "Reason: ".as_bytes(),
        protocol.as_bytes(),
        b";cause=",
        &digits,
    ] {
        line.extend_from_slice(piece);
    }
    for piece in [b";text=\"".as_slice(), text.as_bytes(), b"\"\r\n"] {
        line.extend_from_slice(piece);
    }
    line
}

/// A request of ours on one leg.
pub(crate) struct Request<'a> {
    pub(crate) door: &'a Door,
    pub(crate) dialog: &'a Dialog,
    pub(crate) method: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) branch: &'a Token,
    pub(crate) max_forwards: u32,
}

impl Request<'_> {
    /// Everything that is not copied: request line to CSeq.
    pub(super) fn print_head(&self, out: &mut Vec<u8>) {
        self.dialog.print_request_line(out, self.method);
        self.door.print_via(out, self.branch);
        out.extend_from_slice(b"Max-Forwards: ");
        print::number(out, self.max_forwards.into());
        out.extend_from_slice(b"\r\n");
        self.dialog.print_headers(out, self.method, self.cseq);
    }

    /// The other leg's request on this one; `extra` is complete header lines, `body` what crosses of its
    /// body.
    pub(crate) fn print_relayed(
        &self,
        out: &mut Vec<u8>,
        original: &Message<'_>,
        contact: Option<&Token>,
        extra: &[u8],
        body: &[u8],
    ) {
        self.print_passing(out, original, contact, extra, body, &POLICY);
    }

    /// As [`Request::print_relayed`], without what is hidden.
    pub(crate) fn print_veiled(
        &self,
        out: &mut Vec<u8>,
        original: &Message<'_>,
        contact: Option<&Token>,
        hidden: Option<&Hidden>,
        body: &[u8],
    ) {
        match hidden {
            None => self.print_relayed(out, original, contact, b"", body),
            Some(hidden) => {
                let (lines, policy) = (hidden.lines(), hidden.policy(&POLICY));
                self.print_passing(out, original, contact, lines, body, &policy);
            }
        }
    }

    /// As [`Request::print_relayed`], with the headers that `policy` lets pass.
    pub(crate) fn print_passing(
        &self,
        out: &mut Vec<u8>,
        original: &Message<'_>,
        contact: Option<&Token>,
        extra: &[u8],
        body: &[u8],
        policy: &Policy,
    ) {
        self.print_head(out);
        if let Some(tag) = contact {
            self.door.print_contact(out, tag);
        }
        out.extend_from_slice(extra);
        print::passing_headers(out, original, policy);
        print::end(out, body);
    }

    /// A request of our own making, with complete extra header lines and no body.
    pub(crate) fn print_own(&self, out: &mut Vec<u8>, extra: &[u8]) {
        self.print_head(out);
        out.extend_from_slice(extra);
        print::end(out, b"");
    }

    /// A request of our own making with a session the other leg has described; `extra` is complete
    /// header lines, those that speak of the body among them.
    pub(crate) fn print_offer(
        &self,
        out: &mut Vec<u8>,
        contact: &Token,
        extra: &[u8],
        body: &[u8],
    ) {
        self.print_head(out);
        self.door.print_contact(out, contact);
        out.extend_from_slice(extra);
        print::end(out, body);
    }
}

/// In which form the other leg's response appears on this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Whole,
    /// A provisional without its body, and no reliable one.
    Bodiless,
    /// A provisional that became the final answer.
    Final,
    /// A provisional that was reliable, and is not here.
    Unreliable,
    /// A reliable provisional with this RSeq.
    Numbered(u32),
}

impl Form {
    fn policy(self) -> &'static Policy {
        match self {
            Form::Whole => &POLICY,
            Form::Bodiless => &BODILESS,
            Form::Final | Form::Unreliable => &UNRELIABLE,
            Form::Numbered(_) => &RENUMBERED,
        }
    }

    /// What the response requires passes whole; else 100rel is left out of it.
    fn keeps_options(self) -> bool {
        matches!(self, Form::Whole | Form::Numbered(_))
    }
}

/// What follows the To line of the other leg's response on this one.
pub(super) fn relayed_response(
    out: &mut Vec<u8>,
    original: &Message<'_>,
    door: &Door,
    tag: &Token,
    changes: &Changes,
    body: &[u8],
) {
    formed_response(out, original, door, tag, Form::Whole, changes, body);
}

/// As [`relayed_response`], in this form.
pub(super) fn formed_response(
    out: &mut Vec<u8>,
    original: &Message<'_>,
    door: &Door,
    tag: &Token,
    form: Form,
    changes: &Changes,
    body: &[u8],
) {
    let has_contact = original.header(HeaderName::Contact).is_some();
    match original.code() {
        // RFC 3261 8.1.3.4, 21.4.22: these Contacts are where to go instead, not who answered.
        300..=399 | 485 => pass_lines(out, original, HeaderName::Contact),
        // RFC 3261 13.3.1.4: a 2xx has one, whether or not its provisional had.
        _ if has_contact || form == Form::Final => door.print_contact(out, tag),
        _ => {}
    }
    if let Form::Numbered(rseq) = form {
        print::header(out, "RSeq", rseq.to_string().as_bytes());
    }
    let mut policy = *form.policy();
    if let Some(session) = &changes.session {
        session.print_crossing(out, original, form.keeps_options());
        policy = policy_with_timer(&policy);
    } else if !form.keeps_options() {
        options_but(out, "Require", original, HeaderName::Require, &["100rel"]);
    }
    if let Some(hidden) = &changes.hidden {
        out.extend_from_slice(hidden.lines());
        policy = hidden.policy(&policy);
    }
    print::passing_headers(out, original, &policy);
    warnings(out, original, &door.host_port);
    print::end(out, body);
}

/// As [`relayed_response`], with the session that a provisional before it has described; `body` is what
/// crosses of that.
pub(super) fn described_response(
    out: &mut Vec<u8>,
    original: &Message<'_>,
    described: &Message<'_>,
    door: &Door,
    tag: &Token,
    body: &[u8],
) {
    for name in BODY {
        pass_lines(out, described, name);
    }
    door.print_contact(out, tag);
    options_but(out, "Require", original, HeaderName::Require, &["100rel"]);
    print::passing_headers(out, original, Form::Bodiless.policy());
    warnings(out, original, &door.host_port);
    print::end(out, body);
}

/// Our INVITE once more on a transaction of its own (RFC 3261 8.1.3.5), with RFC 3262 offered.
pub(super) fn invite_again(
    out: &mut Vec<u8>,
    former: &Message<'_>,
    door: &Door,
    branch: &Token,
    cseq: u32,
) {
    print::request_line(out, b"INVITE", former.request_uri());
    door.print_via(out, branch);
    print::header(out, "CSeq", format!("{cseq} INVITE").as_bytes());
    print::header(out, "Supported", b"100rel");
    let own = [HeaderName::Via, HeaderName::CSeq, HeaderName::ContentLength];
    for header in former
        .headers()
        .filter(|header| !own.contains(&header.name))
    {
        out.extend_from_slice(header.line);
    }
    print::end(out, former.body());
}

/// A list of option tags without some of them; nothing when none is left.
pub(super) fn options_but(
    out: &mut Vec<u8>,
    label: &str,
    original: &Message<'_>,
    name: HeaderName,
    left_out: &[&str],
) {
    let mut begun = false;
    for option in original.values(name) {
        let leaves = |left: &&str| option.eq_ignore_ascii_case(left.as_bytes());
        if left_out.iter().any(leaves) {
            continue;
        }
        if begun {
            out.extend_from_slice(b", ");
        } else {
            out.extend_from_slice(label.as_bytes());
            out.extend_from_slice(b": ");
        }
        out.extend_from_slice(option);
        begun = true;
    }
    if begun {
        out.extend_from_slice(b"\r\n");
    }
}

fn pass_lines(out: &mut Vec<u8>, original: &Message<'_>, name: HeaderName) {
    for header in original.lines(name) {
        out.extend_from_slice(header.line);
    }
}

/// Warnings with our host in the place of the other leg's (RFC 3261 20.43: code, agent, text).
fn warnings(out: &mut Vec<u8>, original: &Message<'_>, agent: &[u8]) {
    for value in original.values(HeaderName::Warning) {
        let mut words = value.splitn(3, |&byte| byte == b' ');
        if let (Some(code), Some(_), Some(text)) = (words.next(), words.next(), words.next()) {
            out.extend_from_slice(b"Warning: ");
            out.extend_from_slice(code);
            out.push(b' ');
            out.extend_from_slice(agent);
            out.push(b' ');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// RAck for the provisional with this RSeq to a request with this CSeq.
pub(super) fn rack_line(response: u32, cseq: u32, method: &[u8]) -> Text {
    let mut line = Vec::with_capacity(48);
    line.extend_from_slice(b"RAck: ");
    print::number(&mut line, response.into());
    line.push(b' ');
    print::number(&mut line, cseq.into());
    line.push(b' ');
    line.extend_from_slice(method);
    line.extend_from_slice(b"\r\n");
    Text::from_slice(&line)
}

/// One less than the request's Max-Forwards; `None` when there is nothing left (RFC 3261 16.3: 483).
pub(crate) fn max_forwards(request: &Message<'_>) -> Option<u32> {
    match request.max_forwards() {
        Ok(Some(left)) => left.checked_sub(1),
        _ => Some(MAX_FORWARDS),
    }
}

/// A From or To value on the other leg: the display name and everything of the URI but an IP address,
/// which names a network and not a person; `host` stands in its place. Header parameters other than
/// the tag pass.
pub(crate) fn party(out: &mut Text, address: &NameAddr<'_>, host: &[u8], tag: Option<&Token>) {
    if !address.display.is_empty() {
        out.extend_from_slice(address.display);
        out.push(b' ');
    }
    out.push(b'<');
    match Uri::parse(address.uri) {
        Ok(uri) if matches!(uri.host, Host::Ip(_)) => with_host(out, address.uri, &uri, host),
        _ => out.extend_from_slice(address.uri),
    }
    out.push(b'>');
    params_but(out, address.params, b"tag");
    if let Some(tag) = tag {
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(&tag.tag_text());
    }
}

/// The URI with another host and port.
fn with_host(out: &mut Text, text: &[u8], uri: &Uri<'_>, host: &[u8]) {
    let scheme = text
        .iter()
        .position(|&byte| byte == b':')
        .map_or(0, |at| at + 1);
    out.extend_from_slice(text.get(..scheme).unwrap_or_default());
    if let Some(userinfo) = userinfo(text, scheme) {
        out.extend_from_slice(userinfo);
    }
    out.extend_from_slice(host);
    out.extend_from_slice(uri.params);
    out.extend_from_slice(uri.headers);
}

/// User and password with their '@'. An '@' inside the user is escaped (RFC 3261 25.1), so the first
/// one ends it.
pub(super) fn userinfo(text: &[u8], scheme: usize) -> Option<&[u8]> {
    let rest = text.get(scheme..)?;
    let at = rest.iter().position(|&byte| byte == b'@')?;
    rest.get(..=at)
}

/// Header parameters but this one.
pub(crate) fn params_but(out: &mut impl Extend<u8>, params: &[u8], name: &[u8]) {
    let others = Params::new(params).filter(|param| !param.name.eq_ignore_ascii_case(name));
    for param in others {
        let (begin, value) = match param.value {
            Some(value) => (b"=".as_slice(), value),
            None => (b"".as_slice(), b"".as_slice()),
        };
        for piece in [b";", param.name, begin, value] {
            out.extend(piece.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party_of(value: &str, host: &str, tag: bool) -> String {
        let address = NameAddr::parse(value.as_bytes()).expect("a good address");
        let token = Token {
            shard: 1,
            slot: 2,
            generation: 3,
            random: 4,
        };
        let mut out = Text::new();
        party(&mut out, &address, host.as_bytes(), tag.then_some(&token));
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn an_address_names_a_network_and_is_replaced_a_name_passes() {
        for (value, expected) in [
            ("<sip:a@10.0.0.1:5070>;tag=x", "<sip:a@gw>"),
            ("<sip:a@[2001:db8::1]>;tag=x", "<sip:a@gw>"),
            ("<sip:10.0.0.1>", "<sip:gw>"),
            ("sip:a@10.0.0.1;tag=x", "<sip:a@gw>"),
            (
                "\"A, <b>\" <sip:a:pw@10.0.0.1;user=phone>;x=\"y;z\";tag=t;q",
                "\"A, <b>\" <sip:a:pw@gw;user=phone>;x=\"y;z\";q",
            ),
            (
                "Anonymous <sip:anonymous@anonymous.invalid>;tag=x",
                "Anonymous <sip:anonymous@anonymous.invalid>",
            ),
            ("<tel:+15551234>;tag=x", "<tel:+15551234>"),
        ] {
            assert_eq!(party_of(value, "gw", false), expected, "{value}");
        }
    }

    #[test]
    fn our_tag_stands_in_the_place_of_the_others() {
        let expected = format!("<sip:a@gw>;tag=tpr01000002{:08x}{:016x}", 3, 4);
        assert_eq!(party_of("<sip:a@1.2.3.4>;tag=secret", "gw", true), expected);
    }

    #[test]
    fn a_reason_is_one_header_line() {
        let reason = Reason::q850(19, "No Answer From User");
        let expected = "Reason: Q.850;cause=19;text=\"No Answer From User\"\r\n";
        assert_eq!(reason.as_bytes(), expected.as_bytes());
        assert_eq!(
            Reason::sip(408, "x").as_bytes(),
            b"Reason: SIP;cause=408;text=\"x\"\r\n"
        );
        assert!(Reason::default().as_bytes().is_empty());
    }
}
