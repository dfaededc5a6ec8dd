//! Host names to addresses for the shards, by the system's resolver configuration and /etc/hosts.
//! Runs on the control thread; the shards only ever see a letter with the answer. Answers are kept
//! for their TTL by the resolver itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::{Semaphore, mpsc};

use crate::letter::{Letter, Question};

/// Ways to the shards, by number.
pub(crate) type Replies = Vec<reactor::mailbox::Sender<Letter>>;

/// Lookups under way at once; further questions wait in their queue.
const LOOKUPS_MAX: usize = 256;
/// A call cannot wait for a name longer than its INVITE may (timer B, 32 s); a name server that
/// answers later than this serves the next call.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 3;
/// A name with no address is asked for again after this long.
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// A record with TTL 0 would mean a lookup for each call; a longer one than this outlives its use.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(3600);

/// Address families that our listeners can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    /// Those of these listening addresses.
    pub(crate) fn of(listeners: impl Iterator<Item = SocketAddr> + Clone) -> Families {
        Families {
            v4: listeners.clone().any(|address| address.is_ipv4()),
            v6: listeners.clone().any(|address| address.is_ipv6()),
        }
    }

    fn has(self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }

    fn strategy(self) -> LookupIpStrategy {
        match (self.v4, self.v6) {
            (true, true) => LookupIpStrategy::Ipv4AndIpv6,
            (false, true) => LookupIpStrategy::Ipv6Only,
            (_, false) => LookupIpStrategy::Ipv4Only,
        }
    }
}

/// An answer in the form shards take.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    addresses: Vec<IpAddr>,
    ttl: Duration,
}

/// Answers questions until nobody can ask any more.
pub(crate) async fn serve(
    mut questions: mpsc::Receiver<Question>,
    mut replies: Replies,
    families: Families,
) {
    let resolver = Arc::new(resolver(families));
    let room = Arc::new(Semaphore::new(LOOKUPS_MAX));
    let (done, mut answers) = mpsc::channel::<(Question, Found)>(LOOKUPS_MAX);
    loop {
        tokio::select! {
            question = questions.recv() => {
                let Some(question) = question else { return };
                let Ok(permit) = room.clone().acquire_owned().await else { return };
                let (resolver, done) = (resolver.clone(), done.clone());
                tokio::spawn(async move {
                    let found = look_up((*resolver).as_ref(), &question.host, families).await;
                    // The receiver lives as long as this loop.
                    let _ = done.send((question, found)).await;
                    drop(permit);
                });
            }
            Some((question, found)) = answers.recv() => reply(&mut replies, question, found),
        }
    }
}

fn reply(replies: &mut Replies, question: Question, Found { addresses, ttl }: Found) {
    let Question { shard, host } = question;
    tracing::debug!(shard, host, ?addresses, ttl_s = ttl.as_secs(), "resolved");
    if let Some(mailbox) = replies.get_mut(usize::from(shard)) {
        // When the mailbox is full the waiting calls end by their own timers.
        let _ = mailbox.send(Letter::Resolved {
            host,
            addresses,
            ttl,
        });
    }
}

async fn look_up(resolver: Option<&TokioResolver>, host: &str, families: Families) -> Found {
    let none = Found {
        addresses: Vec::new(),
        ttl: FAILURE_TTL,
    };
    let Some(resolver) = resolver else {
        return none;
    };
    match resolver.lookup_ip(host).await {
        Ok(lookup) => Found {
            addresses: lookup
                .iter()
                .filter(|address| families.has(address))
                .collect(),
            ttl: lookup
                .valid_until()
                .saturating_duration_since(Instant::now())
                .clamp(TTL_MIN, TTL_MAX),
        },
        Err(error) => {
            tracing::debug!(host, %error, "name not resolved");
            none
        }
    }
}

/// The system's resolver; with no usable /etc/resolv.conf, /etc/hosts alone.
fn resolver(families: Families) -> Option<TokioResolver> {
    let built = TokioResolver::builder_tokio()
        .or_else(|error| hosts_only(&error))
        .and_then(|mut builder| {
            let options: &mut ResolverOpts = builder.options_mut();
            options.ip_strategy = families.strategy();
            options.timeout = TIMEOUT;
            options.attempts = ATTEMPTS;
            options.cache_size = 10_000;
            builder.build()
        });
    built
        .inspect_err(|error| tracing::warn!(%error, "no resolver: names will not resolve"))
        .ok()
}

type Builder = hickory_resolver::ResolverBuilder<TokioRuntimeProvider>;

fn hosts_only(error: &NetError) -> Result<Builder, NetError> {
    tracing::warn!(%error, "no name servers (/etc/resolv.conf): only /etc/hosts is used");
    let none = ResolverConfig::default();
    Ok(TokioResolver::builder_with_config(
        none,
        TokioRuntimeProvider::default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(v4: bool, v6: bool) -> Families {
        Families { v4, v6 }
    }

    #[test]
    fn only_families_with_a_listener_are_asked_for() {
        let of = |list: &[&str]| {
            let addresses: Vec<SocketAddr> = list.iter().map(|a| a.parse().expect(a)).collect();
            Families::of(addresses.into_iter())
        };
        assert_eq!(of(&["127.0.0.1:1"]), families(true, false));
        assert_eq!(of(&["[::1]:1"]), families(false, true));
        assert_eq!(
            of(&["127.0.0.1:1", "[::1]:1"]).strategy(),
            LookupIpStrategy::Ipv4AndIpv6
        );
    }

    #[test]
    fn localhost_is_found_without_a_name_server() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(async {
            let resolver = resolver(families(true, false));
            look_up(resolver.as_ref(), "localhost", families(true, false)).await
        });
        assert_eq!(found.addresses, [IpAddr::from([127, 0, 0, 1])]);
        assert!((TTL_MIN..=TTL_MAX).contains(&found.ttl));
    }

    #[test]
    fn what_is_no_name_has_no_address() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(async {
            let resolver = resolver(families(true, false));
            look_up(resolver.as_ref(), "not a name", families(true, false)).await
        });
        assert_eq!(
            found,
            Found {
                addresses: Vec::new(),
                ttl: FAILURE_TTL
            }
        );
    }
}
