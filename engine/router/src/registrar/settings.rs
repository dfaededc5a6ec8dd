//! What the operator chooses for the registrar. Plain values; how they are written in the TOML file is the server's
//! business.

use crate::reach::Reach;

/// The settings of the registrar. It serves the domains of the directory; without any it is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarSettings {
    /// The shortest expiration interval, seconds: less gets 423. RFC 3261 10.3 step 7: at most an hour.
    pub min_expires_s: u32,
    /// The interval of a contact that asks for none, seconds.
    pub default_expires_s: u32,
    /// The longest interval, seconds: more is shortened to this.
    pub max_expires_s: u32,
    /// The domain that is meant where a phone knows only an address of ours.
    pub default_domain: Option<Box<str>>,
    /// Value of Service-Route (RFC 3608) in each 200; `None` sends none.
    pub service_route: Option<Box<str>>,
    /// What becomes of a Path whose user agent does not know of it.
    pub path: UnsupportedPath,
    /// Which contacts are reached where their REGISTER came from.
    pub nat: Nat,
    /// How requests to these users go.
    pub reach: Reach,
}

impl Default for RegistrarSettings {
    fn default() -> Self {
        RegistrarSettings {
            min_expires_s: 60,
            default_expires_s: 3_600,
            max_expires_s: 7_200,
            default_domain: None,
            service_route: None,
            path: UnsupportedPath::default(),
            nat: Nat::default(),
            reach: Reach::default(),
        }
    }
}

/// What becomes of a REGISTER with a Path from a user agent that does not say `Supported: path` (RFC 3327 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsupportedPath {
    /// 420, as RFC 3327 recommends: the user agent learns that somebody has added it.
    #[default]
    Refuse,
    /// It is used all the same.
    Accept,
}

/// Which contacts are reached where their REGISTER came from, and not at what their URI says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nat {
    /// Those whose REGISTER has crossed a NAT, or whose address nobody else can reach.
    #[default]
    Auto,
    /// All that came directly.
    Always,
    /// Only flows of RFC 5626.
    Never,
}
