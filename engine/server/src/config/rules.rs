//! Rules of the configuration that need more than one key: what must differ, what must fit together.
//! Each names the key that the operator should look at.

use std::collections::BTreeMap;

use super::abuse;
use super::auth;
use super::calls;
use super::events;
use super::http;
use super::media;
use super::registrar;
use super::schema::{Config, Listen};

/// A broken rule: the key and what is wrong with it.
pub(crate) type Broken = (String, String);

/// Checks every rule; empty when all hold.
pub(crate) fn check(config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    listeners(config, &mut broken);
    shards(config, &mut broken);
    peers(config, &mut broken);
    timers(config, &mut broken);
    media::check(config, &mut broken);
    abuse::check(&config.abuse, &mut broken);
    http::check(&config.http, &mut broken);
    servers(config, &mut broken);
    session_timer(config, &mut broken);
    registrar::check(&config.registrar, &config.domain, &mut broken);
    auth::check(&config.auth, &mut broken);
    calls::check(&config.hep, &mut broken);
    events::check(&config.events, &mut broken);
    broken
}

/// RFC 4028 7.1: nobody asks for an interval below the minimum it names.
fn session_timer(config: &Config, broken: &mut Vec<Broken>) {
    let timer = &config.session_timer;
    if timer.session_expires_s < timer.min_se_s {
        let message = format!("must not be below min_se_s, which is {}", timer.min_se_s);
        broken.push(("session_timer.session_expires_s".into(), message));
    }
}

fn listeners(config: &Config, broken: &mut Vec<Broken>) {
    if config.listen.is_empty() {
        let message = "no address to receive SIP on; add a [[listen]] with address = \"ip:port\"";
        broken.push(("listen".into(), message.into()));
    }
    let mut seen = BTreeMap::new();
    for (index, listen) in config.listen.iter().enumerate() {
        let address = listen.address.0;
        let key = format!("listen[{index}].address");
        if address.ip().is_unspecified() && listen.advertise.is_none() {
            broken.push((key.clone(), wildcard_advice(listen)));
        }
        match seen.insert(address, index) {
            Some(first) if address.port() != 0 => {
                broken.push((
                    key,
                    format!("{address} is also the address of listen[{first}]"),
                ));
            }
            _ => {}
        }
    }
}

fn wildcard_advice(listen: &Listen) -> String {
    format!(
        "{} receives on every address, but peers must be told one: add \
         advertise = \"host:port\" to this [[listen]]",
        listen.address
    )
}

fn shards(config: &Config, broken: &mut Vec<Broken>) {
    let engine = &config.engine;
    let (shards, cpus) = (usize::from(engine.shards), engine.cpus.len());
    if shards != 0 && cpus != 0 && shards != cpus {
        let message = format!("lists {cpus} CPUs for {shards} shards; list one per shard, or none");
        broken.push(("engine.cpus".into(), message));
    }
    let mut seen = BTreeMap::new();
    for (index, cpu) in engine.cpus.iter().enumerate() {
        if let Some(first) = seen.insert(cpu, index) {
            let message = format!("CPU {cpu} already carries the shard of cpus[{first}]");
            broken.push((format!("engine.cpus[{index}]"), message));
        }
    }
}

fn peers(config: &Config, broken: &mut Vec<Broken>) {
    let mut names = BTreeMap::new();
    let mut networks = BTreeMap::new();
    for (index, peer) in config.peer.iter().enumerate() {
        if let Some(first) = names.insert(&peer.name, index) {
            let message = format!("\"{}\" is also the name of peer[{first}]", peer.name);
            broken.push((format!("peer[{index}].name"), message));
        }
        for (place, network) in peer.addresses.iter().enumerate() {
            if let Some(first) = networks.insert(network, index) {
                let message = format!("{network} is also listed by peer[{first}]");
                broken.push((format!("peer[{index}].addresses[{place}]"), message));
            }
        }
    }
}

/// Servers that requests are sent to must be reachable from a listener, and be someone else.
fn servers(config: &Config, broken: &mut Vec<Broken>) {
    let server = (
        "application_server.address",
        config.application_server.address,
    );
    let proxy = ("routing.outbound_proxy", config.routing.outbound_proxy);
    for (key, address) in [server, proxy] {
        let Some(address) = address.map(|address| address.0) else {
            continue;
        };
        let mut listeners = config.listen.iter().map(|listen| listen.address.0);
        if listeners.clone().any(|own| own == address) {
            let message =
                format!("{address} is this router's own: calls would go round in circles");
            broken.push((key.into(), message));
        } else if !config.listen.is_empty()
            && !listeners.any(|own| own.is_ipv4() == address.is_ipv4())
        {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let message =
                format!("{address} cannot be reached: no [[listen]] has an {family} address");
            broken.push((key.into(), message));
        }
    }
}

fn timers(config: &Config, broken: &mut Vec<Broken>) {
    let timers = &config.timers;
    if timers.t2_ms < timers.t1_ms {
        let message = format!("must not be below t1_ms, which is {}", timers.t1_ms);
        broken.push(("timers.t2_ms".into(), message));
    }
}
