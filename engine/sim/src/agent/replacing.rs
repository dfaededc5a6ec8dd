//! A caller that takes the place of another one, and the callee who sees it (RFC 3891): the INVITE names the
//! dialog of the replaced caller, and is to reach its callee with the name of the callee's own dialog.

use stack::Time;

use super::Agent;
use super::print::Body;
use crate::heard::Heard;

/// Branches of callees count from nought; whoever replaces another comes after all of them.
const REPLACING: usize = 1_000;

/// What a Replaces header names.
struct Named {
    call_id: String,
    to_tag: String,
    from_tag: String,
}

impl Agent {
    /// How this caller's dialog is named by who replaces it: our tag is the router's remote one.
    pub(crate) fn replaces_line(&self) -> Option<String> {
        let dialog = self.dialogs.first().filter(|dialog| dialog.is_up())?;
        let (id, ours, theirs) = (&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
        Some(format!(
            "Replaces: {id};to-tag={theirs};from-tag={ours}\r\nRequire: replaces\r\n"
        ))
    }

    pub(crate) fn will_replace(&mut self, line: String) {
        self.replaces = line;
    }

    /// An INVITE that replaces a dialog of ours is answered at once, and the dialog ends.
    pub(super) fn is_replaced(&mut self, now: Time, server: usize) -> bool {
        let Some(named) = named(&self.servers[server].request) else {
            return false;
        };
        let dialog = self.dialogs.iter().position(|dialog| {
            let tags = dialog.local_tag == named.to_tag && dialog.remote_tag == named.from_tag;
            dialog.call_id == named.call_id && tags
        });
        let Some(old) = dialog else {
            self.fault(format!(
                "Replaces names {}, which is no dialog",
                named.call_id
            ));
            return false;
        };
        if !self.dialogs[old].is_up() {
            let tag = self.name("tag");
            self.answer(now, server, 481, &tag, "", &Body::NONE);
            return true;
        }
        let branch = REPLACING + self.servers.len();
        let new = self.fork(server, branch);
        self.dialogs[new].confirmed = true;
        self.servers[server].dialog = Some(new);
        let (tag, contact) = (self.dialogs[new].local_tag.clone(), self.contact());
        let body = self.sdp();
        self.answer(now, server, 200, &tag, &contact, &body);
        self.hang_up(now, old);
        true
    }
}

fn named(request: &Heard) -> Option<Named> {
    let head = request.head_text();
    let value = head
        .lines()
        .find_map(|line| line.strip_prefix("Replaces: "))?;
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next()?.to_owned();
    let mut named = Named {
        call_id,
        to_tag: String::new(),
        from_tag: String::new(),
    };
    for part in parts {
        match part.split_once('=') {
            Some(("to-tag", tag)) => tag.clone_into(&mut named.to_tag),
            Some(("from-tag", tag)) => tag.clone_into(&mut named.from_tag),
            _ => {}
        }
    }
    Some(named)
}
