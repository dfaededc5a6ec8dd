//! The media ports: opened before the first call, so that a call costs no system call, and divided
//! among the shards. Which call uses which is the media room's.

use std::net::IpAddr;
use std::time::Instant;

use media::PortPair;
use reactor::{SetupError, UdpListener, UdpOptions, UdpPairs, bind_udp_pairs};

use crate::config::{Config, MediaAddress};
use crate::plan;

/// One shard's media ports: the sockets 2n and 2n + 1 are pair n.
#[derive(Debug, Default)]
pub(crate) struct MediaPorts {
    /// As the media room is told of them.
    pub(crate) pairs: Vec<PortPair>,
    /// As the reactor is.
    pub(crate) sockets: Vec<UdpListener>,
}

/// The media ports cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortsError {
    /// An address, a limit or an option.
    #[error("media: {0}")]
    Setup(#[from] SetupError),
    /// Other programs have too many of the ports.
    #[error(
        "media.ports: only {free} of {all} port pairs are free at {address}, fewer than the \
         {shards} shards, of which each needs one; choose another range"
    )]
    TooFew {
        /// Pairs that could be opened.
        free: usize,
        /// Pairs that were to be opened.
        all: usize,
        /// Where.
        address: IpAddr,
        /// How many shards.
        shards: usize,
    },
}

/// Opens every port of `[media]` and divides them among the shards. What other programs have is tried
/// again until `give_up` comes, then left out with a warning.
pub(crate) fn open(
    config: &Config,
    shards: usize,
    give_up: Instant,
) -> Result<Vec<MediaPorts>, PortsError> {
    let mut parts = Vec::new();
    parts.resize_with(shards, MediaPorts::default);
    let Some(range) = config.media.ports else {
        return Ok(parts);
    };
    let options = plan::media_udp(&config.media);
    for address in config.media.addresses(&config.listen) {
        let bound = bind(&address, range.even_ports().collect(), &options, give_up)?;
        let free = bound.pairs.len();
        if free < shards {
            return Err(PortsError::TooFew {
                free,
                all: range.pairs(),
                address: address.bind,
                shards,
            });
        }
        warn_of_skipped(address.bind, &bound.skipped);
        warn_of_buffers(&bound, &options);
        divide(&address, bound, &mut parts);
    }
    Ok(parts)
}

/// Like a listener's, the ports of an engine that was killed become free a moment after it is gone.
fn bind(
    address: &MediaAddress,
    ports: Vec<u16>,
    options: &UdpOptions,
    give_up: Instant,
) -> Result<UdpPairs, SetupError> {
    let mut bound = bind_udp_pairs(address.bind, ports, options)?;
    while !bound.skipped.is_empty() && Instant::now() < give_up {
        std::thread::sleep(crate::launch::BIND_PAUSE);
        let more = bind_udp_pairs(address.bind, bound.skipped, options)?;
        bound.pairs.extend(more.pairs);
        bound.skipped = more.skipped;
    }
    Ok(bound)
}

/// Deals the pairs out, one to each shard in turn.
fn divide(address: &MediaAddress, bound: UdpPairs, parts: &mut [MediaPorts]) {
    let shards = parts.len();
    for (index, pair) in bound.pairs.into_iter().enumerate() {
        let part = &mut parts[index % shards];
        part.pairs.push(PortPair {
            bound: address.bind,
            advertised: address.advertised(),
            rtp_port: pair[0].local_address().port(),
        });
        part.sockets.extend(pair);
    }
}

fn warn_of_skipped(address: IpAddr, skipped: &[u16]) {
    if let Some(first) = skipped.first() {
        tracing::warn!(
            %address,
            pairs = skipped.len(),
            first,
            "media ports in use by other programs are left out"
        );
    }
}

fn warn_of_buffers(bound: &UdpPairs, options: &UdpOptions) {
    let wanted = options.receive_buffer_bytes;
    let granted = bound
        .pairs
        .first()
        .map(|pair| pair[0].receive_buffer_bytes());
    if let Some(granted) = granted.filter(|&granted| granted < wanted) {
        tracing::warn!(
            wanted,
            granted,
            "media sockets have smaller buffers than media.socket_buffer_bytes: raise \
             net.core.rmem_max, or give CAP_NET_ADMIN"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(ports: &str) -> Config {
        let text = format!("[[listen]]\naddress = '127.0.0.1:1'\n[media]\nports = '{ports}'\n");
        toml::from_str(&text).expect("a configuration")
    }

    /// Opens some range: others run at the same time and have ports of their own.
    fn open_somewhere(pairs: u16, shards: usize) -> Vec<MediaPorts> {
        let ranges = (20_000u16..60_000).step_by(200);
        let open = |low: u16| {
            let config = config(&format!("{low}-{}", low + 2 * pairs - 1));
            let parts = open(&config, shards, Instant::now()).ok()?;
            let all: usize = parts.iter().map(|part| part.pairs.len()).sum();
            (all == usize::from(pairs)).then_some(parts)
        };
        ranges.filter_map(open).next().expect("a free range")
    }

    #[test]
    fn pairs_are_dealt_out_evenly_with_their_sockets() {
        let parts = open_somewhere(5, 2);
        let counts: Vec<usize> = parts.iter().map(|part| part.pairs.len()).collect();
        assert_eq!(counts, [3, 2]);
        for part in &parts {
            assert_eq!(part.sockets.len(), 2 * part.pairs.len());
            for (pair, sockets) in part.pairs.iter().zip(part.sockets.chunks(2)) {
                let ports = [pair.rtp_port, pair.rtp_port + 1];
                assert_eq!(pair.rtp_port % 2, 0);
                assert_eq!(
                    [0, 1].map(|n: usize| sockets[n].local_address().port()),
                    ports
                );
                assert_eq!(pair.bound, sockets[0].local_address().ip());
            }
        }
    }

    #[test]
    fn without_media_nothing_is_opened() {
        let parts = open(&Config::default(), 2, Instant::now()).expect("nothing to fail");
        assert_eq!(parts.len(), 2);
        assert!(
            parts
                .iter()
                .all(|part| part.pairs.is_empty() && part.sockets.is_empty())
        );
    }

    #[test]
    fn too_few_free_pairs_are_named() {
        let held = open_somewhere(2, 1);
        let low = held[0].pairs[0].rtp_port;
        let config = config(&format!("{low}-{}", low + 3));
        let error = open(&config, 1, Instant::now()).unwrap_err().to_string();
        assert!(
            error.contains("only 0 of 2 port pairs are free at 127.0.0.1"),
            "{error}"
        );
    }
}
