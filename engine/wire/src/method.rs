//! Request methods: the registered ones as a small number, any other as `Other`, whose spelling
//! stays in the message.

macro_rules! methods {
    ($($variant:ident = $text:literal,)*) => {
        /// A request method. Methods are case-sensitive (RFC 3261 7.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is the method of its name")]
        pub enum Method {
            $($variant,)*
            /// Any token that is none of the above.
            Other,
        }

        impl Method {
            /// How many values the enum has, `Other` included.
            pub const COUNT: usize = Method::Other as usize + 1;

            /// The method `token` names, by its exact spelling.
            #[inline]
            pub fn parse(token: &[u8]) -> Method {
                $(if token == $text.as_bytes() { return Method::$variant; })*
                Method::Other
            }

            /// The spelling; empty for `Other`, whose spelling only the message knows.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other => "",
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Method] = &[$(Method::$variant,)*];
    };
}

methods! {
    Invite = "INVITE",
    Ack = "ACK",
    Bye = "BYE",
    Cancel = "CANCEL",
    Options = "OPTIONS",
    Register = "REGISTER",
    Prack = "PRACK",
    Update = "UPDATE",
    Info = "INFO",
    Message = "MESSAGE",
    Subscribe = "SUBSCRIBE",
    Notify = "NOTIFY",
    Refer = "REFER",
    Publish = "PUBLISH",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_reads_its_own_spelling() {
        assert_eq!(ALL.len() + 1, Method::COUNT);
        for &method in ALL {
            assert_eq!(Method::parse(method.as_str().as_bytes()), method);
        }
    }

    #[test]
    fn case_and_length_matter() {
        for token in ["invite", "INVITES", "INVIT", "", "Ack"] {
            assert_eq!(Method::parse(token.as_bytes()), Method::Other, "{token}");
        }
        assert_eq!(Method::Other.as_str(), "");
    }
}
