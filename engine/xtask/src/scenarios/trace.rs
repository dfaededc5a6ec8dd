//! sipp's message log, read back as what one agent sent and received.

use crate::sip::Message;
use std::net::SocketAddr;
use std::path::Path;

/// The line sipp draws above every message.
const RULER: &str = "-----------------------------------------------";

/// Everything one agent saw.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Its own address, as it writes it.
    pub(crate) address: Option<SocketAddr>,
    /// What it sent, in order.
    pub(crate) sent: Vec<Message>,
    /// What it received, in order, with the text as it was.
    pub(crate) received: Vec<(Message, String)>,
}

impl Trace {
    /// Reads the log at `path`; an agent without a log saw nothing.
    pub(crate) fn read(path: &Path, address: SocketAddr) -> Trace {
        let text = std::fs::read(path).unwrap_or_default();
        Trace {
            address: Some(address),
            ..Trace::parse(&String::from_utf8_lossy(&text))
        }
    }

    /// Takes the log's text to pieces.
    pub(crate) fn parse(text: &str) -> Trace {
        let mut trace = Trace::default();
        for entry in text.split(RULER).skip(1) {
            // The time, then "UDP message sent (n bytes):" or "UDP message received [n] bytes :".
            let rest = entry.split_once('\n').map_or("", |(_, rest)| rest);
            let (direction, text) = rest.split_once('\n').unwrap_or((rest, ""));
            let Some(message) = Message::parse(text) else {
                continue;
            };
            if direction.contains("message received") {
                trace.received.push((message, text.to_owned()));
            } else if direction.contains("message sent") {
                trace.sent.push(message);
            }
        }
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
----------------------------------------------- 2026-01-01 00:00:00.000001
UDP message sent (9 bytes):

OPTIONS sip:h SIP/2.0
Call-ID: one

----------------------------------------------- 2026-01-01 00:00:00.000002
UDP message received [9] bytes :

SIP/2.0 200 OK
Call-ID: one

body
";

    #[test]
    fn both_directions_are_told_apart() {
        let trace = Trace::parse(LOG);
        assert_eq!(trace.sent.len(), 1);
        assert_eq!(trace.sent[0].request_method(), Some("OPTIONS"));
        assert_eq!(trace.received.len(), 1);
        assert_eq!(trace.received[0].0.code(), Some(200));
        assert!(trace.received[0].1.contains("body"));
    }

    #[test]
    fn an_empty_log_is_an_empty_trace() {
        assert!(Trace::parse("").sent.is_empty());
    }
}
