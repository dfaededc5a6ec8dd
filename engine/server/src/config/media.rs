//! The section `[media]`: its keys, what they amount to together with the listeners, and its rules.
//! Opening the ports is the start's business.

use std::net::IpAddr;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Broken;
use super::schema::{Config, DAY_S, Listen, power_of_two, within};
use super::value::PortRange;

/// Media through the router, for routes with steerMedia or the flow EchoResponder.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// UDP ports for RTP and RTCP, like "16384-24575": a pair (an even port and the next one) for each
    /// stream and side, divided evenly among the shards. Left out: no media; routes that need it are
    /// refused with 503.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<PortRange>,
    /// Addresses that have these ports, each all of them: `{ bind = "ip", advertise = "ip" }`. Empty:
    /// those of the first listener of each family.
    #[garde(length(max = 16))]
    pub(crate) addresses: Vec<MediaAddress>,
    /// How far a peer's media may come from elsewhere than its SDP says, unless its `[[peer]]` says
    /// otherwise.
    #[garde(skip)]
    pub(crate) latching: LatchingMode,
    /// How long after each answer the first packets may move a stream, milliseconds.
    #[garde(custom(within(0, 600_000)))]
    pub(crate) latch_window_ms: u64,
    /// A call whose media was silent on both sides for this many seconds is ended. 0: never.
    #[garde(custom(within(0, DAY_S)))]
    pub(crate) timeout_s: u64,
    /// DSCP of sent media, 0 to 63. 46 is EF, usual for voice.
    #[garde(custom(within(0, 63)))]
    pub(crate) dscp: u8,
    /// Kernel buffers of each media socket, one for each direction.
    #[garde(custom(within(4_096, 1 << 30)))]
    pub(crate) socket_buffer_bytes: usize,
    /// Receive buffers of a shard for media, of 2,048 bytes each; a power of two.
    #[garde(custom(power_of_two(32, 32_768)))]
    pub(crate) buffers: u16,
}

impl Default for Media {
    fn default() -> Self {
        Media {
            ports: None,
            addresses: Vec::new(),
            latching: LatchingMode::Latch,
            latch_window_ms: 3_000,
            timeout_s: 60,
            dscp: 46,
            socket_buffer_bytes: 256 << 10,
            buffers: 512,
        }
    }
}

/// An address of the media ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MediaAddress {
    /// The local address.
    pub(crate) bind: IpAddr,
    /// The address peers are told in SDP. Left out: `bind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advertise: Option<IpAddr>,
}

impl MediaAddress {
    /// The address peers are told.
    pub(crate) fn advertised(&self) -> IpAddr {
        self.advertise.unwrap_or(self.bind)
    }

    /// Whether both want the same port of the same address.
    fn collides(&self, other: IpAddr) -> bool {
        let same_family = self.bind.is_ipv4() == other.is_ipv4();
        let wildcard = self.bind.is_unspecified() || other.is_unspecified();
        self.bind == other || same_family && wildcard
    }
}

/// How far a peer's packets may come from elsewhere than its SDP says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LatchingMode {
    /// Not at all.
    Strict,
    /// The first packets within the window may move the stream anywhere (a peer behind NAT).
    Latch,
    /// They may move it to another port of the signalled host only.
    LatchSameHost,
}

impl From<LatchingMode> for media::Latching {
    fn from(mode: LatchingMode) -> media::Latching {
        match mode {
            LatchingMode::Strict => media::Latching::Strict,
            LatchingMode::Latch => media::Latching::Latch,
            LatchingMode::LatchSameHost => media::Latching::LatchSameHost,
        }
    }
}

impl Media {
    /// Where the ports are opened: as configured, or at the first listener of each family.
    pub(crate) fn addresses(&self, listen: &[Listen]) -> Vec<MediaAddress> {
        if !self.addresses.is_empty() {
            return self.addresses.clone();
        }
        let first = |v4: bool| {
            listen
                .iter()
                .find(|listen| listen.address.0.is_ipv4() == v4)
        };
        [first(true), first(false)]
            .into_iter()
            .flatten()
            .map(beside)
            .collect()
    }

    /// Pairs of ports there are to be, all addresses together.
    pub(crate) fn pairs(&self, listen: &[Listen]) -> usize {
        let pairs = self.ports.map_or(0, PortRange::pairs);
        pairs * self.addresses(listen).len()
    }
}

/// The media address of a listener. A name it advertises says nothing of media, an address does.
fn beside(listen: &Listen) -> MediaAddress {
    let bind = listen.address.0.ip();
    let advertised = listen.advertise.as_ref();
    let advertised = advertised.and_then(|advertise| {
        let host = advertise.host.trim_matches(['[', ']']);
        host.parse::<IpAddr>().ok()
    });
    MediaAddress {
        bind,
        advertise: advertised.filter(|address| address.is_ipv4() == bind.is_ipv4()),
    }
}

/// The rules of this section. Without ports there is nothing to be wrong.
pub(crate) fn check(config: &Config, broken: &mut Vec<Broken>) {
    let Some(ports) = config.media.ports else {
        return;
    };
    let addresses = config.media.addresses(&config.listen);
    for (index, address) in addresses.iter().enumerate() {
        let key = match config.media.addresses.is_empty() {
            true => "media.addresses".to_owned(),
            false => format!("media.addresses[{index}]"),
        };
        if let Some(message) = unusable(address) {
            broken.push((key.clone(), message));
        }
        let before = &addresses[..index];
        if let Some(first) = before.iter().position(|first| first.collides(address.bind)) {
            broken.push((
                key,
                format!("{} has the same ports as addresses[{first}]", address.bind),
            ));
        }
    }
    overlaps(config, ports, &addresses, broken);
    parts(config, ports, &addresses, broken);
}

fn unusable(address: &MediaAddress) -> Option<String> {
    let MediaAddress { bind, .. } = address;
    let advertised = address.advertised();
    if advertised.is_unspecified() {
        return Some(format!(
            "{bind} receives on every address, but peers must be told one: write \
             addresses = [{{ bind = \"{bind}\", advertise = \"ip\" }}]"
        ));
    }
    (bind.is_ipv4() != advertised.is_ipv4())
        .then(|| format!("{bind} and {advertised} are of different families"))
}

fn overlaps(
    config: &Config,
    ports: PortRange,
    addresses: &[MediaAddress],
    broken: &mut Vec<Broken>,
) {
    for (index, listen) in config.listen.iter().enumerate() {
        let listener = listen.address.0;
        let collides = |address: &MediaAddress| address.collides(listener.ip());
        if ports.contains(listener.port()) && addresses.iter().any(collides) {
            let message = format!("{ports} holds the port of listen[{index}], {listener}");
            broken.push(("media.ports".into(), message));
        }
    }
}

/// Each shard needs a pair at each address, and can number some 65,000 sockets.
fn parts(config: &Config, ports: PortRange, addresses: &[MediaAddress], broken: &mut Vec<Broken>) {
    let shards = match usize::from(config.engine.shards) {
        0 => config.engine.cpus.len().max(1),
        shards => shards,
    };
    let pairs = ports.pairs();
    if pairs < shards {
        let message = format!("{ports} is {pairs} pairs for {shards} shards; each needs one");
        broken.push(("media.ports".into(), message));
    }
    let sockets = 2 * addresses.len() * pairs.div_ceil(shards) + config.listen.len();
    // With engine.shards = 0 the machine decides, at the start.
    let known = config.engine.shards != 0 || !config.engine.cpus.is_empty();
    if known && sockets > SOCKETS_MAX {
        let message = format!(
            "{ports} at {} addresses is {sockets} sockets a shard; {SOCKETS_MAX} is the most",
            addresses.len()
        );
        broken.push(("media.ports".into(), message));
    }
}

/// Sockets one shard can number.
pub(crate) const SOCKETS_MAX: usize = u16::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect(text)
    }

    fn broken(text: &str) -> Vec<String> {
        let mut broken = Vec::new();
        check(&config(text), &mut broken);
        broken
            .into_iter()
            .map(|(key, message)| format!("{key}: {message}"))
            .collect()
    }

    fn addresses(text: &str) -> Vec<(String, String)> {
        let config = config(text);
        let show = |a: &MediaAddress| (a.bind.to_string(), a.advertised().to_string());
        config
            .media
            .addresses(&config.listen)
            .iter()
            .map(show)
            .collect()
    }

    fn told(bind: &str, advertised: &str) -> (String, String) {
        (bind.to_owned(), advertised.to_owned())
    }

    #[test]
    fn media_is_at_the_first_listener_of_each_family() {
        let text = "[[listen]]\naddress = '192.0.2.1:5060'\n[[listen]]\naddress = '192.0.2.2:5060'\n\
                    [[listen]]\naddress = '[2001:db8::1]:5060'\nadvertise = '[2001:db8::9]:5070'\n";
        assert_eq!(
            addresses(text),
            [
                told("192.0.2.1", "192.0.2.1"),
                told("2001:db8::1", "2001:db8::9")
            ]
        );
        let named = "[[listen]]\naddress = '10.0.0.1:5060'\nadvertise = 'sip.example.com'\n";
        assert_eq!(addresses(named), [told("10.0.0.1", "10.0.0.1")]);
        let own = "[media]\naddresses = [{ bind = '10.0.0.2', advertise = '203.0.113.2' }]\n";
        assert_eq!(
            addresses(&format!("{named}{own}")),
            [told("10.0.0.2", "203.0.113.2")]
        );
    }

    #[test]
    fn without_ports_nothing_is_wrong_and_there_are_no_pairs() {
        let text = "[[listen]]\naddress = '0.0.0.0:5060'\nadvertise = 'sip.example.com'\n";
        assert!(broken(text).is_empty());
        let config = config(text);
        assert_eq!(config.media.pairs(&config.listen), 0);
    }

    #[test]
    fn a_wildcard_needs_an_address_to_tell() {
        let text = "[[listen]]\naddress = '0.0.0.0:5060'\nadvertise = 'sip.example.com'\n\
                    [media]\nports = '16384-16387'\n";
        let found = broken(text);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("media.addresses: 0.0.0.0 receives on every"),
            "{found:?}"
        );
        assert!(broken(&text.replace("sip.example.com", "192.0.2.1")).is_empty());
    }

    #[test]
    fn ports_of_a_listener_are_not_for_media() {
        let text = "[[listen]]\naddress = '192.0.2.1:16386'\n[media]\nports = '16384-16387'\n";
        assert_eq!(
            broken(text),
            ["media.ports: 16384-16387 holds the port of listen[0], 192.0.2.1:16386"]
        );
        let elsewhere = format!("{text}addresses = [{{ bind = '192.0.2.2' }}]\n");
        assert!(broken(&elsewhere).is_empty());
        let wildcard = "addresses = [{ bind = '0.0.0.0', advertise = '192.0.2.2' }]\n";
        assert_eq!(broken(&format!("{text}{wildcard}")).len(), 1);
    }

    #[test]
    fn addresses_differ_and_are_of_one_family_each() {
        let text = |list: &str| {
            format!(
                "[[listen]]\naddress = '192.0.2.1:5060'\n[media]\nports = '16384-16387'\naddresses = {list}\n"
            )
        };
        let twice = "[{ bind = '192.0.2.1' }, { bind = '192.0.2.1' }]";
        assert_eq!(
            broken(&text(twice)),
            ["media.addresses[1]: 192.0.2.1 has the same ports as addresses[0]"]
        );
        let mixed = "[{ bind = '192.0.2.1', advertise = '2001:db8::1' }]";
        assert_eq!(
            broken(&text(mixed)),
            ["media.addresses[0]: 192.0.2.1 and 2001:db8::1 are of different families"]
        );
    }

    #[test]
    fn every_shard_gets_pairs_and_not_too_many() {
        let text = |shards: u16, ports: &str| {
            format!(
                "[engine]\nshards = {shards}\n[[listen]]\naddress = '192.0.2.1:999'\n\
                     [[listen]]\naddress = '[2001:db8::1]:999'\n[media]\nports = '{ports}'\n"
            )
        };
        assert_eq!(
            broken(&text(3, "16384-16387")),
            ["media.ports: 16384-16387 is 2 pairs for 3 shards; each needs one"]
        );
        let found = broken(&text(1, "1024-65535"));
        assert!(
            found[0].contains("is 129026 sockets a shard; 65535 is the most"),
            "{found:?}"
        );
        assert!(broken(&text(2, "1024-65535")).is_empty());
    }
}
