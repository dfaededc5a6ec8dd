//! How a world is furnished: the router's configuration, the agents and their addresses, the routing DB
//! that leads each call to its callee. Nothing happens here yet.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use router::Timers;
use router::rdb::Table;
use shard::{Accounting, Config, Limits, Listener, Peer, Peers};

use crate::agent::{Agent, AgentId, Identity, Part, Side};
use crate::draw::Draw;
use crate::plan::{CallPlan, Flow, Plan, RoutePlan};

pub(super) fn config(
    plan: &Plan,
    shard: u8,
    steer_key: u64,
    seed: u64,
    listeners: &[SocketAddr],
    table: &Arc<Table>,
) -> Config {
    let listener = |address: &SocketAddr| Listener {
        address: *address,
        advertise_host: match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        },
        advertise_port: address.port(),
    };
    let timers = Timers {
        in_dialog_probe: plan.router.probe,
        ..Timers::default()
    };
    Config {
        timers,
        session_timer: plan.router.session_timer,
        shard,
        shards: plan.shards,
        steer_key,
        seed,
        limits: Limits {
            calls: plan.calls_max,
            // No world needs more, and a router's million takes longer to make than a world to play.
            transactions: 50_000,
            ..Limits::default()
        },
        server_name: Some("tipring".to_owned()),
        media: super::ports::config(plan, shard, seed ^ 0x6d65_6469_6101),
        peers: Arc::new(Peers::new(peers(plan))),
        accounting: Accounting {
            calls: true,
            timeline: true,
            records: true,
        },
        ..Config::new(listeners.iter().map(listener).collect(), table.clone())
    }
}

/// How each party is treated.
pub(super) fn peers(plan: &Plan) -> Vec<(IpAddr, u8, Peer)> {
    let mut peers = Vec::new();
    for (call, planned) in plan.calls.iter().enumerate() {
        let talks = [
            (Side::Caller, &planned.caller.talk),
            (Side::Callee, &planned.callee.talk),
        ];
        for (side, talk) in talks {
            let host = agent_address(AgentId { call, side }, &planned.route).ip();
            let latching = talk.as_ref().map(|talk| talk.latching);
            let peer = Peer {
                latching: latching.unwrap_or_default(),
                reliable: plan.router.reliable,
                ..Peer::default()
            };
            peers.push((host, 128, peer));
        }
    }
    peers
}

pub(super) fn agents(plan: &Plan, listeners: &[SocketAddr], draw: &mut Draw) -> Vec<Agent> {
    let mut agents = Vec::new();
    for (
        call,
        CallPlan {
            caller,
            callee,
            route,
        },
    ) in plan.calls.iter().enumerate()
    {
        let home = listeners[draw.between(0, 1) as usize];
        let parts = [
            (Side::Caller, Part::Caller(caller.clone())),
            (Side::Callee, Part::Callee(callee.clone())),
        ];
        for (side, part) in parts {
            let id = AgentId { call, side };
            let address = agent_address(id, route);
            let router = if address.is_ipv4() {
                home
            } else {
                listeners[2]
            };
            let identity = Identity {
                id,
                address,
                router,
                number: number(call),
                host_name: host_name(id),
            };
            agents.push(Agent::new(identity, part, draw.fork()));
        }
    }
    agents
}

/// Where an agent lives. The first two numbers tell the leg, so that any trace of them on the other
/// leg is found.
fn agent_address(AgentId { call, side }: AgentId, route: &RoutePlan) -> SocketAddr {
    let [high, low] = (call as u16 + 1).to_be_bytes();
    let port = 5060 + call as u16 % 7;
    match side {
        Side::Caller => SocketAddr::from(([10, 1, high, low], port)),
        Side::Callee if route.ipv6 => {
            SocketAddr::from(([0xfd02, 0, 0, 0, 0, 0, 0, call as u16 + 1], port))
        }
        Side::Callee => SocketAddr::from(([10, 2, high, low], port)),
    }
}

/// The number that a call dials.
fn number(call: usize) -> String {
    format!("+4930{call:05}")
}

fn host_name(AgentId { call, side }: AgentId) -> String {
    format!("host{call}.leg-{}.example", side.letter())
}

/// The routing DB that leads each call to its callee.
pub(super) fn routing_db(plan: &Plan) -> String {
    let routed = plan
        .calls
        .iter()
        .enumerate()
        .filter(|(_, call)| !call.route.missing);
    let records: Vec<String> = routed.map(|(at, call)| record(at, &call.route)).collect();
    format!("[{}]", records.join(","))
}

fn record(call: usize, route: &RoutePlan) -> String {
    let id = AgentId {
        call,
        side: Side::Callee,
    };
    let address = agent_address(id, route);
    let target = match route.name {
        Some(_) => format!("{}:{}", host_name(id), address.port()),
        None => address.to_string(),
    };
    let flow = match route.flow {
        Flow::Transparent => "Transparent",
        Flow::EarlyToFinal => "TransformEarlyToFinal",
        Flow::Echo => "EchoResponder",
    };
    let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
    let (pattern, out_user) = match call % 3 {
        0 => (format!("^\\\\+4930{call:05}$"), String::new()),
        1 => (format!("^\\\\+49(30{call:05})$"), "00$1".to_owned()),
        _ => (format!("30{call:05}$"), format!("callee{call}")),
    };
    format!(
        r#"{{"userpartPattern":"{pattern}","routingRecord":{{"noAnswerTimeout":{},"no18xTimeout":{},
        "maxCallDuration":{},"outRuriUserpart":"{out_user}","outRuriHostport":"{target}",
        "outCallFlow":"{flow}","disallowSimilar18x":{},"disallowDifferent18x":{},
        "steerMedia":{}}}}}"#,
        seconds(route.no_answer),
        seconds(route.no_18x),
        seconds(route.max_duration),
        route.disallow_similar_18x,
        route.disallow_different_18x,
        route.steer,
    )
}
