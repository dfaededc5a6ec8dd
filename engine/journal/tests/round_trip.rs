//! What is written is read again, whatever it is; and what is cut or bent is found out.

use std::net::SocketAddr;
use std::sync::Arc;

use journal::{
    Clocks, Damage, DirectoryChange, DirectoryFrames, Header, HeaderError, Replay, Segment, Sort,
    append_end, append_mark, append_registration, recorded,
};
use proptest::collection::vec;
use proptest::prelude::*;
use router::{Aor, Binding, Credentials, Directory, Domain, Registration};
use stack::{Flow, Time};

const NOW_MS: u64 = 1_800_000_000_000;

/// An hour after the engine's start.
fn now() -> Clocks {
    Clocks {
        engine: Time::from_nanos(3_600_000_000_000),
        unix_ms: NOW_MS,
    }
}

fn listeners() -> Vec<SocketAddr> {
    vec![
        "192.0.2.1:5060".parse().unwrap(),
        "[::1]:5060".parse().unwrap(),
    ]
}

fn begin(number: u64, sort: Sort) -> Vec<u8> {
    let mut out = Vec::new();
    Header {
        sort,
        number,
        begun_ms: NOW_MS,
        before: None,
        listeners: listeners(),
    }
    .append(&mut out);
    out
}

fn bytes() -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..200).prop_map(Into::into)
}

/// Times are whole milliseconds, as they come out of the file.
fn time(seconds: std::ops::Range<u64>) -> impl Strategy<Value = Time> {
    (seconds, 0..1_000_u64).prop_map(|(s, ms)| Time::from_nanos((s * 1_000 + ms) * 1_000_000))
}

fn flow() -> impl Strategy<Value = Flow> {
    let remote = prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
    ];
    (0..2_u16, remote).prop_map(|(listener, remote)| Flow { listener, remote })
}

prop_compose! {
    fn binding()(
        (contact, parameters, call_id, path, user_agent) in (bytes(), bytes(), bytes(), bytes(), bytes()),
        instance in proptest::option::of(bytes()),
        reg_id in proptest::option::of(any::<u32>()),
        (q, cseq, unanswered) in (0..=1_000_u16, any::<u32>(), any::<u8>()),
        (at_source, unreachable) in (any::<bool>(), any::<bool>()),
        source in flow(),
        registered in time(0..3_600),
        expires in time(3_601..90_000),
    ) -> Binding {
        Binding {
            contact, parameters, q, instance, reg_id, call_id, cseq, path, source, at_source,
            user_agent, registered, expires, unanswered, unreachable,
        }
    }
}

fn registration() -> impl Strategy<Value = Registration> {
    let aor = ("[a-zA-Z0-9@.%é]{0,20}", "[a-z0-9.]{1,20}");
    let aor = aor.prop_map(|(user, domain)| Aor::new(&user, &domain).expect("an AOR"));
    (aor, any::<u64>(), vec(binding(), 1..5)).prop_map(|(aor, version, bindings)| Registration {
        aor,
        version,
        bindings: bindings.into(),
    })
}

fn append(out: &mut Vec<u8>, registration: &Registration) {
    assert!(append_registration(out, registration, &now()));
}

fn revived(replay: &Replay<'_>, now: Clocks) -> Vec<Arc<Registration>> {
    let table = replay.listeners(&listeners());
    let all = replay.latest();
    let all = all
        .iter()
        .map(|one| one.revive(now, &table).expect("sense"));
    let mut all: Vec<_> = all.filter_map(|one| one.registration).collect();
    all.sort_by(|a, b| a.aor.cmp(&b.aor));
    all
}

proptest! {
    #[test]
    fn registrations_come_back(wanted in vec(registration(), 0..20)) {
        let mut log = begin(1, Sort::Log);
        wanted.iter().for_each(|one| append(&mut log, one));
        let mut replay = Replay::default();
        let segment = replay.read(&log).expect("a log");
        prop_assert_eq!(segment.damage, None);
        prop_assert_eq!(segment.counts.registrations, wanted.len() as u64);
        let mut last = std::collections::BTreeMap::new();
        wanted.into_iter().for_each(|one| { last.insert(one.aor.clone(), one); });
        let found = revived(&replay, now());
        let found: Vec<_> = found.iter().map(|one| (**one).clone()).collect();
        prop_assert_eq!(found, last.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_a_replay_panic(mut noise in vec(any::<u8>(), 0..400), bend in any::<(u16, u8)>()) {
        let mut log = begin(1, Sort::Log);
        log.extend_from_slice(&noise);
        let _ = Replay::default().read(&log);
        let _ = Replay::default().read(&noise);
        let _ = (recorded(&noise), journal::users(&noise), journal::domain(&noise));
        let at = usize::from(bend.0) % noise.len().max(1);
        if let Some(byte) = noise.get_mut(at) { *byte = bend.1; }
        let _ = recorded(&noise);
    }

    #[test]
    fn domains_come_back(users in vec(("[a-z0-9]{1,12}", any::<u8>()), 0..2_000), control in proptest::option::of("[a-z:/]{1,20}")) {
        let users: Vec<_> = users.iter().map(|(name, byte)| (name.as_str(), credentials(*byte))).collect();
        let domain = Arc::new(Domain::new("example.com", control.as_deref(), users));
        let mut log = begin(1, Sort::Log);
        write(&mut log, DirectoryChange::Domain(Arc::clone(&domain)));
        let mut wanted = Directory::default();
        wanted.put_domain((*domain).clone());
        prop_assert_eq!(directory(&log), wanted);
    }
}

fn credentials(byte: u8) -> Credentials {
    Credentials {
        md5: [byte; 16],
        sha256: [byte; 32],
        sha512_256: [byte; 32],
    }
}

/// In small pieces, as a busy journal writes it.
fn write(out: &mut Vec<u8>, change: DirectoryChange) {
    let mut frames = DirectoryFrames::new(change);
    let mut until = out.len() + 1;
    while !frames.append(out, until) {
        until = out.len() + 1;
    }
}

fn directory(log: &[u8]) -> Directory {
    let mut replay = Replay::default();
    let segment = replay.read(log).expect("a log");
    assert_eq!(segment.counts.senseless, 0);
    replay.directory()
}

fn bound(user: &str, version: u64, expires_s: u64) -> Registration {
    let binding = Binding {
        contact: b"sip:a@192.0.2.9".as_slice().into(),
        parameters: Box::default(),
        q: 1_000,
        instance: None,
        reg_id: None,
        call_id: b"c".as_slice().into(),
        cseq: 1,
        path: Box::default(),
        source: Flow {
            listener: 0,
            remote: ([192, 0, 2, 9], 5060).into(),
        },
        at_source: false,
        user_agent: Box::default(),
        registered: now().engine,
        expires: now().engine + std::time::Duration::from_secs(expires_s),
        unanswered: 0,
        unreachable: false,
    };
    Registration {
        aor: Aor::new(user, "a").expect("an AOR"),
        version,
        bindings: Box::new([binding]),
    }
}

fn read<'a>(replay: &mut Replay<'a>, bytes: &'a [u8]) -> Segment {
    replay.read(bytes).expect("a segment")
}

#[test]
fn users_come_and_go() {
    let mut domain = Directory::default();
    domain.put_domain(Domain::new(
        "a",
        None,
        [("x", credentials(1)), ("y", credentials(2))],
    ));
    let mut log = begin(1, Sort::Log);
    let of = |directory: &Directory| Arc::clone(directory.domain("a").expect("a domain"));
    write(&mut log, DirectoryChange::Domain(of(&domain)));
    domain.put_user("a", "x", credentials(3));
    domain.put_user("a", "z", credentials(4));
    domain.remove_user("a", "y");
    let names = ["x", "y", "z"].map(Into::into).to_vec();
    write(
        &mut log,
        DirectoryChange::Users {
            domain: of(&domain),
            names,
        },
    );
    assert_eq!(directory(&log), domain);
    write(&mut log, DirectoryChange::Removed("a".into()));
    assert!(directory(&log).is_empty());
}

#[test]
fn a_domain_without_its_end_does_not_count() {
    let old = Arc::new(Domain::new("a", None, [("x", credentials(1))]));
    let users: Vec<String> = (0..1_000).map(|n| format!("u{n}")).collect();
    let users = users.iter().map(|name| (name.as_str(), credentials(2)));
    let new = DirectoryChange::Domain(Arc::new(Domain::new("a", None, users)));
    let mut log = begin(1, Sort::Log);
    write(&mut log, DirectoryChange::Domain(Arc::clone(&old)));
    let mut frames = DirectoryFrames::new(new.clone());
    let until = log.len() + 1;
    assert!(!frames.append(&mut log, until));
    let mut wanted = Directory::default();
    wanted.put_domain((*old).clone());
    assert_eq!(directory(&log), wanted);
    // Begun again from its begin, as after a write that failed, it does.
    write(&mut log, new);
    assert_eq!(directory(&log).domain("a").expect("it").user_count(), 1_000);
}

#[test]
fn a_cut_at_every_byte_leaves_what_was_whole_before_it() {
    let mut log = begin(1, Sort::Log);
    let mut ends = vec![log.len()];
    for user in ["a", "b", "c"] {
        append(&mut log, &bound(user, 1, 60));
        ends.push(log.len());
    }
    for cut in 0..=log.len() {
        let mut replay = Replay::default();
        let outcome = replay.read(&log[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let Some(records) = whole.checked_sub(1) else {
            assert_eq!(outcome, Err(HeaderError::NoHeader), "cut at {cut}");
            continue;
        };
        let segment = outcome.expect("a log");
        assert_eq!(segment.whole_bytes, ends[records], "cut at {cut}");
        let bytes = cut - ends[records];
        assert_eq!(
            segment.damage,
            (bytes > 0).then_some(Damage::Tail { bytes })
        );
        assert_eq!(revived(&replay, now()).len(), records, "cut at {cut}");
    }
}

#[test]
fn a_bent_bit_anywhere_is_found_and_what_stands_before_it_is_used() {
    let mut log = begin(1, Sort::Log);
    let header = log.len();
    append(&mut log, &bound("a", 1, 60));
    let first = log.len();
    append(&mut log, &bound("b", 1, 60));
    for bit in 0..log.len() * 8 {
        let mut bent = log.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let mut replay = Replay::default();
        let outcome = replay.read(&bent);
        if bit / 8 < header {
            assert_eq!(outcome, Err(HeaderError::NoHeader), "bit {bit}");
            continue;
        }
        let segment = outcome.expect("a log");
        let in_first = bit / 8 < first;
        assert_eq!(
            revived(&replay, now()).len(),
            usize::from(!in_first),
            "bit {bit}"
        );
        let middle = matches!(segment.damage, Some(Damage::Middle { .. }));
        assert!(segment.damage.is_some() && middle == in_first, "bit {bit}");
    }
}

#[test]
fn the_last_word_counts_over_snapshots_and_logs() {
    let mut snapshot = begin(2, Sort::Snapshot);
    append(&mut snapshot, &bound("a", 5, 60));
    append(&mut snapshot, &bound("b", 1, 60));
    append_end(&mut snapshot, 2, 0);
    let mut log = begin(2, Sort::Log);
    // The snapshot was written while the log went on, and may be ahead of it.
    append(&mut log, &bound("a", 4, 60));
    append(&mut log, &bound("a", 5, 60));
    append(
        &mut log,
        &Registration {
            bindings: Box::default(),
            ..bound("b", 2, 60)
        },
    );
    append(&mut log, &bound("c", 1, 60));
    let mut replay = Replay::default();
    assert!(read(&mut replay, &snapshot).complete);
    let segment = read(&mut replay, &log);
    assert_eq!(
        (segment.counts.registrations, segment.counts.removals),
        (3, 1)
    );
    let found: Vec<_> = revived(&replay, now())
        .iter()
        .map(|one| (one.aor.user().to_owned(), one.version))
        .collect();
    assert_eq!(found, [("a".to_owned(), 5), ("c".to_owned(), 1)]);
}

#[test]
fn a_snapshot_without_its_end_is_known_for_it() {
    let mut snapshot = begin(2, Sort::Snapshot);
    append(&mut snapshot, &bound("a", 5, 60));
    assert!(!read(&mut Replay::default(), &snapshot).complete);
    append_end(&mut snapshot, 2, 0);
    assert!(!read(&mut Replay::default(), &snapshot).complete);
}

/// A binding of a minute, read after so many milliseconds by the wall clock: what it has left.
fn left_after(ms: i64) -> Option<std::time::Duration> {
    let mut log = begin(1, Sort::Log);
    append_mark(&mut log, NOW_MS);
    append(&mut log, &bound("a", 1, 60));
    let mut replay = Replay::default();
    read(&mut replay, &log);
    assert_eq!(replay.last_mark_ms(), NOW_MS);
    let later = Clocks {
        engine: Time::from_nanos(77),
        unix_ms: NOW_MS.saturating_add_signed(ms),
    };
    let registration = revived(&replay, later).pop()?;
    Some(
        registration.bindings[0]
            .expires
            .duration_since(later.engine),
    )
}

#[test]
fn bindings_run_out_while_nobody_looks() {
    use std::time::Duration;
    assert_eq!(left_after(0), Some(Duration::from_secs(60)));
    assert_eq!(left_after(59_999), Some(Duration::from_millis(1)));
    assert_eq!(left_after(60_000), None);
    // A wall clock that was set back makes nothing last longer than it had left.
    assert_eq!(left_after(-1), Some(Duration::from_secs(60)));
    assert_eq!(left_after(-1_000_000_000), Some(Duration::from_secs(60)));
}

#[test]
fn listeners_are_found_again_by_their_addresses() {
    let mut log = begin(1, Sort::Log);
    let mut v6 = bound("b", 1, 60);
    v6.bindings[0].source.listener = 1;
    append(&mut log, &bound("a", 1, 60));
    append(&mut log, &v6);
    let mut replay = Replay::default();
    read(&mut replay, &log);
    let found = |now_listening: &[&str]| -> Vec<(u64, Option<u16>)> {
        let addresses: Vec<SocketAddr> = now_listening.iter().map(|a| a.parse().unwrap()).collect();
        let table = replay.listeners(&addresses);
        let mut latest: Vec<_> = replay
            .latest()
            .iter()
            .map(|one| one.revive(now(), &table).unwrap())
            .collect();
        latest.sort_by_key(|one| one.registration.as_ref().map(|one| one.aor.clone()));
        latest
            .iter()
            .map(|one| {
                (
                    one.homeless,
                    one.registration
                        .as_ref()
                        .map(|of| of.bindings[0].source.listener),
                )
            })
            .collect()
    };
    assert_eq!(
        found(&["[::1]:5060", "192.0.2.1:5060"]),
        [(0, Some(1)), (0, Some(0))]
    );
    assert_eq!(
        found(&["198.51.100.1:5060", "[::1]:5060"]),
        [(0, Some(0)), (0, Some(1))]
    );
    assert_eq!(found(&["192.0.2.1:5060"]), [(1, None), (0, Some(0))]);
}
