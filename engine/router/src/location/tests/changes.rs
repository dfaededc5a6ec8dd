//! What each kind of change comes to, on one shard and on several.

use std::sync::Arc;
use std::time::Duration;

use super::super::samples::{aor, at, binding, registration, update};
use super::super::{Edits, LocationCause, Refused, Update};
use super::net::{Mail, Net};
use crate::directory::{Credentials, Directory, Domain};

const SECOND: Duration = Duration::from_secs(1);

fn causes(net: &Net) -> Vec<LocationCause> {
    net.changes.iter().map(|it| it.cause).collect()
}

fn fetch(user: &str) -> Update {
    Update {
        edits: Edits::Fetch,
        ..update(user, ("call", 0), &[])
    }
}

#[test]
fn one_shard_answers_at_once() {
    let mut net = Net::new(1, 1);
    let who = net.ask(0, update("a", ("call", 1), &[("sip:a@1", 60)]));
    let outcome = net.outcomes[&who].clone().unwrap();
    assert_eq!(net.shards[0].of("a@example.com"), Some(&outcome));
    let who = net.ask(0, update("a", ("call", 2), &[("sip:a@1", 0)]));
    assert!(net.outcomes[&who].as_ref().unwrap().bindings.is_empty());
    assert_eq!(net.shards[0].of("a@example.com"), None);
    let causes = causes(&net);
    assert_eq!(
        causes,
        [LocationCause::Registered, LocationCause::Unregistered]
    );
}

#[test]
fn a_change_is_asked_for_anywhere_and_known_everywhere() {
    let mut net = Net::new(3, 1);
    net.mail.takes_ms = 3;
    for shard in 0..3 {
        let contact = format!("sip:a@{shard}");
        let update = update("a", ("call", 1), &[(&contact, 60)]);
        let outcome = net.answer(shard, update).unwrap();
        assert_eq!(outcome.bindings.len(), usize::from(shard) + 1);
    }
    net.check_converged();
    let seen = net.answer(2, fetch("a")).unwrap();
    assert_eq!(Some(&seen), net.shards[1].of("a@example.com"));
    assert_eq!(net.answer(2, fetch("b")).unwrap().bindings.len(), 0);
}

#[test]
fn bindings_end_to_the_second_and_once() {
    let mut net = Net::new(2, 1);
    let contacts = [("sip:a@1", 10), ("sip:a@2", 20)];
    net.answer(0, update("a", ("call", 1), &contacts)).unwrap();
    net.pass(SECOND * 9 - Duration::from_millis(1));
    assert_eq!(net.changes.len(), 1);
    net.pass(Duration::from_millis(1));
    assert_eq!(
        causes(&net),
        [LocationCause::Registered, LocationCause::Expired]
    );
    assert_eq!(net.shards[1].of("a@example.com").unwrap().bindings.len(), 1);
    net.pass(SECOND * 10);
    assert_eq!(causes(&net)[2..], [LocationCause::Expired]);
    net.check_converged();
    net.pass(SECOND * 20);
    let counters = net.shards.iter().map(|it| it.counters());
    let (expired, known) = counters.fold((0, 0), |(expired, known), it| {
        (expired + it.expired, known + it.registrations)
    });
    assert_eq!((expired, known, net.changes.len()), (2, 0, 3));
}

#[test]
fn a_binding_that_has_just_ended_is_not_told() {
    let mut net = Net::new(1, 1);
    net.answer(0, update("a", ("call", 1), &[("sip:a@1", 10)]))
        .unwrap();
    // The timer is late.
    net.now = at(12);
    let who = net.ask(0, fetch("a"));
    assert!(net.outcomes[&who].as_ref().unwrap().bindings.is_empty());
    // RFC 3261 10.3: what has ended is no binding, so its CSeq says nothing.
    let who = net.ask(0, update("a", ("call", 1), &[("sip:a@1", 20)]));
    assert_eq!(net.outcomes[&who].as_ref().unwrap().bindings.len(), 1);
    let expected = [
        LocationCause::Registered,
        LocationCause::Expired,
        LocationCause::Registered,
    ];
    assert_eq!(causes(&net), expected);
}

#[test]
fn a_shard_that_is_gone_keeps_changes_from_being_confirmed() {
    let mut net = Net::new(3, 1);
    let register = update("a", ("call", 1), &[("sip:a@1", 600)]);
    let owner = net.owner(&register);
    net.cut_off = Some((owner + 1) % 3);
    let who = net.ask(owner, register.clone());
    net.pass(SECOND);
    assert!(!net.outcomes.contains_key(&who));
    assert_eq!(net.shards[usize::from(owner)].counters().unconfirmed, 1);
    net.pass(SECOND * 2);
    assert_eq!(net.outcomes[&who], Err(Refused::NotReached));
    let counters = net.shards[usize::from(owner)].counters();
    assert!(
        counters.repeated >= 20 && counters.not_reached == 1,
        "{counters:?}"
    );
    // An owner that is gone hears nothing.
    net.cut_off = Some(owner);
    assert_eq!(
        net.answer_late((owner + 1) % 3, register),
        Err(Refused::NotReached)
    );
    net.cut_off = None;
    net.pass(SECOND);
    net.check_converged();
}

#[test]
fn the_newest_state_alone_is_told_to_a_shard_that_was_behind() {
    let mut net = Net::new(2, 1);
    let first = update("a", ("call", 1), &[("sip:a@1", 600)]);
    let owner = net.owner(&first);
    net.cut_off = Some(1 - owner);
    net.ask(owner, first);
    for cseq in 2..50 {
        net.ask(owner, update("a", ("call", cseq), &[("sip:a@1", 600)]));
        assert_eq!(net.shards[usize::from(owner)].counters().unconfirmed, 1);
    }
    net.pass(SECOND);
    net.cut_off = None;
    net.mail = Mail {
        takes_ms: 1,
        ..net.mail
    };
    let before = net.shards[usize::from(1 - owner)]
        .table
        .of("a@example.com")
        .cloned();
    assert_eq!(before, None);
    net.pass(SECOND);
    net.check_converged();
    let answered = net.outcomes.values().filter(|it| it.is_ok()).count();
    assert_eq!(answered, 49, "all wait for the last one and get it in time");
}

#[test]
fn a_letter_that_comes_twice_is_obeyed_once() {
    let mut net = Net::new(3, 1);
    net.mail.twice = 100;
    let register = update("a", ("call", 1), &[("sip:a@1", 600)]);
    let other = (net.owner(&register) + 1) % 3;
    assert!(net.answer(other, register).is_ok());
    assert_eq!(net.changes.len(), 1);
    net.check_converged();
}

#[test]
fn there_is_a_limit_to_everything() {
    let limits = |config: &mut crate::Config| {
        config.limits.registrations = 2;
        config.limits.bindings = 3;
        config.limits.contacts = 2;
    };
    let mut net = Net::with(1, 1, limits);
    let two = [("sip:1@h", 600), ("sip:2@h", 600)];
    net.answer(0, update("a", ("call", 1), &two)).unwrap();
    let third = update("a", ("call", 1), &[("sip:3@h", 600)]);
    assert_eq!(net.answer(0, third), Err(Refused::TooManyContacts));
    assert_eq!(
        net.answer(0, update("b", ("call", 1), &two)),
        Err(Refused::Full)
    );
    net.answer(0, update("b", ("call", 1), &two[..1])).unwrap();
    assert_eq!(
        net.answer(0, update("c", ("call", 1), &two[..1])),
        Err(Refused::Full)
    );
    // A refresh needs no room, and what is gone makes some.
    net.answer(0, update("a", ("call", 2), &two)).unwrap();
    net.answer(0, update("b", ("call", 2), &[("sip:1@h", 0)]))
        .unwrap();
    net.pass(SECOND * 10);
    net.answer(0, update("c", ("call", 1), &two[..1])).unwrap();
    assert_eq!(net.shards[0].counters().refused, 3);
}

#[test]
fn versions_go_on_after_a_restart_with_another_number_of_shards() {
    let mut net = Net::with(2, 1, |config| config.unix_us = 1_000_000_000);
    net.answer(0, update("a", ("call", 1), &[("sip:a@1", 600)]))
        .unwrap();
    net.answer(0, update("b", ("call", 1), &[("sip:b@1", 2)]))
        .unwrap();
    let kept: Vec<_> = net
        .changes
        .iter()
        .map(|it| Arc::clone(&it.registration))
        .collect();
    // The clock was set back.
    let mut net = Net::with(3, 9, |config| config.unix_us = 500_000_000);
    net.now = at(3);
    let now = net.now;
    net.shards.iter_mut().for_each(|it| it.restore(now, &kept));
    for shard in &net.shards {
        assert_eq!(shard.of("a@example.com"), Some(&kept[0]));
        assert_eq!(shard.of("b@example.com"), None);
    }
    let late = update("a", ("call", 1), &[("sip:a@1", 600)]);
    assert_eq!(net.answer(1, late), Err(Refused::OutOfOrder));
    let next = net
        .answer(1, update("a", ("call", 2), &[("sip:a@1", 30)]))
        .unwrap();
    assert!(next.version > kept[0].version);
    net.pass(SECOND * 30);
    assert_eq!(
        causes(&net),
        [LocationCause::Refreshed, LocationCause::Expired]
    );
    net.check_converged();
}

#[test]
fn restored_bindings_end_by_their_owner_alone() {
    let two = registration("a", 7, [binding("sip:a@1"), binding("sip:a@2")]);
    let mut net = Net::new(3, 1);
    net.shards
        .iter_mut()
        .for_each(|it| it.restore(at(0), &[Arc::clone(&two)]));
    net.pass(SECOND * 3601);
    assert_eq!(causes(&net), [LocationCause::Expired]);
    net.check_converged();
}

#[test]
fn users_that_the_directory_loses_lose_their_bindings() {
    let mut net = Net::new(2, 1);
    net.mail.takes_ms = 2;
    for n in 0..1000_u32 {
        let update = update(&n.to_string(), ("call", 1), &[("sip:a@1", 600)]);
        net.ask((n % 2) as u8, update);
    }
    net.pass(SECOND);
    let mut directory = Directory::default();
    let credentials = Credentials {
        md5: [0; 16],
        sha256: [0; 32],
        sha512_256: [0; 32],
    };
    let kept: Vec<String> = (0..1000).step_by(3).map(|n| n.to_string()).collect();
    let users = kept.iter().map(|name| (name.as_str(), credentials));
    directory.put_domain(Domain::new("example.com", None, users));
    let directory = Arc::new(directory);
    let known = |directory: &Directory, aor: &crate::Aor| {
        let domain = directory.domain(aor.domain());
        domain.is_some_and(|domain| domain.credentials(aor.user()).is_some())
    };
    for shard in &mut net.shards {
        shard.retain(&directory, known);
    }
    net.pass(SECOND);
    net.check_converged();
    let removed = net
        .changes
        .iter()
        .filter(|it| it.cause == LocationCause::Removed);
    assert_eq!(removed.count(), 1000 - kept.len());
    assert!(net.shards[0].of(aor("3").as_str()).is_some());
}
