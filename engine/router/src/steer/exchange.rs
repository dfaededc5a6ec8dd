//! Offers and answers of a call (RFC 3264, 6337): which body is which, and who owes an answer. Towards
//! either party the router has one dialog, so a call has at most one offer without an answer.

use stack::ServerId;
use wire::{Message, Method};

use crate::core::Side;

/// The part a session description plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It asks.
    Offer,
    /// It answers the pending offer.
    Answer,
    /// Another answer to an INVITE that had one: of another fork, or of a callee that thought better
    /// of its unreliable 18x.
    Again,
    /// It says again what this side said before: the 2xx after an 18x.
    Repeat,
    /// It is neither offer nor answer: capabilities in a 488, a body where none belongs.
    Neither,
}

/// Why an offer cannot be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untimely {
    /// The other side's offer has no answer yet: 491 (RFC 3261 14.2, RFC 3311 5.2).
    Glare,
    /// This side's own offer has none: 500 with Retry-After.
    Twice,
}

/// A description in a response: hashes of the fork that spoke and of what it said.
type Spoken = (u64, u64);

/// An offer without an answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    from: Side,
    /// The request it came in, or the INVITE whose response it came in.
    server: ServerId,
    in_response: bool,
}

/// An INVITE that crossed.
#[derive(Clone, Copy, Debug)]
struct Invite {
    server: ServerId,
    /// It had an offer: the answer comes in its responses.
    offered: bool,
    /// The last description in its responses so far.
    answered: Option<Spoken>,
}

/// Who has offered what in a call.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pending: Option<Pending>,
    /// The INVITE that made the call: its callee may still answer it while its caller, who was given an
    /// early answer, makes another offer.
    initial: Option<Invite>,
    /// The last re-INVITE.
    again: Option<Invite>,
}

impl Exchange {
    /// What a description of this side is that came in `message` on `server`.
    pub(super) fn role(
        &self,
        from: Side,
        server: ServerId,
        message: &Message<'_>,
        spoken: Spoken,
    ) -> Result<Role, Untimely> {
        if message.is_request() {
            self.of_request(from, message.method())
        } else {
            Ok(self.of_response(from, server, message, spoken))
        }
    }

    fn of_request(&self, from: Side, method: Method) -> Result<Role, Untimely> {
        let answers = |pending: &Pending| pending.in_response && pending.from != from;
        match (method, self.pending) {
            (Method::Ack | Method::Prack, Some(pending)) if answers(&pending) => Ok(Role::Answer),
            (Method::Invite | Method::Update | Method::Prack, None) => Ok(Role::Offer),
            (Method::Invite | Method::Update | Method::Prack, Some(pending)) => {
                Err(if pending.from == from {
                    Untimely::Twice
                } else {
                    Untimely::Glare
                })
            }
            _ => Ok(Role::Neither),
        }
    }

    fn of_response(
        &self,
        from: Side,
        server: ServerId,
        message: &Message<'_>,
        spoken: Spoken,
    ) -> Role {
        let (method, code) = (message.method(), message.code());
        let bears = match method {
            Method::Invite => code < 300,
            Method::Update | Method::Prack => (200..300).contains(&code),
            _ => false,
        };
        if !bears {
            return Role::Neither;
        }
        let pending = self.pending.filter(|pending| pending.server == server);
        if pending.is_some_and(|pending| !pending.in_response && pending.from != from) {
            return Role::Answer;
        }
        match self.invite(server) {
            None => Role::Neither,
            Some(invite) if invite.answered == Some(spoken) => Role::Repeat,
            Some(invite) if invite.offered => Role::Again,
            // A fork's offer takes the place of another's.
            Some(invite) => match invite.answered {
                Some((fork, _)) if fork == spoken.0 && pending.is_none() => Role::Neither,
                _ => Role::Offer,
            },
        }
    }

    fn invite(&self, server: ServerId) -> Option<Invite> {
        let mut invites = [self.initial, self.again].into_iter().flatten();
        invites.find(|invite| invite.server == server)
    }

    /// An INVITE crosses, with or without an offer in it.
    pub(super) fn begin_invite(&mut self, server: ServerId, offered: bool) {
        let invite = Some(Invite {
            server,
            offered,
            answered: None,
        });
        if self.initial.is_none() {
            self.initial = invite;
        } else {
            self.again = invite;
        }
    }

    /// A description in a response to the INVITE crosses.
    pub(super) fn note_response(&mut self, server: ServerId, spoken: Spoken) {
        let mut invites = [&mut self.initial, &mut self.again].into_iter().flatten();
        if let Some(invite) = invites.find(|invite| invite.server == server) {
            invite.answered = Some(spoken);
        }
    }

    /// An offer crosses.
    pub(super) fn offered(&mut self, from: Side, server: ServerId, in_response: bool) {
        self.pending = Some(Pending {
            from,
            server,
            in_response,
        });
    }

    /// The pending offer has its answer, or never gets one.
    pub(super) fn settled(&mut self) {
        self.pending = None;
    }

    /// Whether the offer in this transaction still waits: in its request, or in its response.
    pub(super) fn waits_on(&self, server: ServerId, in_response: bool) -> bool {
        self.pending
            .is_some_and(|pending| pending.server == server && pending.in_response == in_response)
    }

    /// Whether any offer of this transaction still waits.
    pub(super) fn waits(&self, server: ServerId) -> bool {
        self.pending.is_some_and(|pending| pending.server == server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::{Flow, Inbound, Outbox, Time, TransactionLimits, Transactions};
    use wire::Index;

    const ONE: Spoken = (1, 1);
    const TWO: Spoken = (2, 2);

    /// Real names of transactions: `methods` received one after the other.
    fn servers(methods: &[&str]) -> Vec<ServerId> {
        let limits = TransactionLimits {
            server: 9,
            client: 9,
        };
        let timers = stack::TimerConfig::default();
        let mut transactions = Transactions::<()>::new(0, 1, timers, limits, Time::ZERO);
        let flow = Flow {
            listener: 0,
            remote: "127.0.0.1:5060".parse().unwrap(),
        };
        let mut received = |(number, method): (usize, &&str)| {
            let text = message_text(method, number);
            let mut index = Index::new();
            let message = Message::parse(text.as_bytes(), &mut index, &Default::default()).unwrap();
            match transactions.receive_request(Time::ZERO, &message, flow, &mut Outbox::new()) {
                Inbound::New(server) => server,
                other => panic!("{other:?}"),
            }
        };
        methods.iter().enumerate().map(&mut received).collect()
    }

    fn message_text(method: &str, number: usize) -> String {
        format!(
            "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number}\r\n\
             From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: {number}\r\nCSeq: 1 {method}\r\n\r\n"
        )
    }

    /// The role of a description in a request (`code` 0) or in a response.
    fn role(
        exchange: &Exchange,
        from: Side,
        (server, method): (ServerId, &str),
        code: u16,
        spoken: Spoken,
    ) -> Result<Role, Untimely> {
        let text = match code {
            0 => message_text(method, 1),
            _ => format!("SIP/2.0 {code} x\r\nCSeq: 1 {method}\r\n\r\n"),
        };
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Default::default()).unwrap();
        exchange.role(from, server, &message, spoken)
    }

    #[test]
    fn without_a_pending_offer_every_request_may_bring_one() {
        let exchange = Exchange::default();
        let server = servers(&["INVITE"])[0];
        for (method, expected) in [
            ("INVITE", Role::Offer),
            ("UPDATE", Role::Offer),
            ("PRACK", Role::Offer),
            ("ACK", Role::Neither),
            ("INFO", Role::Neither),
        ] {
            let found = role(&exchange, Side::Callee, (server, method), 0, ONE);
            assert_eq!(found, Ok(expected), "{method}");
        }
    }

    #[test]
    fn an_offer_in_an_invite_is_answered_by_what_its_responses_bring() {
        let mut exchange = Exchange::default();
        let server = servers(&["INVITE"])[0];
        exchange.begin_invite(server, true);
        exchange.offered(Side::Caller, server, false);
        let invite = (server, "INVITE");
        for (code, expected) in [
            (183, Role::Answer),
            (200, Role::Answer),
            (488, Role::Neither),
        ] {
            let found = role(&exchange, Side::Callee, invite, code, ONE);
            assert_eq!(found, Ok(expected), "{code}");
        }
        for method in ["UPDATE", "PRACK", "INVITE"] {
            let by = |side| role(&exchange, side, (server, method), 0, ONE);
            assert_eq!(by(Side::Callee), Err(Untimely::Glare));
            assert_eq!(by(Side::Caller), Err(Untimely::Twice));
        }
        exchange.settled();
        exchange.note_response(server, ONE);
        let again = |spoken| role(&exchange, Side::Callee, invite, 200, spoken);
        assert_eq!(again(ONE), Ok(Role::Repeat));
        assert_eq!(again(TWO), Ok(Role::Again));
    }

    #[test]
    fn regression_the_first_invite_is_answered_while_a_second_waits() {
        // A caller with an early answer re-INVITEs; then another fork of the callee answers.
        let mut exchange = Exchange::default();
        let servers = servers(&["INVITE", "INVITE"]);
        exchange.begin_invite(servers[0], true);
        exchange.note_response(servers[0], ONE);
        exchange.begin_invite(servers[1], true);
        exchange.offered(Side::Caller, servers[1], false);
        let first = (servers[0], "INVITE");
        let found = |spoken| role(&exchange, Side::Callee, first, 200, spoken);
        assert_eq!(found(TWO), Ok(Role::Again));
        assert_eq!(found(ONE), Ok(Role::Repeat));
        let second = role(&exchange, Side::Callee, (servers[1], "INVITE"), 200, ONE);
        assert_eq!(second, Ok(Role::Answer));
    }

    #[test]
    fn an_offer_in_a_response_is_answered_by_prack_or_ack() {
        let mut exchange = Exchange::default();
        let server = servers(&["INVITE"])[0];
        exchange.begin_invite(server, false);
        let offer = |exchange: &Exchange, spoken| {
            role(exchange, Side::Callee, (server, "INVITE"), 183, spoken)
        };
        assert_eq!(offer(&exchange, ONE), Ok(Role::Offer));
        exchange.offered(Side::Callee, server, true);
        exchange.note_response(server, ONE);
        assert_eq!(offer(&exchange, ONE), Ok(Role::Repeat));
        assert_eq!(offer(&exchange, TWO), Ok(Role::Offer), "of another fork");
        for method in ["PRACK", "ACK"] {
            let found = role(&exchange, Side::Caller, (server, method), 0, ONE);
            assert_eq!(found, Ok(Role::Answer), "{method}");
        }
        assert!(exchange.waits_on(server, true) && !exchange.waits_on(server, false));
        exchange.settled();
        assert_eq!(offer(&exchange, (ONE.0, 9)), Ok(Role::Neither), "too late");
        assert_eq!(offer(&exchange, TWO), Ok(Role::Offer));
    }

    #[test]
    fn only_its_own_2xx_answers_an_update() {
        let servers = servers(&["UPDATE", "INFO"]);
        let mut exchange = Exchange::default();
        exchange.offered(Side::Caller, servers[0], false);
        for (server, method, code, expected) in [
            (servers[0], "UPDATE", 200, Role::Answer),
            (servers[0], "UPDATE", 183, Role::Neither),
            (servers[0], "UPDATE", 491, Role::Neither),
            (servers[1], "UPDATE", 200, Role::Neither),
            (servers[1], "INFO", 200, Role::Neither),
        ] {
            let found = role(&exchange, Side::Callee, (server, method), code, ONE);
            assert_eq!(found, Ok(expected), "{method} {code}");
        }
        assert!(exchange.waits(servers[0]) && !exchange.waits(servers[1]));
    }
}
