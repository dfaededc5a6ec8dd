//! Which methods are passed on outside any dialog: a set that the operator chooses.

use wire::Method;

/// Methods that are passed on outside any dialog. By default all but NOTIFY, which outside a
/// subscription is no more than a custom of some voicemail systems (RFC 6665 4.1.3: 481).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u32);

impl Methods {
    /// All there may be. REGISTER is for a registrar, the others belong into dialogs.
    pub const POSSIBLE: [Method; 7] = [
        Method::Message,
        Method::Publish,
        Method::Subscribe,
        Method::Info,
        Method::Options,
        Method::Refer,
        Method::Notify,
    ];

    /// None: the router answers every such request itself.
    pub const NONE: Methods = Methods(0);

    /// These, as far as they are possible.
    pub fn of(methods: impl IntoIterator<Item = Method>) -> Methods {
        let possible = |method: &Method| Methods::POSSIBLE.contains(method);
        let bits = methods.into_iter().filter(possible).map(bit);
        Methods(bits.fold(0, |all, bit| all | bit))
    }

    /// Whether `method` is among them.
    pub fn has(self, method: Method) -> bool {
        self.0 & bit(method) != 0
    }
}

impl Default for Methods {
    fn default() -> Self {
        let all = Methods::POSSIBLE.into_iter();
        Methods::of(all.filter(|&method| method != Method::Notify))
    }
}

fn bit(method: Method) -> u32 {
    1 << method as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_in_is_in() {
        let methods = Methods::of([Method::Message, Method::Invite, Method::Register]);
        assert!(methods.has(Method::Message));
        for method in [
            Method::Invite,
            Method::Register,
            Method::Publish,
            Method::Other,
        ] {
            assert!(!methods.has(method), "{method:?}");
            assert!(!Methods::NONE.has(method), "{method:?}");
        }
    }

    #[test]
    fn by_default_all_pass_but_a_notify_of_nothing() {
        for method in Methods::POSSIBLE {
            let expected = method != Method::Notify;
            assert_eq!(Methods::default().has(method), expected, "{method:?}");
        }
    }
}
