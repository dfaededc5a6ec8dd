//! The addresses of media: the ports of the router's shards, and the translators in front of the
//! parties. Which packet goes where follows from these alone.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use media::PortPair;

use super::LISTENERS;
use crate::agent::{Agent, AgentId, Side};
use crate::plan::{MediaPlan, Nat, Plan};

/// The first port of the first shard.
const FIRST: u16 = 20_000;
/// Ports of a shard.
const OF_SHARD: u16 = 1_000;
/// What a translator adds to a port.
const SHIFT: u16 = 20_000;

/// The router's addresses of either family that media comes to.
fn hosts() -> [IpAddr; 2] {
    let host = |at: usize| {
        LISTENERS[at]
            .parse()
            .map(|address: SocketAddr| address.ip())
    };
    [0, 2].map(|at| host(at).unwrap_or(IpAddr::from([0, 0, 0, 0])))
}

/// The media settings of a shard.
pub(super) fn config(plan: &Plan, shard: u8, seed: u64) -> media::Config {
    let Some(media) = &plan.media else {
        return media::Config::default();
    };
    media::Config {
        pairs: pairs(media, shard),
        first_listener: LISTENERS.len() as u16,
        silence: media.silence,
        seed,
        ..media::Config::default()
    }
}

fn pairs(plan: &MediaPlan, shard: u8) -> Vec<PortPair> {
    let base = FIRST + u16::from(shard) * OF_SHARD;
    let of_host = |host: IpAddr| {
        (0..plan.pairs).map(move |at| PortPair {
            bound: host,
            advertised: host,
            rtp_port: base + 2 * at,
        })
    };
    hosts().into_iter().flat_map(of_host).collect()
}

/// The router's port of a socket of a shard.
pub(super) fn address(plan: &Plan, shard: usize, listener: u16) -> Option<SocketAddr> {
    let pairs = plan.media.as_ref()?.pairs;
    let socket = listener.checked_sub(LISTENERS.len() as u16)?;
    let (host, port) = (
        hosts()[usize::from(socket / (2 * pairs))],
        socket % (2 * pairs),
    );
    Some(SocketAddr::new(
        host,
        FIRST + shard as u16 * OF_SHARD + port,
    ))
}

/// The shard and listener of one of the router's ports.
pub(super) fn socket(plan: &Plan, to: SocketAddr) -> Option<(usize, u16)> {
    let pairs = plan.media.as_ref()?.pairs;
    let host = hosts().iter().position(|host| *host == to.ip())? as u16;
    let port = to.port().checked_sub(FIRST)?;
    let (shard, port) = (port / OF_SHARD, port % OF_SHARD);
    let known = shard < u16::from(plan.shards) && port < 2 * pairs;
    known.then(|| {
        let listener = LISTENERS.len() as u16 + host * 2 * pairs + port;
        (usize::from(shard), listener)
    })
}

/// All of the router's ports, by number.
pub(super) fn nth(plan: &Plan, number: u64) -> Option<SocketAddr> {
    let pairs = u64::from(plan.media.as_ref()?.pairs);
    let (shard, rest) = (
        number % u64::from(plan.shards),
        number / u64::from(plan.shards),
    );
    address(
        plan,
        shard as usize,
        LISTENERS.len() as u16 + (rest % (4 * pairs)) as u16,
    )
}

/// The address that the world sees of a party's socket.
pub(crate) fn outside(id: AgentId, nat: Option<Nat>, inside: SocketAddr) -> SocketAddr {
    let port = inside.port() + SHIFT;
    match (nat, inside.ip()) {
        (None, _) => inside,
        (Some(Nat::Host), IpAddr::V4(ip)) => {
            let [_, _, high, low] = ip.octets();
            let leg = match id.side {
                Side::Caller => 65,
                Side::Callee => 66,
            };
            SocketAddr::from(([100, leg, high, low], port))
        }
        (Some(_), ip) => SocketAddr::new(ip, port),
    }
}

/// Who has which address, and what the translators let in.
#[derive(Debug, Default)]
pub(super) struct Parties {
    hosts: HashMap<IpAddr, usize>,
    /// Address outside, address that was sent to from there.
    pinholes: HashSet<(SocketAddr, SocketAddr)>,
}

impl Parties {
    pub(super) fn new(agents: &[Agent]) -> Parties {
        let mut hosts = HashMap::new();
        for (at, agent) in agents.iter().enumerate() {
            let (id, inside) = (agent.identity.id, agent.identity.address);
            let nat = agent.talk_plan().and_then(|plan| plan.nat);
            hosts.insert(inside.ip(), at);
            hosts.insert(outside(id, nat, inside).ip(), at);
        }
        let pinholes = HashSet::new();
        Parties { hosts, pinholes }
    }

    /// The party that has this address, translated or not.
    pub(super) fn at(&self, address: SocketAddr) -> Option<usize> {
        self.hosts.get(&address.ip()).copied()
    }

    /// The address a packet of this party has when it is out.
    pub(super) fn leave(&mut self, agent: &Agent, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let nat = agent.talk_plan().and_then(|plan| plan.nat);
        let outside = outside(agent.identity.id, nat, from);
        if outside != from {
            self.pinholes.insert((outside, to));
        }
        outside
    }

    /// Whether a packet gets through to this party.
    pub(super) fn lets_in(&self, agent: &Agent, from: SocketAddr, to: SocketAddr) -> bool {
        let nat = agent.talk_plan().and_then(|plan| plan.nat);
        nat.is_none() || self.pinholes.contains(&(to, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CallPlan;

    #[test]
    fn ports_and_sockets_belong_together() {
        let plan = Plan {
            shards: 3,
            media: Some(MediaPlan {
                pairs: 4,
                ..MediaPlan::default()
            }),
            ..Plan::of(CallPlan::answered())
        };
        for shard in 0..3u8 {
            let config = config(&plan, shard, 1);
            for (at, pair) in config.pairs.iter().enumerate() {
                let rtp = SocketAddr::new(pair.advertised, pair.rtp_port);
                let listener = config.first_listener + 2 * at as u16;
                assert_eq!(socket(&plan, rtp), Some((usize::from(shard), listener)));
                assert_eq!(address(&plan, usize::from(shard), listener), Some(rtp));
            }
        }
        assert_eq!(socket(&plan, SocketAddr::new(hosts()[0], FIRST + 8)), None);
        let all: HashSet<_> = (0..48).filter_map(|number| nth(&plan, number)).collect();
        assert_eq!(all.len(), 48);
    }
}
