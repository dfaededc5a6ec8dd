//! The dialog that a request names: in Replaces (RFC 3891), Join (RFC 3911) or Target-Dialog (RFC 4538),
//! or by our Contact in its Request-URI.
//!
//! What names a dialog proves that its sender knows it, so a third party that is to name it, because it was
//! sent a REFER, must be told something. It is not told the Call-ID and tag of the one who referred it,
//! which nobody on another leg may see, but a text in their place: our own token, and a proof that only the
//! router can make, from the Call-ID and tag it stands for.

use stack::Token;
use wire::{HeaderName, Message, Params, print};

use crate::proofs::{Proof, read_hash};

/// How a request is related to the dialog it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It takes the dialog's place.
    Replaces,
    /// It joins it.
    Join,
    /// It shows that its sender knows it.
    TargetDialog,
    /// It is for whoever is at its other end: the Request-URI is our Contact in it.
    Contact,
}

impl Relation {
    /// Those that a header states.
    pub(super) const STATED: [Relation; 3] =
        [Relation::Replaces, Relation::Join, Relation::TargetDialog];

    pub(super) fn header(self) -> HeaderName {
        match self {
            Relation::Replaces => HeaderName::Replaces,
            Relation::Join => HeaderName::Join,
            Relation::TargetDialog => HeaderName::TargetDialog,
            Relation::Contact => HeaderName::Other,
        }
    }

    /// The parameters with the tags of the one the request is for, and of the other: as in a request that
    /// it receives in the dialog.
    fn tags(self) -> (&'static str, &'static str) {
        match self {
            Relation::TargetDialog => ("local-tag", "remote-tag"),
            _ => ("to-tag", "from-tag"),
        }
    }

    /// RFC 4538 4: a Target-Dialog that names none is as if it were not there. A Request-URI goes by the
    /// routing DB then.
    pub(crate) fn may_be_ignored(self) -> bool {
        matches!(self, Relation::TargetDialog | Relation::Contact)
    }
}

/// A dialog of ours, as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) relation: Relation,
    /// Our tag in it.
    pub(crate) token: Token,
    call_id: Vec<u8>,
    /// The tag of the one we have it with, or the proof in its place.
    remote_tag: Vec<u8>,
    /// RFC 3891 3: only while it is early.
    pub(crate) early_only: bool,
}

/// Why a value names no dialog of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// A tag is missing, given twice, or unreadable.
    Malformed,
    /// Its tag is none of ours.
    Foreign,
}

/// How the proof begins that stands in the place of a tag.
const PROOF: &[u8] = b"tprp-";

impl Named {
    /// The dialog that a request outside dialogs names, if any.
    ///
    /// # Errors
    /// The code to refuse it with: 400 (RFC 3891 3, RFC 3911 4) or 481.
    pub(crate) fn in_request(request: &Message<'_>) -> Result<Option<Named>, u16> {
        let mut stated = [Relation::Replaces, Relation::Join]
            .into_iter()
            .flat_map(|relation| {
                request
                    .lines(relation.header())
                    .map(move |it| (relation, it))
            });
        if let Some((relation, header)) = stated.next() {
            if stated.next().is_some() {
                return Err(400);
            }
            return match Named::parse(relation, header.value) {
                Ok(named) => Ok(Some(named)),
                Err(Unnamed::Malformed) => Err(400),
                Err(Unnamed::Foreign) => Err(481),
            };
        }
        let target = request.header(HeaderName::TargetDialog);
        let target = target.and_then(|value| Named::parse(Relation::TargetDialog, value).ok());
        Ok(target.or_else(|| Named::of_contact(request.request_uri())))
    }

    /// Whether a request that is no INVITE has a header that only an INVITE may have.
    pub(crate) fn is_misplaced(request: &Message<'_>) -> bool {
        [HeaderName::Replaces, HeaderName::Join]
            .into_iter()
            .any(|name| request.header(name).is_some())
    }

    /// Reads the value of a header of this relation.
    pub(super) fn parse(relation: Relation, value: &[u8]) -> Result<Named, Unnamed> {
        let end = value.iter().position(|&byte| byte == b';');
        let (call_id, params) = value
            .split_at_checked(end.unwrap_or(value.len()))
            .ok_or(Unnamed::Malformed)?;
        let call_id = call_id.trim_ascii();
        // RFC 3261 25.1: a callid has neither blanks nor commas; two values on one line have one.
        let whole = |byte: &u8| !byte.is_ascii_whitespace() && *byte != b',';
        if call_id.is_empty() || !call_id.iter().all(whole) || !Params::new(params).well_formed() {
            return Err(Unnamed::Malformed);
        }
        let (local, remote) = relation.tags();
        let (local, remote) = (only(params, local)?, only(params, remote)?);
        Ok(Named {
            relation,
            token: Token::parse_tag(local).ok_or(Unnamed::Foreign)?,
            call_id: call_id.to_vec(),
            remote_tag: remote.to_vec(),
            early_only: Params::new(params).get("early-only").is_some(),
        })
    }

    /// The dialog whose Contact of ours this URI is.
    fn of_contact(uri: &[u8]) -> Option<Named> {
        let (scheme, rest) = uri.split_at_checked(4)?;
        let (user, rest) = rest.split_at_checked(Token::TAG_BYTES)?;
        if !scheme.eq_ignore_ascii_case(b"sip:") || rest.first() != Some(&b'@') {
            return None;
        }
        Some(Named {
            relation: Relation::Contact,
            token: Token::parse_tag(user)?,
            call_id: Vec::new(),
            remote_tag: Vec::new(),
            early_only: false,
        })
    }

    /// Whether it names the dialog with this Call-ID and tag of the one we have it with. Our own tag in it
    /// has been compared.
    pub(crate) fn names(&self, proof: &Proof, call_id: &[u8], remote_tag: &[u8]) -> bool {
        if self.relation == Relation::Contact {
            return true;
        }
        if self.is_shielded() {
            let shown = self.remote_tag.get(PROOF.len()..).and_then(read_hash);
            return shown.is_some_and(|shown| proof.holds(&proven(call_id, remote_tag), shown));
        }
        // RFC 3891 6.1: a tag of zero is also none.
        let tags = (self.remote_tag.as_slice(), remote_tag);
        self.call_id == call_id && (tags.0 == tags.1 || tags == (b"0", b""))
    }

    /// Whether a proof stands for what it names.
    fn is_shielded(&self) -> bool {
        let mut own = Vec::new();
        self.token.print_call_id(&mut own);
        self.call_id == own && self.remote_tag.starts_with(PROOF)
    }

    /// The header value that a third party may see and use in the place of this one.
    pub(super) fn print_shielded(&self, proof: &Proof, out: &mut Vec<u8>) {
        self.token.print_call_id(out);
        let (local, remote) = self.relation.tags();
        let shown = match self.is_shielded() {
            true => self.remote_tag.clone(),
            false => {
                let mut shown = PROOF.to_vec();
                let text = proven(&self.call_id, &self.remote_tag);
                print::hex(&mut shown, proof.of(&text), 16);
                shown
            }
        };
        print_tags(out, (local, &self.token.tag_text()), (remote, &shown));
        if self.early_only {
            out.extend_from_slice(b";early-only");
        }
    }

    /// The header line that names a dialog in the same relation to another party: its Call-ID, that party's
    /// tag and ours.
    pub(crate) fn line(&self, call_id: &[u8], party: &[u8], ours: &[u8]) -> Vec<u8> {
        let mut value = call_id.to_vec();
        let (local, remote) = self.relation.tags();
        print_tags(&mut value, (local, party), (remote, ours));
        if self.early_only {
            value.extend_from_slice(b";early-only");
        }
        let mut line = Vec::new();
        if self.relation != Relation::Contact {
            print::header(&mut line, self.relation.header().as_str(), &value);
        }
        line
    }
}

fn print_tags(out: &mut Vec<u8>, local: (&str, &[u8]), remote: (&str, &[u8])) {
    for (name, tag) in [local, remote] {
        out.push(b';');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        // RFC 3891 6.1: no tag is written as zero.
        out.extend_from_slice(if tag.is_empty() { b"0" } else { tag });
    }
}

/// The value of a parameter that must be there once.
fn only<'a>(params: &'a [u8], name: &str) -> Result<&'a [u8], Unnamed> {
    let mut found = Params::new(params).filter(|it| it.name.eq_ignore_ascii_case(name.as_bytes()));
    let value = found.next().and_then(|param| param.value);
    match (value, found.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(Unnamed::Malformed),
    }
}

/// A Call-ID and a tag as one text that no other two are.
fn proven(call_id: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(8 + call_id.len() + tag.len());
    text.extend_from_slice(&(call_id.len() as u64).to_le_bytes());
    text.extend_from_slice(call_id);
    text.extend_from_slice(tag);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proofs::{ProofKeys, Proofs};

    const TOKEN: Token = Token {
        shard: 1,
        slot: 2,
        generation: 3,
        random: 4,
    };

    fn tag() -> String {
        String::from_utf8(TOKEN.tag_text().to_vec()).expect("ASCII")
    }

    fn proof(key: u64) -> Proof {
        Proofs::new(&ProofKeys::new([key, key], [])).dialog
    }

    fn replaces(value: &str) -> Result<Named, Unnamed> {
        Named::parse(Relation::Replaces, value.as_bytes())
    }

    #[test]
    fn both_tags_once_and_ours_a_token() {
        let tag = tag();
        let good = format!("98732@h ; from-tag=r3 ;to-tag={tag};early-only;x=y");
        let named = replaces(&good).expect("a good value");
        assert_eq!((named.token, named.early_only), (TOKEN, true));
        assert!(named.names(&proof(7), b"98732@h", b"r3"));
        assert!(
            !named.names(&proof(7), b"98732@i", b"r3")
                && !named.names(&proof(7), b"98732@h", b"r4")
        );
        for (bad, why) in [
            (format!("c;to-tag={tag}"), Unnamed::Malformed),
            (
                format!("c;from-tag=a;to-tag={tag};from-tag=b"),
                Unnamed::Malformed,
            ),
            (format!(";from-tag=a;to-tag={tag}"), Unnamed::Malformed),
            (
                format!("c;from-tag=a;to-tag={tag}, d;from-tag=a"),
                Unnamed::Malformed,
            ),
            (format!("c d;from-tag=a;to-tag={tag}"), Unnamed::Malformed),
            ("c;from-tag=a;to-tag=b".to_owned(), Unnamed::Foreign),
        ] {
            assert_eq!(replaces(&bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_shield_hides_the_dialog_and_names_it_still() {
        let named = replaces(&format!("secret@a;to-tag={};from-tag=hidden", tag())).expect("good");
        let mut shown = Vec::new();
        named.print_shielded(&proof(7), &mut shown);
        let text = String::from_utf8(shown).expect("ASCII");
        assert!(
            !text.contains("secret") && !text.contains("hidden"),
            "{text}"
        );
        let again = replaces(&text).expect("a good value");
        assert!(again.names(&proof(7), b"secret@a", b"hidden"));
        assert!(
            !again.names(&proof(7), b"secret@a", b"other")
                && !again.names(&proof(8), b"secret@a", b"hidden")
        );
        let mut twice = Vec::new();
        again.print_shielded(&proof(7), &mut twice);
        assert_eq!(twice, text.as_bytes(), "referred to a fourth party");
    }

    #[test]
    fn a_tag_of_zero_is_none() {
        let named = replaces(&format!("c;to-tag={};from-tag=0", tag())).expect("good");
        assert!(named.names(&proof(7), b"c", b"") && named.names(&proof(7), b"c", b"0"));
        assert_eq!(
            named.line(b"d", b"", b"x"),
            b"Replaces: d;to-tag=0;from-tag=x\r\n"
        );
    }

    #[test]
    fn our_contact_names_a_dialog() {
        let (tag, named) = (tag(), |uri: &str| Named::of_contact(uri.as_bytes()));
        assert_eq!(
            named(&format!("SIP:{tag}@h:5060;x")).map(|it| it.token),
            Some(TOKEN)
        );
        for uri in [
            format!("sip:{tag}0@h"),
            format!("sip:x{tag}@h"),
            "sip:7@h".to_owned(),
        ] {
            assert_eq!(named(&uri), None, "{uri}");
        }
    }
}
