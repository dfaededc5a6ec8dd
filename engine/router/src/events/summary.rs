//! What waits for a user, and how it is told (RFC 3842). Who counts the messages is the control side's business.

use crate::location::Aor;

/// What waits in the mailbox of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageWaiting {
    /// Whether there is something new: the lamp is lit.
    pub waiting: bool,
    /// Voice messages; `None`: they are not counted.
    pub voice: Option<MessageCounts>,
    /// Fax messages; `None`: they are not counted.
    pub fax: Option<MessageCounts>,
}

/// How many messages of one kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Not heard or read.
    pub new: u32,
    /// The others.
    pub old: u32,
}

/// Prints the summary (RFC 3842 5.2).
pub(super) fn print(out: &mut Vec<u8>, aor: &Aor, waiting: &MessageWaiting) {
    let lamp = if waiting.waiting { "yes" } else { "no" };
    let account = format!("Messages-Waiting: {lamp}\r\nMessage-Account: sip:{aor}\r\n");
    out.extend_from_slice(account.as_bytes());
    for (kind, messages) in [("Voice", waiting.voice), ("Fax", waiting.fax)] {
        if let Some(MessageCounts { new, old }) = messages {
            out.extend_from_slice(format!("{kind}-Message: {new}/{old}\r\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_counted_is_told() {
        let aor = Aor::new("alice", "example.com").expect("an AOR");
        let text = |waiting: &MessageWaiting| {
            let mut out = Vec::new();
            print(&mut out, &aor, waiting);
            String::from_utf8(out).expect("UTF-8")
        };
        let account = "Message-Account: sip:alice@example.com\r\n";
        assert_eq!(
            text(&MessageWaiting::default()),
            format!("Messages-Waiting: no\r\n{account}")
        );
        let some = MessageWaiting {
            waiting: true,
            voice: Some(MessageCounts { new: 2, old: 8 }),
            fax: Some(MessageCounts { new: 0, old: 1 }),
        };
        let counts = "Voice-Message: 2/8\r\nFax-Message: 0/1\r\n";
        assert_eq!(
            text(&some),
            format!("Messages-Waiting: yes\r\n{account}{counts}")
        );
    }
}
