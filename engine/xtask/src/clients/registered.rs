//! Softphones that register, asked for their passwords: every shard knows where both are, and forgets them when they
//! leave; and they call each other by their addresses. The domain asks with MD5 alone: baresip 1.0 knows no other algorithm, and gives up when SHA-256 is asked for
//! beside it. (SHA-256 is proven by a script, the scenario `digest_sha256`.)

use super::{ALICE, BOB, Stage};
use crate::baresip::{CLOSED, ESTABLISHED, Phone};
use crate::failure::{Failure, check};
use crate::house;
use crate::metrics::Total;
use std::net::IpAddr;

/// The domain, and what stands in the accounts of its users.
const DOMAIN: &str = "phones.example";
const USERS: [(&str, &str); 2] = [("1001", "sesame"), ("1002", "barley")];
/// What baresip says when its REGISTER got a 200.
const REGISTERED: &str = "registered successfully";
/// Bindings known to one shard and to the other.
const KNOWN: [Total; 2] = [
    Total {
        name: "tipring_bindings",
        label: "shard=\"0\"",
    },
    Total {
        name: "tipring_bindings",
        label: "shard=\"1\"",
    },
];
/// Requests that one shard and the other have sent on to contacts.
const SENT_ON: [Total; 2] = [
    Total {
        name: "tipring_proxied_total",
        label: "shard=\"0\"",
    },
    Total {
        name: "tipring_proxied_total",
        label: "shard=\"1\"",
    },
];
/// So many calls that, with two shards, all but surely both have some.
const CALLS: usize = 16;
/// The router renews its numbers once a second.
const RENEWED: std::time::Duration = std::time::Duration::from_millis(1_100);
/// REGISTERs whose proof was good.
const PROVEN: Total = Total {
    name: "tipring_auth_proven_total",
    label: "method=\"register\"",
};

/// What the router is told of the domain.
pub(super) fn settings() -> toml::Table {
    let table = |entries: &[(&str, toml::Value)]| {
        let entries = entries.iter().cloned();
        toml::Table::from_iter(entries.map(|(key, value)| (key.to_owned(), value)))
    };
    let user = |(name, secret): (&str, &str)| {
        table(&[("username", name.into()), ("secret", secret.into())]).into()
    };
    let users: Vec<toml::Value> = USERS.map(user).into();
    let domain = table(&[("name", DOMAIN.into()), ("users", users.into())]);
    let asked = table(&[("name", DOMAIN.into()), ("algorithms", vec!["MD5"].into())]);
    let auth = table(&[("domain", vec![asked].into())]);
    table(&[("domain", vec![domain].into()), ("auth", auth.into())])
}

/// A softphone of the user at this place, which registers when it starts.
fn phone<'a>(
    stage: &Stage<'a>,
    name: &'a str,
    (user, secret): (&str, &str),
    ip: IpAddr,
) -> Result<Phone<'a>, Failure> {
    let router = stage.router;
    Ok(Phone {
        name,
        address: house::free_address(ip)?,
        account: format!(
            "<sip:{user}@{DOMAIN}>;auth_user={user};auth_pass={secret};\
             outbound=\"sip:{router}\";regint=60;answermode=auto\n"
        ),
        directory: stage.directory,
        plays: None,
    })
}

fn known(stage: &Stage<'_>, bindings: u64) -> Result<(), Failure> {
    let mut shards = KNOWN.iter();
    shards.try_for_each(|shard| shard.becomes(stage.metrics, bindings))
}

/// Two register with their passwords, both shards know both, and neither when they have left.
pub(super) fn register(stage: &Stage<'_>) -> Result<(), Failure> {
    let proven = PROVEN.read(stage.metrics)?;
    let alice = phone(stage, "registered-alice", USERS[0], ALICE)?;
    let bob = phone(stage, "registered-bob", USERS[1], BOB)?;
    let consoles = [alice.ready()?, bob.ready()?];
    alice.says(REGISTERED)?;
    bob.says(REGISTERED)?;
    known(stage, 2)?;
    for console in &consoles {
        console.types("/quit\n")?;
    }
    known(stage, 0)?;
    PROVEN.becomes(stage.metrics, proven + 4)
}

/// Two register and call each other by their addresses, in turn, until calls have come through both shards: the shard of a
/// call is that of its Call-ID, whichever shard the callee has registered at.
pub(super) fn call_each_other(stage: &Stage<'_>) -> Result<(), Failure> {
    let sent_on = || -> Result<Vec<u64>, Failure> {
        let shards = SENT_ON.iter();
        shards.map(|shard| shard.read(stage.metrics)).collect()
    };
    let alice = phone(stage, "calling-alice", USERS[0], ALICE)?;
    let bob = phone(stage, "calling-bob", USERS[1], BOB)?;
    let consoles = [alice.ready()?, bob.ready()?];
    known(stage, 2)?;
    let before = sent_on()?;
    let phones = [&alice, &bob];
    let mut calls = 0;
    while sent_on()?
        .iter()
        .zip(&before)
        .any(|(now, before)| now == before)
    {
        calls += 1;
        check(calls <= CALLS, || {
            format!("{CALLS} calls, all of one shard")
        })?;
        // Alice first, and then whoever was called last.
        let (caller, callee) = ((calls + 1) % 2, calls % 2);
        let (user, _) = USERS[callee];
        consoles[caller].types(&format!("/dial sip:{user}@{DOMAIN}\n"))?;
        for phone in phones {
            phone.says_often(ESTABLISHED, calls)?;
        }
        consoles[caller].types("/hangup\n")?;
        // Only who is hung up on says so: each of them in every second call.
        phones[callee].says_often(CLOSED, calls.div_ceil(2))?;
        std::thread::sleep(RENEWED);
    }
    for console in &consoles {
        console.types("/quit\n")?;
    }
    known(stage, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_knows_what_the_phones_know() {
        let settings = settings();
        let domain = &settings["domain"][0];
        assert_eq!(domain["name"].as_str(), Some(DOMAIN));
        assert_eq!(domain["users"][1]["username"].as_str(), Some(USERS[1].0));
        assert_eq!(domain["users"][1]["secret"].as_str(), Some(USERS[1].1));
        assert_eq!(settings["auth"]["domain"][0]["name"].as_str(), Some(DOMAIN));
    }
}
