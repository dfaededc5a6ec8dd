//! Scenarios sipp cannot play, as scripts of `agent`: races with two right orders, raw bytes, one socket
//! on both ends of a call, limits. The manifest names them; each takes the stage and says what failed.

mod admission;
mod byes;
mod lifetime;
mod loops;
mod rubbish;

use crate::agent::{Agent, Request};
use crate::failure::Failure;
use crate::router::Router;
use crate::scenarios::manifest::Scenario;
use crate::sip::Message;
use std::net::{IpAddr, SocketAddr};

/// Where a script plays.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// The router.
    pub(crate) router: &'a Router,
    /// The caller's IP address.
    pub(crate) caller_ip: IpAddr,
    /// Where the routing record sends the scenario's number.
    pub(crate) callee: SocketAddr,
    /// What the manifest says of the scenario.
    pub(crate) scenario: &'a Scenario,
}

/// A script.
pub(crate) type Script = fn(&Stage<'_>) -> Result<(), Failure>;

/// The script of this name.
pub(crate) fn find(name: &str) -> Option<Script> {
    Some(match name {
        "back_to_sender" => loops::back_to_sender,
        "bye_crossing_bye" => byes::bye_crossing_bye,
        "drain" => lifetime::drain,
        "malformed" => rubbish::malformed,
        "overload_limit" => admission::overload_limit,
        "reload" => lifetime::reload,
        "register_without_registrar" => admission::register_without_registrar,
        "torture" => rubbish::torture,
        "unknown_scheme" => admission::unknown_scheme,
        _ => return None,
    })
}

/// A call that is up: both agents, and what made it.
struct Call {
    caller: Agent,
    callee: Agent,
    invite: Request,
    answer: Message,
    seen: Message,
}

/// The callee's tag in every scripted call.
const CALLEE_TAG: &str = "scripted-callee";

impl Stage<'_> {
    /// The number to dial.
    fn number(&self) -> &str {
        &self.scenario.number
    }

    fn caller(&self) -> Result<Agent, Failure> {
        Agent::bind("caller", self.caller_ip, self.router.address)
    }

    fn callee(&self) -> Result<Agent, Failure> {
        Agent::bind_at("callee", self.callee, self.router.address)
    }

    /// Places a call and has it answered.
    fn establish(&self) -> Result<Call, Failure> {
        let (caller, callee) = (self.caller()?, self.callee()?);
        let invite = caller.invite(self.number());
        caller.send(&invite)?;
        let seen = callee.expect_request("INVITE")?;
        callee.answer(&seen, 200, CALLEE_TAG, crate::agent::SDP)?;
        let answer = caller.expect_answer(&invite, 200)?;
        caller.acknowledge(&invite, &answer)?;
        callee.expect_request("ACK")?;
        Ok(Call {
            caller,
            callee,
            invite,
            answer,
            seen,
        })
    }
}

impl Call {
    /// The caller hangs up; both sides see the end.
    fn hang_up(&self) -> Result<(), Failure> {
        let bye = self.caller.in_dialog("BYE", &self.invite, &self.answer);
        self.caller.send(&bye)?;
        let seen = self.callee.expect_request("BYE")?;
        self.callee.answer(&seen, 200, CALLEE_TAG, "")?;
        self.caller.expect_answer(&bye, 200).map(drop)
    }
}
