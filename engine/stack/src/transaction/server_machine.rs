//! The state of a server transaction of either kind, and what can happen to it in the words of neither.

use wire::Method;

use super::table::{ServerAction, Step, go};
use super::{Wake, invite_server, non_invite_server};

/// The state of either machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    Invite(invite_server::State),
    Other(non_invite_server::State),
}

/// What can happen to a server transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum ServerInput {
    /// The request came again.
    Retransmission,
    Ack,
    /// The transaction user answers with this code.
    Answer(u16),
    /// The transaction user passes a response with this code on, which another made.
    Forward(u16),
    /// The transaction user saw the ACK for its 2xx.
    Acknowledged,
    Fired(Wake),
}

pub(super) type ServerStep = Step<ServerState, ServerAction>;

impl ServerState {
    /// What a stale id stands for: nothing happens there.
    pub(super) const GONE: ServerState = ServerState::Invite(invite_server::State::Terminated);

    pub(super) fn new(method: Method) -> ServerState {
        match method {
            Method::Invite => ServerState::Invite(invite_server::State::Trying),
            _ => ServerState::Other(non_invite_server::State::Trying),
        }
    }

    pub(super) fn step(self, input: ServerInput) -> ServerStep {
        let step = match self {
            ServerState::Invite(state) => invite_event(input)
                .map(|event| invite_server::step(state, event).map(ServerState::Invite)),
            ServerState::Other(state) => non_invite_event(input)
                .map(|event| non_invite_server::step(state, event).map(ServerState::Other)),
        };
        step.unwrap_or(go(self, &[]))
    }

    /// An INVITE of which nothing was heard yet.
    pub(super) fn is_unanswered_invite(self) -> bool {
        self == ServerState::Invite(invite_server::State::Trying)
    }

    /// An INVITE that got a provisional response.
    pub(super) fn is_proceeding_invite(self) -> bool {
        self == ServerState::Invite(invite_server::State::Proceeding)
    }

    pub(super) fn is_terminated(self) -> bool {
        matches!(
            self,
            ServerState::Invite(invite_server::State::Terminated)
                | ServerState::Other(non_invite_server::State::Terminated)
        )
    }
}

fn invite_event(input: ServerInput) -> Option<invite_server::Event> {
    use invite_server::Event;
    Some(match input {
        ServerInput::Retransmission => Event::Retransmission,
        ServerInput::Ack => Event::Ack,
        ServerInput::Answer(..200) => Event::Provisional,
        ServerInput::Answer(200..300) => Event::Success,
        ServerInput::Answer(300..) => Event::Failure,
        ServerInput::Forward(..200) => Event::Provisional,
        ServerInput::Forward(200..300) => Event::Forwarded,
        ServerInput::Forward(300..) => Event::Failure,
        ServerInput::Acknowledged => Event::Acknowledged,
        ServerInput::Fired(Wake::Trying) => Event::TryingTimer,
        ServerInput::Fired(Wake::TimerG) => Event::TimerG,
        ServerInput::Fired(Wake::TimerH) => Event::TimerH,
        ServerInput::Fired(Wake::TimerI) => Event::TimerI,
        ServerInput::Fired(Wake::TimerL) => Event::TimerL,
        ServerInput::Fired(Wake::Success) => Event::SuccessTimer,
        ServerInput::Fired(_) => return None,
    })
}

fn non_invite_event(input: ServerInput) -> Option<non_invite_server::Event> {
    use non_invite_server::Event;
    Some(match input {
        ServerInput::Retransmission => Event::Retransmission,
        ServerInput::Answer(..200) | ServerInput::Forward(..200) => Event::Provisional,
        ServerInput::Answer(408) | ServerInput::Forward(408) => Event::Timeout,
        ServerInput::Answer(200..) | ServerInput::Forward(200..) => Event::Final,
        ServerInput::Fired(Wake::TryingLate) => Event::TryingTimer,
        ServerInput::Fired(Wake::TimerJ) => Event::TimerJ,
        ServerInput::Ack | ServerInput::Acknowledged | ServerInput::Fired(_) => return None,
    })
}
