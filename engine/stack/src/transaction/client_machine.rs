//! The state of a client transaction of either kind, and what can happen to it in the words of neither.

use wire::Method;

use super::table::{ClientAction, Step, go};
use super::{Wake, invite_client, non_invite_client};

/// The state of either machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientState {
    Invite(invite_client::State),
    Other(non_invite_client::State),
}

/// What can happen to a client transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientInput {
    /// The request may go: its destination is known.
    Send,
    /// The transaction user cancels the INVITE.
    Cancel,
    /// A response with this code.
    Response(u16),
    TransportError,
    Fired(Wake),
}

pub(super) type ClientStep = Step<ClientState, ClientAction>;

impl ClientState {
    /// What a stale id stands for: nothing happens there.
    pub(super) const GONE: ClientState = ClientState::Invite(invite_client::State::Terminated);

    pub(super) fn new(method: Method) -> ClientState {
        match method {
            Method::Invite => ClientState::Invite(invite_client::State::Waiting),
            _ => ClientState::Other(non_invite_client::State::Waiting),
        }
    }

    pub(super) fn step(self, input: ClientInput) -> ClientStep {
        let step = match self {
            ClientState::Invite(state) => invite_event(input)
                .map(|event| invite_client::step(state, event).map(ClientState::Invite)),
            ClientState::Other(state) => non_invite_event(input)
                .map(|event| non_invite_client::step(state, event).map(ClientState::Other)),
        };
        step.unwrap_or(go(self, &[]))
    }

    /// Nothing was sent yet.
    pub(super) fn is_waiting(self) -> bool {
        matches!(
            self,
            ClientState::Invite(invite_client::State::Waiting)
                | ClientState::Other(non_invite_client::State::Waiting)
        )
    }

    /// The request was sent and nothing has come back: an ICMP error may concern it.
    pub(super) fn is_unanswered(self) -> bool {
        matches!(
            self,
            ClientState::Invite(invite_client::State::Calling)
                | ClientState::Other(non_invite_client::State::Trying)
        )
    }

    /// A final response has come.
    pub(super) fn is_answered(self) -> bool {
        matches!(
            self,
            ClientState::Invite(invite_client::State::Completed | invite_client::State::Accepted)
                | ClientState::Other(non_invite_client::State::Completed)
        )
    }

    /// An INVITE that got a 2xx.
    pub(super) fn is_accepted(self) -> bool {
        self == ClientState::Invite(invite_client::State::Accepted)
    }

    pub(super) fn is_terminated(self) -> bool {
        matches!(
            self,
            ClientState::Invite(invite_client::State::Terminated)
                | ClientState::Other(non_invite_client::State::Terminated)
        )
    }
}

fn invite_event(input: ClientInput) -> Option<invite_client::Event> {
    use invite_client::Event;
    Some(match input {
        ClientInput::Send => Event::Send,
        ClientInput::Cancel => Event::Cancel,
        ClientInput::Response(..101) => Event::Trying,
        ClientInput::Response(101..200) => Event::Provisional,
        ClientInput::Response(200..300) => Event::Success,
        ClientInput::Response(300..) => Event::Failure,
        ClientInput::TransportError => Event::TransportError,
        ClientInput::Fired(Wake::TimerA) => Event::TimerA,
        ClientInput::Fired(Wake::TimerB) => Event::TimerB,
        ClientInput::Fired(Wake::TimerD) => Event::TimerD,
        ClientInput::Fired(Wake::TimerM) => Event::TimerM,
        ClientInput::Fired(Wake::Cancel) => Event::CancelTimer,
        ClientInput::Fired(_) => return None,
    })
}

fn non_invite_event(input: ClientInput) -> Option<non_invite_client::Event> {
    use non_invite_client::Event;
    Some(match input {
        ClientInput::Send => Event::Send,
        ClientInput::Response(..200) => Event::Provisional,
        ClientInput::Response(200..) => Event::Final,
        ClientInput::TransportError => Event::TransportError,
        ClientInput::Fired(Wake::TimerE) => Event::TimerE,
        ClientInput::Fired(Wake::TimerF) => Event::TimerF,
        ClientInput::Fired(Wake::TimerK) => Event::TimerK,
        ClientInput::Cancel | ClientInput::Fired(_) => return None,
    })
}
