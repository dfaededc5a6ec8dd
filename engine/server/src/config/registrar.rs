//! The sections `[registrar]` and `[[domain]]`: who the users are, and how they register. What is kept of a secret is made
//! of it when the configuration is loaded (`directory`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use wire::{Host, NameAddr};

use super::rules::Broken;
use super::schema::within;

/// How users of the domains register (RFC 3261 10). Without a `[[domain]]` and without one that was given over HTTP there
/// is no registrar, and REGISTER is answered 405.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registrar {
    /// Who wants to be registered for less gets 423 with this Min-Expires. At most an hour (RFC 3261 10.3).
    #[garde(custom(within(1, HOUR_S)))]
    pub(crate) min_expires_s: u32,
    /// How long a contact is registered that does not say.
    #[garde(custom(within(1, EXPIRES_MAX_S)))]
    pub(crate) default_expires_s: u32,
    /// The longest registration: who asks for more is told this.
    #[garde(custom(within(1, EXPIRES_MAX_S)))]
    pub(crate) max_expires_s: u32,
    /// The domain of phones that know only an address of this router. Left out: they get 405.
    #[garde(inner(custom(domain_name)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_domain: Option<String>,
    /// Service-Route (RFC 3608) told to whoever registers: URIs like "sip:edge.example.com;lr". Empty: none.
    #[garde(length(max = 8), inner(custom(route)))]
    pub(crate) service_route: Vec<String>,
    /// A Path (RFC 3327) of a phone that does not know of it: "refuse" it with 420, or "accept" it.
    #[garde(skip)]
    pub(crate) unsupported_path: UnsupportedPath,
    /// Contacts reached where they registered from, not where they say: "auto" those behind NAT, "always", "never".
    #[garde(skip)]
    pub(crate) nat: Nat,
    /// Who is asked, in turn, where a request to a user goes: "location", his contacts, and "rdb", the routing DB.
    #[garde(custom(asked_once))]
    pub(crate) order: Vec<Asked>,
    /// Contacts of one q ring this long before those of the next are tried.
    #[garde(custom(within(1, 180)))]
    pub(crate) ring_s: u32,
    /// How often each contact is asked with OPTIONS whether it lives. 0: never.
    #[garde(custom(within(0, HOUR_S)))]
    pub(crate) keepalive_s: u32,
    /// A contact is unreachable after so many OPTIONS without an answer in a row.
    #[garde(custom(within(1, 100)))]
    pub(crate) keepalive_failures: u32,
    /// So many OPTIONS a second and shard at most.
    #[garde(custom(within(1, 1_000_000)))]
    pub(crate) keepalive_per_s: u32,
}

const HOUR_S: u64 = 3_600;
/// RFC 3261 20.19: up to 2^32-1.
const EXPIRES_MAX_S: u64 = u32::MAX as u64;

impl Default for Registrar {
    fn default() -> Self {
        Registrar {
            min_expires_s: 60,
            default_expires_s: 3_600,
            max_expires_s: 7_200,
            default_domain: None,
            service_route: Vec::new(),
            unsupported_path: UnsupportedPath::Refuse,
            nat: Nat::Auto,
            order: vec![Asked::Location, Asked::Rdb],
            ring_s: 20,
            keepalive_s: 0,
            keepalive_failures: 3,
            keepalive_per_s: 1_000,
        }
    }
}

/// Who knows where a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Asked {
    /// The user's own contacts.
    Location,
    /// The routing DB.
    Rdb,
}

fn asked_once(order: &[Asked], _: &()) -> garde::Result {
    let twice = matches!(order, [first, second] if first == second);
    let good = matches!(order.len(), 1 | 2) && !twice;
    told(good, "must be one or both of \"location\" and \"rdb\"")
}

/// What becomes of a Path that the phone does not know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnsupportedPath {
    /// 420 (Bad Extension), as RFC 3327 5.3 recommends.
    Refuse,
    /// It is used all the same.
    Accept,
}

/// Which contacts are reached where they registered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Nat {
    /// Those behind NAT.
    Auto,
    /// All that registered without a proxy between.
    Always,
    /// Flows of RFC 5626 alone.
    Never,
}

/// A local domain.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Domain {
    /// Its name, like "example.com": the realm of its users' passwords, too.
    #[garde(custom(domain_name))]
    pub(crate) name: String,
    /// "http://host:port" of who is told of its registrations. Left out: nobody.
    #[garde(inner(custom(http_url)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<String>,
    /// Its users.
    #[garde(dive)]
    #[serde(default)]
    pub(crate) users: Vec<User>,
    /// More of them, a line each: name, colon, secret. Relative to this file.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users_file: Option<PathBuf>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// What stands before the @ of its address.
    #[garde(custom(user_name))]
    pub(crate) username: String,
    /// The password, which is kept as a hash alone.
    #[garde(skip)]
    pub(crate) secret: Secret,
}

/// A password. It is read, and never printed.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

fn told(good: bool, message: &str) -> garde::Result {
    match good {
        true => Ok(()),
        false => Err(garde::Error::new(message)),
    }
}

pub(super) fn domain_name(name: &str, _: &()) -> garde::Result {
    let good = name.len() <= 253 && Host::parse(name.as_bytes()).is_some();
    told(good, "must be a domain name or an IP address")
}

fn http_url(url: &str, _: &()) -> garde::Result {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
    told(
        rest.is_some_and(plain),
        "must be a URL like \"http://host:port\"",
    )
}

/// The line of Service-Route is made of these.
fn route(uri: &str, _: &()) -> garde::Result {
    let value = format!("<{uri}>");
    let sip = uri.starts_with("sip:") || uri.starts_with("sips:");
    let good = sip && NameAddr::parse(value.as_bytes()).is_ok_and(|it| it.uri_parsed().is_ok());
    told(good, "must be a SIP URI like \"sip:edge.example.com;lr\"")
}

fn user_name(name: &str, _: &()) -> garde::Result {
    let message = "must be 1 to 128 characters without a colon, white space or control character";
    told(is_user_name(name), message)
}

/// What can be a user's name: digest credentials end it with a colon.
pub(super) fn is_user_name(name: &str) -> bool {
    let plain = |c: char| c != ':' && !c.is_control() && !c.is_whitespace();
    (1..=128).contains(&name.len()) && name.chars().all(plain)
}

/// Rules that need more than one key.
pub(super) fn check(registrar: &Registrar, domains: &[Domain], broken: &mut Vec<Broken>) {
    if registrar.default_expires_s < registrar.min_expires_s {
        let message = format!(
            "must not be below min_expires_s, which is {}",
            registrar.min_expires_s
        );
        broken.push(("registrar.default_expires_s".into(), message));
    }
    if registrar.max_expires_s < registrar.default_expires_s {
        let message = format!(
            "must not be below default_expires_s, which is {}",
            registrar.default_expires_s
        );
        broken.push(("registrar.max_expires_s".into(), message));
    }
    let mut names = BTreeMap::new();
    for (index, domain) in domains.iter().enumerate() {
        if let Some(first) = names.insert(domain.name.to_ascii_lowercase(), index) {
            let message = format!("\"{}\" is also the name of domain[{first}]", domain.name);
            broken.push((format!("domain[{index}].name"), message));
        }
        check_users(index, domain, broken);
    }
}

fn check_users(index: usize, domain: &Domain, broken: &mut Vec<Broken>) {
    let mut names = BTreeMap::new();
    for (place, user) in domain.users.iter().enumerate() {
        if let Some(first) = names.insert(&user.username, place) {
            let message = format!("\"{}\" is also the name of users[{first}]", user.username);
            broken.push((format!("domain[{index}].users[{place}].username"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::load::{Loaded, of_text};

    const LISTEN: &str = "[[listen]]\naddress = '127.0.0.1:5060'\n";

    fn load(text: &str) -> Result<Loaded, String> {
        let text = format!("{LISTEN}{text}");
        of_text("t.toml", &text, &Environment::of(&[])).map_err(|error| error.to_string())
    }

    #[test]
    fn users_of_the_file_are_in_the_directory_and_their_secrets_nowhere() {
        let loaded = load(
            "[[domain]]\nname = 'Example.com'\ncontrol = 'http://127.0.0.1:81'\n\
             users = [{ username = 'alice', secret = 'battery staple' }]\n",
        )
        .expect("a configuration");
        let domain = loaded.directory.domain("example.COM").expect("the domain");
        let proof = router::Credentials::of("alice", "example.com", "battery staple");
        assert_eq!(domain.credentials("alice"), Some(&proof));
        assert_eq!(domain.control.as_deref(), Some("http://127.0.0.1:81"));
        let printed = super::super::settings(&loaded);
        let secret = printed
            .iter()
            .find(|it| it.key == "domain[0].users[0].secret");
        assert_eq!(secret.map(|it| it.value.as_str()), Some("\"(secret)\""));
        assert!(!format!("{:?}", loaded.config).contains("staple"));
    }

    #[test]
    fn what_no_domain_or_user_can_be_is_placed() {
        insta::assert_snapshot!(load(
            "[registrar]\nmin_expires_s = 3601\ndefault_expires_s = 60\nmax_expires_s = 30\n\
             service_route = ['edge.example.com']\n\
             [[domain]]\nname = 'a b'\ncontrol = 'ftp://x'\n\
             [[domain]]\nname = 'b.example'\nusers = [{ username = 'x:y', secret = '1' }]\n\
             [[domain]]\nname = 'B.example'\n"
        ).expect_err("mistakes"), @r#"
        error: t.toml:4:17: registrar.min_expires_s: must be from 1 to 3600
          |
        4 | min_expires_s = 3601
          |                 ^^^^

        error: t.toml:5:21: registrar.default_expires_s: must not be below min_expires_s, which is 3601
          |
        5 | default_expires_s = 60
          |                     ^^

        error: t.toml:6:17: registrar.max_expires_s: must not be below default_expires_s, which is 60
          |
        6 | max_expires_s = 30
          |                 ^^

        error: t.toml:7:18: registrar.service_route[0]: must be a SIP URI like "sip:edge.example.com;lr"
          |
        7 | service_route = ['edge.example.com']
          |                  ^^^^^^^^^^^^^^^^^^

        error: t.toml:9:8: domain[0].name: must be a domain name or an IP address
          |
        9 | name = 'a b'
          |        ^^^^^

        error: t.toml:10:11: domain[0].control: must be a URL like "http://host:port"
           |
        10 | control = 'ftp://x'
           |           ^^^^^^^^^

        error: t.toml:13:23: domain[1].users[0].username: must be 1 to 128 characters without a colon, white space or control character

        error: t.toml:15:8: domain[2].name: "B.example" is also the name of domain[1]
           |
        15 | name = 'B.example'
           |        ^^^^^^^^^^^
        "#);
    }

    #[test]
    fn a_user_is_named_once() {
        let error = load(
            "[[domain]]\nname = 'a'\n[[domain.users]]\nusername = 'x'\nsecret = '1'\n\
             [[domain.users]]\nusername = 'x'\nsecret = '2'\n",
        );
        let error = error.expect_err("a mistake");
        assert!(error.contains("domain[0].users[1].username"), "{error}");
    }
}
