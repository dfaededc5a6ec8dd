//! Globally routable user agent URIs (RFC 5627). A public one is the address-of-record with the instance in `gr`. A
//! temporary one hides both, and needs no table (unlike RFC 5627 A.2): its user part is what it stands for, encrypted and
//! proven with keys that all shards share.
//!
//! It stands for a user and for the Call-ID with which the instance is registered: that is what RFC 5627 5.1 has an
//! instance's temporary GRUUs live and die with. Two rules are not kept to the letter, for want of a table: when an
//! instance with several flows (RFC 5626) registers each with a Call-ID of its own, a GRUU lives as long as the flow it was
//! given with; and a Call-ID that comes back after the instance was gone brings its old GRUUs back.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::{Host, Scheme, Uri, print};

use super::domain_of;
use crate::core::Core;
use crate::location::{Aor, Binding, unescape};
use crate::proofs::ProofKeys;

/// How the user part of a temporary GRUU begins (as in RFC 5627 A.2).
const PREFIX: &[u8] = b"tgruu.";
/// What makes two GRUUs of one user differ.
const SALT_BYTES: usize = 8;
/// What stands for instance and Call-ID.
const PRINT_BYTES: usize = 8;
/// RFC 5627 A.2: 80 bits prove it.
const PROOF_BYTES: usize = 10;
/// User names are filled up to a multiple of this, so that their length tells little.
const PADDING: usize = 16;
/// HMAC-SHA-256 gives so many bytes.
const BLOCK_BYTES: usize = 32;

/// What temporary GRUUs are made with, and what those were made with that still hold: the same on every shard, kept over
/// a restart, known to nobody else.
#[derive(Clone, Debug)]
pub(crate) struct Rings {
    current: GruuKeys,
    previous: Vec<GruuKeys>,
}

impl Rings {
    pub(crate) fn new(keys: &ProofKeys) -> Rings {
        let mut all = keys.for_purpose(b"gruu").into_iter().map(GruuKeys::new);
        Rings {
            current: all.next().unwrap_or_else(|| GruuKeys::new([0, 0])),
            previous: all.collect(),
        }
    }

    /// Those that new ones are made with.
    pub(super) fn current(&self) -> &GruuKeys {
        &self.current
    }

    fn all(&self) -> impl Iterator<Item = &GruuKeys> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// One set of keys.
#[derive(Clone)]
pub(crate) struct GruuKeys {
    seal: [u8; BLOCK_BYTES],
    proof: [u8; BLOCK_BYTES],
    print: [u8; BLOCK_BYTES],
}

/// Keys are never printed.
impl std::fmt::Debug for GruuKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GruuKeys")
    }
}

impl GruuKeys {
    /// Keys that follow from the one all shards share, and from which it does not follow.
    fn new([first, second]: [u64; 2]) -> GruuKeys {
        let shared = [first.to_be_bytes(), second.to_be_bytes()].concat();
        let key = |use_: &[u8]| keyed(&shared, &[b"tipring gruu ", use_]);
        GruuKeys {
            seal: key(b"seal"),
            proof: key(b"proof"),
            print: key(b"print"),
        }
    }

    /// What an instance's registration with this Call-ID is known by.
    fn print(&self, binding: &Binding) -> Option<[u8; PRINT_BYTES]> {
        let instance = binding.instance.as_ref()?;
        let print = keyed(&self.print, &[instance, b"\0", &binding.call_id]);
        print.first_chunk().copied()
    }

    fn proof(&self, domain: &str, sealed: &[u8]) -> [u8; BLOCK_BYTES] {
        keyed(&self.proof, &[domain.as_bytes(), b"\0", sealed])
    }

    /// Encrypts, and decrypts what was encrypted with this salt.
    fn apply_stream(&self, salt: &[u8], bytes: &mut [u8]) {
        for (number, block) in bytes.chunks_mut(BLOCK_BYTES).enumerate() {
            let key = keyed(&self.seal, &[salt, &(number as u64).to_be_bytes()]);
            block
                .iter_mut()
                .zip(key)
                .for_each(|(byte, key)| *byte ^= key);
        }
    }

    /// The user part of a temporary GRUU of this binding; `None`: it has no instance.
    fn seal(&self, aor: &Aor, binding: &Binding, salt: u64) -> Option<Vec<u8>> {
        let mut sealed = self.print(binding)?.to_vec();
        sealed.extend_from_slice(aor.user().as_bytes());
        sealed.resize(sealed.len().next_multiple_of(PADDING), 0);
        let salt = salt.to_be_bytes();
        self.apply_stream(&salt, &mut sealed);
        let mut whole = [&salt[..], &sealed].concat();
        let proof = self.proof(aor.domain(), &whole);
        whole.extend(proof.into_iter().take(PROOF_BYTES));
        let mut user = PREFIX.to_vec();
        whole
            .iter()
            .for_each(|&byte| print::hex(&mut user, byte.into(), 2));
        Some(user)
    }

    /// The user and the instance's print that a temporary GRUU of this domain stands for.
    fn unseal(&self, domain: &str, user: &[u8]) -> Option<(String, [u8; PRINT_BYTES])> {
        let whole = read_hex(user.strip_prefix(PREFIX)?)?;
        let (sealed, proof) = whole.split_at_checked(whole.len().checked_sub(PROOF_BYTES)?)?;
        let mut differences = proof.iter().zip(self.proof(domain, sealed));
        // Every byte is looked at, so that the time tells nothing.
        let differs = differences
            .by_ref()
            .fold(0, |sum, (one, other)| sum | (one ^ other));
        let (salt, hidden) = sealed
            .split_at_checked(SALT_BYTES)
            .filter(|_| differs == 0)?;
        let mut open = hidden.to_vec();
        self.apply_stream(salt, &mut open);
        let (print, user) = open.split_first_chunk::<PRINT_BYTES>()?;
        let end = user
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let user = std::str::from_utf8(user.get(..end)?).ok()?;
        Some((user.to_owned(), *print))
    }
}

/// HMAC-SHA-256 (RFC 2104) of the parts.
fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; BLOCK_BYTES] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // A key of any length will do, so there is no other case.
        return [0; BLOCK_BYTES];
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn read_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digit = |at: u8| {
            char::from(at)
                .to_digit(16)
                .filter(|_| !at.is_ascii_uppercase())
        };
        let [high, low] = *pair;
        Some((digit(high)? << 4 | digit(low)?) as u8)
    };
    pairs.iter().map(byte).collect()
}

/// What a URI of a local domain leads to.
#[derive(Debug, PartialEq)]
pub(crate) enum Resolved<'t> {
    /// It is no GRUU: an address-of-record or a stranger.
    NoGruu,
    /// It is, or was, no GRUU of ours: 404 (RFC 5627 5.1).
    Invalid,
    /// The bindings of its instance, none of them expired; 480 when there are none (RFC 5627 5.3).
    At(Vec<&'t Binding>),
}

/// The bindings that a GRUU stands for.
pub(crate) fn resolve<'t>(core: &'t Core, now: stack::Time, uri: &Uri<'_>) -> Resolved<'t> {
    if domain_of(core, uri).is_none() {
        return Resolved::NoGruu;
    }
    let wanted: Box<dyn Fn(&Binding) -> bool> = match (read_temporary(core, uri), uri.param("gr")) {
        (Some((_, print, keys)), _) => Box::new(move |binding| keys.print(binding) == Some(print)),
        (None, Some(instance)) if !instance.is_empty() => {
            let instance = unescape(instance).map(String::into_bytes);
            Box::new(move |binding| binding.instance.as_deref() == instance.as_deref())
        }
        (None, _) if is_temporary(uri) => return Resolved::Invalid,
        (None, _) => return Resolved::NoGruu,
    };
    let Some(aor) = user_of(core, uri) else {
        return Resolved::Invalid;
    };
    let known = core.directory.domain(aor.domain());
    if known.is_none_or(|domain| domain.credentials(aor.user()).is_none()) {
        return Resolved::Invalid;
    }
    let bindings = core
        .location
        .of(aor.as_str())
        .map(|registration| &registration.bindings);
    let alive = bindings
        .into_iter()
        .flatten()
        .filter(|binding| binding.expires > now);
    let first = alive.clone().find(|binding| wanted(binding));
    match first {
        None if is_temporary(uri) => Resolved::Invalid,
        None => Resolved::At(Vec::new()),
        // RFC 5627 5.4: all contacts of the instance.
        Some(first) => Resolved::At(alive.filter(|it| it.instance == first.instance).collect()),
    }
}

/// The address-of-record a URI of a local domain stands for, be it a GRUU or not.
pub(crate) fn user_of(core: &Core, uri: &Uri<'_>) -> Option<Aor> {
    let domain = domain_of(core, uri)?;
    match read_temporary(core, uri) {
        Some((user, ..)) => Aor::new(&user, &domain.name),
        None if is_temporary(uri) => None,
        None => Aor::new(Aor::of(uri)?.user(), &domain.name),
    }
}

fn is_temporary(uri: &Uri<'_>) -> bool {
    uri.user.starts_with(PREFIX) && uri.param("gr").is_some()
}

/// The user, what stands for instance and Call-ID, and the keys that say so.
fn read_temporary<'c>(
    core: &'c Core,
    uri: &Uri<'_>,
) -> Option<(String, [u8; PRINT_BYTES], &'c GruuKeys)> {
    let domain = domain_of(core, uri).filter(|_| is_temporary(uri))?;
    core.registrar.keys.all().find_map(|keys| {
        let (user, print) = keys.unseal(&domain.name, uri.user)?;
        Some((user, print, keys))
    })
}

/// `;pub-gruu="...";temp-gruu="..."` of a binding with an instance (RFC 5627 5.2). Each answer has a new temporary one; all
/// of them are valid.
pub(super) fn print(out: &mut Vec<u8>, keys: &GruuKeys, aor: &Aor, binding: &Binding, salt: u64) {
    let before = out.len();
    out.extend_from_slice(b";pub-gruu=\"");
    if !print_public(out, aor, binding) {
        return out.truncate(before);
    }
    out.push(b'"');
    if let Some(user) = keys.seal(aor, binding, salt) {
        out.extend_from_slice(b";temp-gruu=\"sip:");
        out.extend_from_slice(&user);
        print_host(out, aor.domain());
        out.extend_from_slice(b";gr\"");
    }
}

/// The public GRUU of a binding; false: it has none.
pub(crate) fn print_public(out: &mut Vec<u8>, aor: &Aor, binding: &Binding) -> bool {
    let is_sip = Uri::parse(&binding.contact)
        .is_ok_and(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips));
    let (Some(instance), true) = (&binding.instance, is_sip) else {
        return false;
    };
    out.extend_from_slice(b"sip:");
    escape(out, aor.user().as_bytes(), is_plain_in_user);
    print_host(out, aor.domain());
    out.extend_from_slice(b";gr=");
    escape(out, instance, is_plain_in_parameter);
    true
}

/// A domain that is an IPv6 address needs brackets.
fn print_host(out: &mut Vec<u8>, domain: &str) {
    out.push(b'@');
    match Host::parse(domain.as_bytes()) {
        Some(Host::Ip(ip)) if ip.is_ipv6() => out.extend_from_slice(format!("[{ip}]").as_bytes()),
        _ => out.extend_from_slice(domain.as_bytes()),
    }
}

/// RFC 3261 25.1: unreserved and user-unreserved.
fn is_plain_in_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

/// RFC 3261 25.1: unreserved and param-unreserved.
fn is_plain_in_parameter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte)
}

fn escape(out: &mut Vec<u8>, text: &[u8], is_plain: impl Fn(u8) -> bool) {
    for &byte in text {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend_from_slice(format!("{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::{Flow, Time};

    fn aor(user: &str) -> Aor {
        Aor::new(user, "example.com").expect("an address-of-record")
    }

    fn binding(instance: &str, call_id: &str) -> Binding {
        let text = |text: &str| text.as_bytes().into();
        Binding {
            contact: text("sip:a@192.0.2.7"),
            parameters: text(""),
            q: 1000,
            instance: Some(text(instance)),
            reg_id: None,
            call_id: text(call_id),
            cseq: 1,
            path: text(""),
            source: Flow {
                listener: 0,
                remote: "192.0.2.7:5060".parse().expect("an address"),
            },
            at_source: false,
            user_agent: text(""),
            registered: Time::ZERO,
            expires: Time::ZERO,
            unanswered: 0,
            unreachable: false,
        }
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_keys_in_the_same_domain_alone() {
        let keys = GruuKeys::new([7, 7]);
        for user in [
            "a",
            "alice",
            "a-name-that-is-longer-than-one-block-of-the-stream",
            "\u{e9}",
        ] {
            let binding = binding("urn:uuid:1", "call");
            let sealed = keys.seal(&aor(user), &binding, 5).expect("an instance");
            let print = keys.print(&binding).expect("an instance");
            assert_eq!(
                keys.unseal("example.com", &sealed),
                Some((user.to_owned(), print))
            );
            assert_eq!(keys.unseal("example.org", &sealed), None);
            assert_eq!(GruuKeys::new([7, 8]).unseal("example.com", &sealed), None);
            for at in 0..sealed.len() {
                let mut forged = sealed.clone();
                forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(keys.unseal("example.com", &forged), None, "{at}");
            }
        }
    }

    #[test]
    fn two_of_one_user_have_nothing_in_common() {
        let keys = GruuKeys::new([7, 7]);
        let binding = binding("urn:uuid:1", "call");
        let seal = |user: &str, salt| keys.seal(&aor(user), &binding, salt).expect("an instance");
        let (one, other) = (seal("alice", 1), seal("alice", 2));
        let behind_salt = |sealed: &[u8]| sealed[PREFIX.len() + 2 * SALT_BYTES..].to_vec();
        let (one, other) = (behind_salt(&one), behind_salt(&other));
        let alike = one
            .iter()
            .zip(&other)
            .filter(|(one, other)| one == other)
            .count();
        assert!(alike < one.len() / 3, "{alike} of {}", one.len());
        assert_eq!(seal("alice", 1).len(), seal("bob", 1).len());
    }

    #[test]
    fn the_print_is_that_of_instance_and_call_id() {
        let keys = GruuKeys::new([7, 7]);
        let print = |instance, call_id| keys.print(&binding(instance, call_id));
        assert_eq!(print("urn:1", "call"), print("urn:1", "call"));
        assert_ne!(print("urn:1", "call"), print("urn:2", "call"));
        assert_ne!(print("urn:1", "call"), print("urn:1", "call-2"));
    }

    #[test]
    fn names_and_instances_are_escaped_as_uris_ask() {
        let mut out = Vec::new();
        let binding = binding("urn:x;y=\u{7e}z", "call");
        print(&mut out, &GruuKeys::new([7, 7]), &aor("a@b"), &binding, 1);
        let text = String::from_utf8(out).expect("ASCII");
        let public = ";pub-gruu=\"sip:a%40b@example.com;gr=urn:x%3By%3D~z\"";
        assert!(text.starts_with(public), "{text}");
    }

    const LONG: Time = Time::from_nanos(3_600_000_000_000);

    /// A registrar of example.com with the user alice.
    fn core() -> Core {
        let alice = crate::Credentials::of("alice", "example.com", "secret");
        let mut directory = crate::Directory::default();
        directory.put_domain(crate::Domain::new("example.com", None, [("alice", alice)]));
        let table = crate::rdb::Table::parse("[]").expect("a good table");
        let listener = crate::Listener {
            address: "192.0.2.1:5060".parse().expect("an address"),
            advertise_host: "192.0.2.1".to_owned(),
            advertise_port: 5060,
        };
        let mut config = crate::Config::new(vec![listener], table.into());
        config.directory = directory.into();
        config.registrar = Some(std::sync::Arc::default());
        Core::new(config, Time::ZERO)
    }

    /// Registers for alice, as if she had proven it; the GRUUs of the first contact in the answer.
    fn registered(core: &mut Core, call_id: &str, contact: &str) -> [String; 2] {
        let mut out = stack::Outbox::new();
        let branch = core.random.next_u64();
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch}\r\n\
             From: <sip:alice@example.com>;tag={branch}\r\nTo: <sip:alice@example.com>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 REGISTER\r\nSupported: gruu\r\nContact: {contact}\r\n\r\n"
        );
        let mut index = wire::Index::new();
        let limits = wire::Limits::default();
        let request =
            wire::Message::parse(text.as_bytes(), &mut index, &limits).expect("a request");
        let source = binding("", "").source;
        let (transactions, now) = (&mut core.transactions, Time::ZERO);
        let inbound = transactions.receive_request(now, &request, source, &mut out);
        let stack::Inbound::New(server) = inbound else {
            panic!("{inbound:?}");
        };
        let aor = super::super::read_user(core, &request)
            .map_err(|it| it.code)
            .expect("a user");
        let read = super::super::read(core, now, source, &request, aor);
        let (update, waiting) = read.map_err(|it| it.code).expect("contacts");
        core.registrar.waiting.insert(server, waiting);
        crate::location::entrance::ask(core, now, server, update);
        super::super::answer_outcomes(core, now, &mut out);
        let (_, answer) = out.iter().next().expect("an answer");
        let answer = String::from_utf8(answer.to_vec()).expect("text");
        ["pub-gruu=\"", "temp-gruu=\""].map(|name| {
            let rest = answer.split_once(name).map_or("", |(_, rest)| rest);
            rest.split('"').next().unwrap_or_default().to_owned()
        })
    }

    /// The contacts a URI leads to, or the code for there is none.
    fn resolved(core: &Core, now: Time, uri: &str) -> Result<Vec<String>, u16> {
        let uri = Uri::parse(uri.as_bytes()).expect("a URI");
        let contact = |it: &&Binding| String::from_utf8(it.contact.to_vec()).expect("text");
        match resolve(core, now, &uri) {
            Resolved::NoGruu => Err(0),
            Resolved::Invalid => Err(404),
            Resolved::At(bindings) => Ok(bindings.iter().map(contact).collect()),
        }
    }

    const PHONE: &str = "<sip:a@192.0.2.7>;+sip.instance=\"<urn:uuid:1>\"";

    #[test]
    fn both_kinds_lead_to_the_instance_as_long_as_it_is_registered() {
        let mut core = core();
        let [public, temporary] = registered(&mut core, "1", PHONE);
        registered(
            &mut core,
            "2",
            "<sip:b@192.0.2.8>;+sip.instance=\"<urn:uuid:2>\"",
        );
        let phone = Ok(vec!["sip:a@192.0.2.7".to_owned()]);
        for gruu in [&public, &temporary] {
            assert_eq!(resolved(&core, Time::ZERO, gruu), phone, "{gruu}");
        }
        // RFC 5627 5.3: a public one stays, for nobody at the moment; a temporary one is gone.
        assert_eq!(resolved(&core, LONG, &public), Ok(Vec::new()));
        assert_eq!(resolved(&core, LONG, &temporary), Err(404));
        assert_eq!(resolved(&core, Time::ZERO, "sip:alice@example.com"), Err(0));
        assert_eq!(
            resolved(&core, Time::ZERO, "sip:alice@example.net;gr=urn:uuid:1"),
            Err(0)
        );
        assert_eq!(
            resolved(&core, Time::ZERO, "sip:bob@example.com;gr=urn:uuid:1"),
            Err(404)
        );
        assert_eq!(
            resolved(&core, Time::ZERO, "sip:tgruu.00@example.com;gr"),
            Err(404)
        );
    }

    #[test]
    fn another_call_id_of_the_instance_ends_its_temporary_ones() {
        let mut core = core();
        let [public, old] = registered(&mut core, "1", PHONE);
        let [_, new] = registered(&mut core, "2", PHONE);
        assert_eq!(resolved(&core, Time::ZERO, &old), Err(404));
        for gruu in [&public, &new] {
            assert_eq!(
                resolved(&core, Time::ZERO, gruu).map(|it| it.len()),
                Ok(1),
                "{gruu}"
            );
        }
    }

    #[test]
    fn every_flow_of_the_instance_is_meant() {
        let mut core = core();
        let flow = |host: u8, id: u8| {
            format!("<sip:a@192.0.2.{host}>;+sip.instance=\"<urn:uuid:1>\";reg-id={id}")
        };
        let [_, temporary] = registered(&mut core, "1", &flow(7, 1));
        registered(&mut core, "2", &flow(8, 2));
        assert_eq!(
            resolved(&core, Time::ZERO, &temporary).map(|it| it.len()),
            Ok(2)
        );
    }
}
