//! From a configuration to what each shard is made of: how many shards on which CPUs, their part of
//! the limits, their listeners. Values only; nothing is opened or started.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use media::PortPair;
use reactor::{ReactorConfig, UdpListener, UdpOptions};
use router::Directory;
use router::rdb::{CallFlow, Record, Table};
use stack::digest::Secret;
use wire::Method;

use crate::abuse;
use crate::auth;
use crate::config::{
    Config, Journal, LatchingMode, Limits, Listen, Loaded, Media, Network, Overload, Peer,
    PeerClass, Refresher, Relayed, SHARDS_MAX, SessionTimerMode,
};
use crate::events;
use crate::housekeeping::RecordSettings;
use crate::housekeeping::journal::Manner;
use crate::peers::PeerTable;
use crate::registrar;

/// The shards' CPUs, one each; `None` where the machine has fewer than there are shards.
pub(crate) type Places = Vec<Option<usize>>;

/// The configuration asks for CPUs this process may not use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("engine.cpus lists CPU {cpu}, which this process may not use; it may use {allowed:?}")]
pub(crate) struct NoSuchCpu {
    cpu: usize,
    allowed: Vec<usize>,
}

/// Chooses the shards and their CPUs.
pub(crate) fn places(config: &Config, allowed: &[usize]) -> Result<Places, NoSuchCpu> {
    let engine = &config.engine;
    let listed: Vec<usize> = engine.cpus.iter().copied().map(usize::from).collect();
    if let Some(&cpu) = listed.iter().find(|cpu| !allowed.contains(cpu)) {
        return Err(NoSuchCpu {
            cpu,
            allowed: allowed.to_vec(),
        });
    }
    let cpus = if listed.is_empty() { allowed } else { &listed };
    let shards = match usize::from(engine.shards) {
        0 => cpus.len().clamp(1, SHARDS_MAX as usize),
        shards => shards,
    };
    Ok((0..shards).map(|shard| cpus.get(shard).copied()).collect())
}

/// What each of so many reactors is built from.
pub(crate) fn reactor(config: &Config, shards: usize) -> ReactorConfig {
    let (udp, media) = (&config.udp, &config.media);
    let pairs = media.pairs(&config.listen).div_ceil(shards.max(1));
    // Each address is divided for itself, so that a shard may get a pair more of each.
    let uneven = media.addresses(&config.listen).len();
    let sockets = config.listen.len() + 2 * (pairs + uneven);
    ReactorConfig {
        ring_entries: udp.ring_entries,
        buffers: udp.buffers,
        buffer_bytes: config.limits.message_bytes,
        spin: Duration::from_micros(udp.spin_us),
        sockets_max: u16::try_from(sockets).unwrap_or(u16::MAX),
        small_buffers: if pairs > 0 { media.buffers } else { 0 },
        receive_times_every: match config.measures_latency() {
            true => config.latency.kernel_wait_every,
            false => 0,
        },
        ..ReactorConfig::default()
    }
}

/// What a socket is built with.
pub(crate) fn udp(config: &Config) -> UdpOptions {
    UdpOptions {
        receive_buffer_bytes: config.udp.receive_buffer_bytes,
        send_buffer_bytes: config.udp.send_buffer_bytes,
        dscp: Some(config.udp.dscp).filter(|&dscp| dscp != 0),
        ..UdpOptions::default()
    }
}

/// What a media socket is built with. That a peer of media cannot be reached is told by its silence.
pub(crate) fn media_udp(media: &Media) -> UdpOptions {
    UdpOptions {
        receive_buffer_bytes: media.socket_buffer_bytes,
        send_buffer_bytes: media.socket_buffer_bytes,
        dscp: Some(media.dscp).filter(|&dscp| dscp != 0),
        report_errors: false,
    }
}

/// What to say when routes of the loaded DB cannot work with the ports of `config`.
pub(crate) fn media_warning(config: &Config, loaded: &Loaded) -> Option<String> {
    let (records, its) = match routes_without_media(config, &loaded.table) {
        0 => return None,
        1 => ("1 record needs".to_owned(), "its"),
        records => (format!("{records} records need"), "their"),
    };
    Some(format!(
        "{}: {records} media (steerMedia or EchoResponder), but there is no media.ports: {its} calls \
         are refused with 503",
        loaded.rdb
    ))
}

fn routes_without_media(config: &Config, table: &Table) -> usize {
    if config.media.ports.is_some() {
        return 0;
    }
    let needs_media =
        |record: &&Record| record.steer_media || record.flow == CallFlow::EchoResponder;
    (0..table.len())
        .filter_map(|index| table.record(index))
        .filter(needs_media)
        .count()
}

/// What all shards have in common, from which each gets its own.
pub(crate) struct Common<'c> {
    /// The configuration.
    pub(crate) config: &'c Config,
    /// The routing DB.
    pub(crate) table: &'c Arc<Table>,
    /// The local domains and their users.
    pub(crate) directory: &'c Arc<Directory>,
    /// How many shards there are.
    pub(crate) shards: u8,
    /// Key of the steering function.
    pub(crate) steer_key: u64,
    /// Where the keys of nonces come from.
    pub(crate) nonce_secret: Secret,
    /// Microseconds from the Unix epoch to the zero of the shards' clock.
    pub(crate) unix_us: u64,
    /// Keys of what is proven.
    pub(crate) proof_keys: &'c shard::ProofKeys,
}

impl Common<'_> {
    /// The settings of shard `id` that received these sockets, one for each listener in order, and
    /// these pairs of media ports.
    pub(crate) fn shard(
        &self,
        id: u8,
        seed: u64,
        sockets: &[UdpListener],
        pairs: Vec<PortPair>,
    ) -> shard::Config {
        let listeners = self.config.listen.iter().zip(sockets);
        shard::Config {
            shard: id,
            shards: self.shards,
            steer_key: self.steer_key,
            seed,
            listeners: listeners
                .map(|(listen, socket)| listener(listen, socket))
                .collect(),
            timers: timers(self.config),
            limits: limits(&self.config.limits, self.shards),
            table: Arc::clone(self.table),
            server_name: self.config.engine.server_name.clone(),
            media: media::Config {
                pairs,
                first_listener: sockets.len() as u16,
                ..media_settings(&self.config.media, seed)
            },
            peers: peers(self.config.media.latching, &self.config.peer),
            outbound: outbound(self.config),
            relay: relay(self.config),
            session_timer: session_timer(self.config),
            overload: overload(&self.config.overload),
            abuse: abuse::rules(&self.config.abuse),
            directory: Arc::clone(self.directory),
            registrar: Some(registrar::settings(&self.config.registrar)),
            auth: auth::rules(&self.config.auth),
            nonce_secret: self.nonce_secret.clone(),
            unix_us: self.unix_us,
            accounting: accounting(self.config),
            proof_keys: self.proof_keys.clone(),
            events: events::settings(&self.config.events),
        }
    }
}

fn media_settings(media: &Media, seed: u64) -> media::Config {
    media::Config {
        latch_window: Duration::from_millis(media.latch_window_ms),
        silence: (media.timeout_s > 0).then(|| Duration::from_secs(media.timeout_s)),
        // Another number than the one tokens are made from, and no less secret.
        seed: seed.rotate_left(32) ^ 0x006d_6564_6961,
        ..media::Config::default()
    }
}

/// How each peer is treated. Whoever is not configured, or says nothing of its media, gets `default`
/// for it.
pub(crate) fn peers(default: LatchingMode, peers: &[Peer]) -> Arc<shard::Peers> {
    let everybody: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let unnamed = shard::Peer {
        latching: default.into(),
        ..shard::Peer::default()
    };
    let everybody = everybody.map(|any| (any, 0, unnamed));
    let of_peer = |peer: &Peer| {
        let treatment = shard::Peer {
            latching: peer.media.unwrap_or(default).into(),
            trusted: peer.trusted,
            overload_control: peer.overload_control,
            transfers: peer.transfers.into(),
            reliable: peer.reliable_provisionals.into(),
            exempt: peer.abuse_exempt.unwrap_or(peer.class == PeerClass::Trunk),
            authenticate: peer.authenticate.map(Into::into),
        };
        let networks = peer.addresses.clone().into_iter();
        networks.map(move |Network(net)| (net.addr(), net.prefix_len(), treatment))
    };
    let peers = peers.iter().flat_map(of_peer);
    Arc::new(shard::Peers::new(everybody.into_iter().chain(peers)))
}

fn listener(listen: &Listen, socket: &UdpListener) -> shard::Listener {
    let address = socket.local_address();
    let own_host = || match address {
        std::net::SocketAddr::V4(v4) => v4.ip().to_string(),
        std::net::SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    let advertise = listen.advertise.as_ref();
    shard::Listener {
        address,
        advertise_host: advertise.map_or_else(own_host, |advertise| advertise.host.clone()),
        advertise_port: advertise
            .and_then(|advertise| advertise.port)
            .unwrap_or(address.port()),
    }
}

/// Where calls leave to beside what the routing DB says.
pub(crate) fn outbound(config: &Config) -> shard::Outbound {
    let server = &config.application_server;
    let application_server = server.address.map(|address| shard::ApplicationServer {
        address: address.0,
        sources: server.sources.iter().map(|source| source.0).collect(),
        keep_alive: seconds(server.keep_alive_s),
        failures: server.failures,
    });
    shard::Outbound {
        application_server,
        proxy: config.routing.outbound_proxy.map(|address| address.0),
    }
}

/// When new calls are refused because a shard has more to do than it can.
/// How the journal is kept.
pub(crate) fn journal(journal: &Journal) -> Manner {
    Manner {
        commit: Duration::from_millis(journal.commit_ms),
        rotate_bytes: journal.rotate_bytes,
    }
}

fn overload(overload: &Overload) -> shard::Overload {
    let target = Duration::from_millis(overload.target_ms);
    shard::Overload {
        target: overload.enabled.then_some(target),
        priority: shard::PriorityNumbers::new(overload.priority_numbers.iter().cloned()),
        refusals_per_call: overload.refusals_per_call,
        resource_priorities: shard::ResourcePriorities::new(
            overload.resource_priorities.iter().cloned(),
        ),
    }
}

/// What is kept of calls for those who ask.
pub(crate) fn accounting(config: &Config) -> shard::Accounting {
    let shown = config.http.address.is_some();
    shard::Accounting {
        calls: shown,
        timeline: shown,
        records: config.cdr.directory.is_some(),
    }
}

/// How records of calls are written; `None`: they are not.
pub(crate) fn records(loaded: &Loaded) -> Option<RecordSettings> {
    let cdr = &loaded.config.cdr;
    Some(RecordSettings {
        directory: loaded.records_directory()?,
        format: cdr.format,
        rotate_bytes: cdr.rotate_bytes,
        rotate_every: seconds(cdr.rotate_s),
        keep: cdr.keep,
        peers: Arc::new(PeerTable::new(&loaded.config.peer)),
    })
}

/// What is passed on outside any dialog.
pub(crate) fn relay(config: &Config) -> shard::Methods {
    let method = |relayed: &Relayed| match relayed {
        Relayed::Message => Method::Message,
        Relayed::Publish => Method::Publish,
        Relayed::Subscribe => Method::Subscribe,
        Relayed::Info => Method::Info,
        Relayed::Options => Method::Options,
        Relayed::Refer => Method::Refer,
        Relayed::Notify => Method::Notify,
    };
    shard::Methods::of(config.routing.relay.iter().map(method))
}

fn session_timer(config: &Config) -> Option<shard::SessionTimer> {
    let timer = &config.session_timer;
    let settings = shard::SessionTimer {
        session_expires_s: timer.session_expires_s,
        min_se_s: timer.min_se_s,
        refreshes: match timer.refresher {
            Refresher::Auto => shard::Refreshes::Auto,
            Refresher::Peer => shard::Refreshes::Peer,
            Refresher::Router => shard::Refreshes::Router,
        },
    };
    (timer.mode == SessionTimerMode::On).then_some(settings)
}

/// 0 is never.
fn seconds(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn timers(config: &Config) -> shard::Timers {
    let timers = &config.timers;
    shard::Timers {
        stack: stack::TimerConfig {
            t1: Duration::from_millis(timers.t1_ms),
            t2: Duration::from_millis(timers.t2_ms),
            t4: Duration::from_millis(timers.t4_ms),
            trying: Duration::from_millis(timers.trying_ms),
        },
        ringing: Duration::from_secs(timers.ringing_s),
        in_dialog_probe: seconds(timers.in_dialog_probe_s),
    }
}

/// One shard's part; parts are rounded up, so that together they are never less than asked for.
fn limits(limits: &Limits, shards: u8) -> shard::Limits {
    let part = |all: usize| all.div_ceil(usize::from(shards.max(1)));
    shard::Limits {
        calls: part(limits.calls),
        transactions: part(limits.transactions),
        names: part(limits.names),
        retry_after_s: limits.retry_after_s,
        wire: wire::Limits {
            headers_max: limits.headers,
            header_bytes_max: limits.header_bytes,
            ..wire::Limits::default()
        },
        subscriptions: part(limits.subscriptions),
        registrations: limits.registrations,
        bindings: limits.bindings,
        contacts: limits.contacts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(shards: u16, cpus: &[u16]) -> Config {
        let mut config = Config::default();
        (config.engine.shards, config.engine.cpus) = (shards, cpus.to_vec());
        config
    }

    #[test]
    fn a_shard_for_each_cpu_unless_told_otherwise() {
        let places = |shards, cpus: &[u16]| places(&config(shards, cpus), &[0, 2, 3]);
        assert_eq!(places(0, &[]), Ok(vec![Some(0), Some(2), Some(3)]));
        assert_eq!(places(2, &[]), Ok(vec![Some(0), Some(2)]));
        assert_eq!(places(0, &[3, 0]), Ok(vec![Some(3), Some(0)]));
        assert_eq!(
            places(5, &[]),
            Ok(vec![Some(0), Some(2), Some(3), None, None])
        );
        assert!(places(0, &[1]).unwrap_err().to_string().contains("CPU 1"));
    }

    #[test]
    fn sockets_are_planned_with_their_buffers() {
        let mut config = config(2, &[]);
        let planned = |config: &Config| {
            let reactor = reactor(config, 2);
            (reactor.sockets_max, reactor.small_buffers)
        };
        assert_eq!(planned(&config), (0, 0));
        let listen = "[[listen]]\naddress = '127.0.0.1:5060'\n[media]\nports = '16384-16395'\n";
        config = toml::from_str(listen).expect("a configuration");
        // The listener, three pairs, and a pair that may be left over.
        assert_eq!(planned(&config), (9, 512));
    }

    #[test]
    fn routes_that_need_media_are_counted_when_there_is_none() {
        let record = |flow: &str, steer: bool| {
            format!(
                r#"{{"userpartPattern": "^1", "routingRecord": {{"noAnswerTimeout": 0,
                "no18xTimeout": 0, "maxCallDuration": 0, "outRuriUserpart": "",
                "outRuriHostport": "192.0.2.1", "outCallFlow": "{flow}", "disallowSimilar18x": false,
                "disallowDifferent18x": false, "steerMedia": {steer}}}}}"#
            )
        };
        let records = [
            record("Transparent", true),
            record("Transparent", false),
            record("EchoResponder", false),
        ];
        let table = Table::parse(&format!("[{}]", records.join(","))).expect("a routing DB");
        let mut config = config(1, &[]);
        assert_eq!(routes_without_media(&config, &table), 2);
        config.media.ports = Some("16384-16387".to_owned().try_into().expect("a range"));
        assert_eq!(routes_without_media(&config, &table), 0);
    }

    #[test]
    fn the_longest_prefix_says_how_far_media_may_move() {
        let text = "[[listen]]\naddress = '127.0.0.1:5060'\n\
                    [[peer]]\nname = 'a'\nclass = 'trunk'\naddresses = ['10.0.0.0/8', '2001:db8::/32']\nmedia = 'latch'\n\
                    [[peer]]\nname = 'b'\nclass = 'trunk'\naddresses = ['10.1.0.0/16']\nmedia = 'latch-same-host'\n\
                    [[peer]]\nname = 'c'\nclass = 'phone'\naddresses = ['10.1.2.3']\n";
        let config: Config = toml::from_str(text).expect("a configuration");
        let peers = peers(LatchingMode::Strict, &config.peer);
        let of = |ip: &str| peers.of(ip.parse().expect(ip)).latching;
        assert_eq!(of("10.2.0.1"), media::Latching::Latch);
        assert_eq!(of("2001:db8::1"), media::Latching::Latch);
        assert_eq!(of("10.1.0.1"), media::Latching::LatchSameHost);
        assert_eq!(of("10.1.2.3"), media::Latching::Strict);
        assert_eq!(
            (of("192.0.2.1"), of("::1")),
            (media::Latching::Strict, media::Latching::Strict)
        );
    }

    #[test]
    fn a_peer_says_what_becomes_of_its_transfers() {
        let text = "[[listen]]\naddress = '127.0.0.1:5060'\n\
                    [[peer]]\nname = 'a'\nclass = 'phone'\naddresses = ['10.0.0.1']\ntransfers = 'handle'\n\
                    [[peer]]\nname = 'b'\nclass = 'phone'\naddresses = ['10.0.0.2']\n";
        let config: Config = toml::from_str(text).expect("a configuration");
        let peers = peers(LatchingMode::Strict, &config.peer);
        let of = |ip: &str| peers.of(ip.parse().expect(ip)).transfers;
        assert_eq!(of("10.0.0.1"), shard::Transfers::Handle);
        assert_eq!(of("10.0.0.2"), shard::Transfers::Pass);
        assert_eq!(of("10.0.0.3"), shard::Transfers::Pass);
    }

    #[test]
    fn trunks_are_exempt_from_abuse_unless_told_otherwise() {
        let text = "[[peer]]\nname = 'a'\nclass = 'trunk'\naddresses = ['10.0.0.1']\n\
                    [[peer]]\nname = 'b'\nclass = 'trunk'\naddresses = ['10.0.0.2']\nabuse_exempt = false\n\
                    [[peer]]\nname = 'c'\nclass = 'phone'\naddresses = ['10.0.0.3']\n\
                    [[peer]]\nname = 'd'\nclass = 'phone'\naddresses = ['10.0.0.4']\nabuse_exempt = true\n";
        let config: Config = toml::from_str(text).expect("a configuration");
        let peers = peers(LatchingMode::Strict, &config.peer);
        let exempt = [1, 2, 3, 4, 5].map(|last| peers.of([10, 0, 0, last].into()).exempt);
        assert_eq!(exempt, [true, false, false, true, false]);
    }

    #[test]
    fn methods_pass_as_listed_and_by_default_as_the_router_has_it() {
        assert_eq!(relay(&Config::default()), shard::Methods::default());
        let text = "[routing]\nrelay = ['MESSAGE', 'NOTIFY']\n";
        let config: Config = toml::from_str(text).expect("a configuration");
        let listed = shard::Methods::of([Method::Message, Method::Notify]);
        assert_eq!(relay(&config), listed);
        let wrong = toml::from_str::<Config>("[routing]\nrelay = ['REGISTER']\n");
        assert!(wrong.unwrap_err().to_string().contains("`PUBLISH`"));
    }

    #[test]
    fn the_parts_of_a_limit_are_never_less_than_the_whole() {
        let whole = Limits {
            calls: 10,
            ..Limits::default()
        };
        assert_eq!(limits(&whole, 3).calls, 4);
        assert_eq!(limits(&whole, 1).calls, 10);
        assert_eq!(limits(&whole, 64).calls, 1);
    }

    #[test]
    fn the_advertised_address_takes_what_is_missing_from_the_socket() {
        let sockets =
            reactor::bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &udp(&config(1, &[])));
        let socket = &sockets.expect("a socket on loopback")[0];
        let with = |advertise: Option<&str>| {
            let advertise = advertise.map(|text| text.to_owned().try_into().expect("host"));
            let address = "127.0.0.1:0".to_owned().try_into().expect("address");
            let transport = crate::config::Transport::Udp;
            let listener = listener(
                &Listen {
                    transport,
                    address,
                    advertise,
                },
                socket,
            );
            (listener.advertise_host, listener.advertise_port)
        };
        let port = socket.local_address().port();
        assert_eq!(with(None), ("127.0.0.1".to_owned(), port));
        assert_eq!(
            with(Some("sip.example.com")),
            ("sip.example.com".to_owned(), port)
        );
        assert_eq!(with(Some("192.0.2.1:5080")), ("192.0.2.1".to_owned(), 5080));
    }
}
