//! Any updates in any order over mailboxes that lose, repeat, delay and reorder. [`Net`] checks with each step that no
//! shard goes back to an older registration, and that what is answered with success is known everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::lane::LETTERS_MAX;
use super::super::samples::update;
use super::super::{Edits, Registration, Update};
use super::net::{Mail, Net};

const USERS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Register {
        shard: u8,
        user: usize,
        call: u8,
        contact: u8,
        lasts: u64,
        late: bool,
    },
    RemoveAll {
        shard: u8,
        user: usize,
        call: u8,
    },
    Fetch {
        shard: u8,
        user: usize,
    },
    Pass {
        ms: u64,
    },
    CutOff(Option<u8>),
}

fn step(shards: u8) -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let register = (0..shards, user.clone(), 0..2_u8, 0..3_u8, any::<bool>());
    let lasts = prop_oneof![Just(0), 1..30_u64];
    prop_oneof![
        8 => (register, lasts).prop_map(|((shard, user, call, contact, late), lasts)| {
            Step::Register { shard, user, call, contact, lasts, late }
        }),
        1 => (0..shards, user.clone(), 0..2_u8)
            .prop_map(|(shard, user, call)| Step::RemoveAll { shard, user, call }),
        1 => (0..shards, user).prop_map(|(shard, user)| Step::Fetch { shard, user }),
        6 => prop_oneof![0..50_u64, 0..3_000_u64, 0..20_000_u64].prop_map(|ms| Step::Pass { ms }),
        1 => proptest::option::of(0..shards).prop_map(Step::CutOff),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    let takes_ms = prop_oneof![Just(0), 0..20_u64, 0..1_000_u64];
    (0..60_u64, 0..60_u64, takes_ms).prop_map(|(lost, twice, takes_ms)| Mail {
        lost,
        twice,
        takes_ms,
    })
}

/// The clients, whose CSeq grows with each REGISTER of a Call-ID unless they send an old one.
#[derive(Default)]
struct Clients(BTreeMap<(usize, u8), u32>);

impl Clients {
    fn cseq(&mut self, user: usize, call: u8, late: bool) -> u32 {
        let last = self.0.entry((user, call)).or_insert(1);
        *last += u32::from(!late);
        *last
    }

    fn update(&mut self, net: &Net, step: &Step) -> Option<(u8, Update)> {
        let named = |call: u8| format!("call{call}");
        Some(match *step {
            Step::Register {
                shard,
                user,
                call,
                contact,
                lasts,
                late,
            } => {
                let cseq = self.cseq(user, call, late);
                let seconds = net.now.as_nanos() / 1_000_000_000;
                let until = if lasts == 0 { 0 } else { seconds + lasts };
                let contact = format!("sip:x@{contact}");
                let contacts = [(contact.as_str(), until)];
                (shard, update(USERS[user], (&named(call), cseq), &contacts))
            }
            Step::RemoveAll { shard, user, call } => {
                let cseq = self.cseq(user, call, false);
                let edits = Edits::RemoveAll;
                (
                    shard,
                    Update {
                        edits,
                        ..update(USERS[user], (&named(call), cseq), &[])
                    },
                )
            }
            Step::Fetch { shard, user } => {
                let edits = Edits::Fetch;
                (
                    shard,
                    Update {
                        edits,
                        ..update(USERS[user], ("call0", 0), &[])
                    },
                )
            }
            Step::Pass { .. } | Step::CutOff(_) => return None,
        })
    }
}

/// Each change has a higher version than the one before, and no binding is refreshed by an older REGISTER.
fn check_order(net: &Net) {
    let mut last: BTreeMap<String, &Registration> = BTreeMap::new();
    for change in &net.changes {
        let now = &change.registration;
        let Some(before) = last.insert(now.aor.to_string(), now) else {
            continue;
        };
        assert!(now.version > before.version, "{before:?} then {now:?}");
        for held in &before.bindings {
            let same = |it: &&super::super::Binding| {
                it.contact == held.contact && it.call_id == held.call_id
            };
            for it in now.bindings.iter().filter(same) {
                assert!(it.cseq > held.cseq || it == held, "{held:?} then {it:?}");
            }
        }
    }
}

fn run(shards: u8, seed: u64, mail: Mail, steps: &[Step]) -> Net {
    let mut net = Net::new(shards, seed);
    let mut clients = Clients::default();
    let mut asked = 0;
    net.mail = mail;
    for step in steps {
        match *step {
            Step::Pass { ms } => net.pass(Duration::from_millis(ms)),
            Step::CutOff(shard) => net.cut_off = shard,
            _ => {
                let (shard, update) = clients.update(&net, step).expect("an update");
                asked = net.ask(shard, update);
            }
        }
        let counters = net.shards.iter().map(|it| it.counters());
        assert!(counters.map(|it| it.unconfirmed).max() <= Some(USERS.len() as u64));
        assert!(net.lanes().all(|under_way| under_way <= LETTERS_MAX));
    }
    // The mail works again, and everybody has had time.
    (net.mail, net.cut_off) = (Mail::default(), None);
    net.pass(Duration::from_secs(60));
    assert_eq!(
        net.outcomes.len() as u64,
        asked,
        "somebody was not answered"
    );
    net
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn shards_agree_whatever_the_mail_does(
        seed: u64,
        mail in mail(),
        steps in (2..5_u8).prop_flat_map(|shards| {
            (Just(shards), proptest::collection::vec(step(shards), 1..80))
        }),
    ) {
        let (shards, steps) = steps;
        let net = run(shards, seed, mail, &steps);
        net.check_converged();
        check_order(&net);
        // All has ended, and nothing is remembered.
        for shard in &net.shards {
            prop_assert_eq!(shard.counters().registrations, 0);
        }
    }
}

/// With mail that works every update is done, and only those that are late are refused.
#[test]
fn nothing_is_refused_for_want_of_luck() {
    let register = |n: u32| Step::Register {
        shard: (n % 3) as u8,
        user: n as usize % 3,
        call: (n % 2) as u8,
        contact: (n % 3) as u8,
        lasts: 5,
        late: false,
    };
    let steps = (0..300).flat_map(|n| {
        [
            register(n),
            Step::Pass {
                ms: u64::from(n % 2),
            },
        ]
    });
    let steps: Vec<Step> = steps.collect();
    let net = run(3, 4, Mail::default(), &steps);
    assert!(net.outcomes.values().all(Result::is_ok));
}
