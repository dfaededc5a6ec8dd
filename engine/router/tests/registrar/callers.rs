//! Those who call users of example.com, and what the contacts answer: messages of text over the world of the registrar.

use crate::world::{Sent, World};

/// Where callers are.
pub(crate) const CALLER: &str = "198.51.100.9:5060";

/// A request outside any dialog.
pub(crate) fn request(method: &str, uri: &str, call_id: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK{call_id}\r\n\
         From: <sip:caller@example.net>;tag=c\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:caller@198.51.100.9>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// The answer of a contact to a request that it got.
pub(crate) fn answer(to: &Sent, code: u16, contact: &str) -> String {
    format!(
        "SIP/2.0 {code} Said\r\n{}{}{}To: {};tag=callee\r\n{}{}Contact: <{contact}>\r\n\
         Content-Length: 0\r\n\r\n",
        to.lines("Via"),
        to.lines("Record-Route"),
        to.lines("From"),
        to.value("To"),
        to.lines("Call-ID"),
        to.lines("CSeq"),
    )
}

/// A request of the caller's inside the dialog that this answer has made.
pub(crate) fn inside(method: &str, cseq: u32, answer: &Sent) -> String {
    let mut routes = answer.values("Record-Route");
    routes.reverse();
    let routes: String = routes.iter().map(|it| format!("Route: {it}\r\n")).collect();
    format!(
        "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK{method}{cseq}\r\n\
         {routes}{}{}{}CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        answer.contact(),
        answer.lines("From"),
        answer.lines("To"),
        answer.lines("Call-ID"),
    )
}

impl World {
    /// A call to this URI; what leaves.
    pub(crate) fn called(&mut self, uri: &str, call_id: &str) -> Vec<Sent> {
        let mut sent = self.receive(CALLER, &request("INVITE", uri, call_id));
        sent.retain(|it| it.kind() != "100");
        sent
    }

    /// The code of the only answer to a call.
    #[track_caller]
    pub(crate) fn refused(&mut self, uri: &str, call_id: &str) -> String {
        let sent = self.called(uri, call_id);
        let [answer] = &sent[..] else {
            panic!("{sent:#?}");
        };
        answer.kind().to_owned()
    }

    /// A contact answers.
    pub(crate) fn answered(&mut self, to: &Sent, code: u16) -> Vec<Sent> {
        let from = to.to.to_string();
        self.receive(&from, &answer(to, code, to.uri()))
    }
}

/// Where the requests among these go, and to which URI.
pub(crate) fn asked(sent: &[Sent]) -> Vec<(String, String)> {
    let requests = sent.iter().filter(|it| !it.text.starts_with("SIP/2.0"));
    let place = |it: &Sent| (it.to.to_string(), it.uri().to_owned());
    requests.map(place).collect()
}
