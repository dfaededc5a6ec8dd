//! Loss-based overload control between neighbours (RFC 7339): what this shard asks its clients to hold
//! back, and what the servers it calls have asked of it. Which peers take part is configured.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;
use wire::{Params, Via};

/// What a client adds to its Via (RFC 7339 4.1, 4.2).
pub(crate) const OFFER: &str = ";oc;oc-algo=\"loss\"";

/// How often the share is looked at that clients are to hold back, and how long they are told it holds.
const EVERY: Duration = Duration::from_millis(100);
const VALIDITY_MS: u64 = 1_000;
/// RFC 7339 4.3: how long a server's word holds that does not say.
const VALIDITY_DEFAULT_MS: u64 = 500;
/// No word holds longer than a minute: nobody is to silence us for a day with one response.
const VALIDITY_MAX_MS: u64 = 60_000;
/// Some calls are asked for always, or nothing would tell that there are more.
const KEPT_MIN: f64 = 0.01;
/// Servers remembered at a time.
const SERVERS_MAX: usize = 1_024;
/// A number so much lower (oc-seq, in its own unit) is no late response but a counter that began anew.
const BEGAN_ANEW: u64 = 60;

/// What a server last said.
#[derive(Clone, Copy, Debug)]
struct Word {
    loss_percent: u32,
    sequence: Sequence,
    until: Time,
}

/// oc-seq: digits, a point, digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sequence {
    whole: u64,
    /// In hundred-thousandths.
    part: u64,
}

impl Sequence {
    fn parse(value: &[u8]) -> Option<Sequence> {
        let text = std::str::from_utf8(value).ok()?;
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let scale = 10u64.checked_pow(5u32.checked_sub(u32::try_from(part.len()).ok()?)?)?;
        Some(Sequence {
            whole: whole.parse().ok()?,
            part: part.parse::<u64>().ok()?.checked_mul(scale)?,
        })
    }

    /// RFC 7339 4.4, 5.4: a higher number is news, and so is one so low that it began anew.
    fn follows(self, last: Sequence) -> bool {
        self > last || self.whole.saturating_add(BEGAN_ANEW) < last.whole
    }
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Feedback {
    /// The share of their calls that clients are to send.
    kept: f64,
    looked: Time,
    offered: u64,
    /// What responses say of it; empty before the first look.
    text: Vec<u8>,
    servers: BTreeMap<SocketAddr, Word>,
}

impl Feedback {
    pub(crate) fn new(now: Time) -> Feedback {
        Feedback {
            kept: 1.0,
            looked: now,
            offered: 0,
            text: told(0, now),
            servers: BTreeMap::new(),
        }
    }

    /// Via parameters for a client that takes part (RFC 7339 5.2).
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether clients are asked to hold back.
    pub(crate) fn asks(&self) -> bool {
        self.kept < 1.0
    }

    /// Looks whether it is time to ask for another share. `offered` requests came since the start, and
    /// `rate` a second may be taken. What came is what clients were asked for, so the share is corrected
    /// by how far it was off.
    pub(crate) fn look(&mut self, now: Time, offered: u64, rate: Option<f64>) {
        let elapsed = now.duration_since(self.looked);
        if elapsed < EVERY {
            return;
        }
        let came = offered.saturating_sub(self.offered) as f64 / elapsed.as_secs_f64();
        (self.looked, self.offered) = (now, offered);
        self.kept = match rate {
            Some(rate) => (self.kept * rate / came.max(1.0)).clamp(KEPT_MIN, 1.0),
            None => 1.0,
        };
        self.text = told(((1.0 - self.kept) * 100.0).round() as u32, now);
    }

    /// A server's response came with this Via, which we had sent it.
    pub(crate) fn hear(&mut self, now: Time, server: SocketAddr, via: &Via<'_>) {
        let Some(word) = read(now, via) else { return };
        let known = self.servers.get(&server);
        if known.is_some_and(|last| now < last.until && !word.sequence.follows(last.sequence)) {
            return;
        }
        if self.servers.len() >= SERVERS_MAX && !self.servers.contains_key(&server) {
            self.servers.retain(|_, word| now < word.until);
        }
        if word.loss_percent == 0 {
            self.servers.remove(&server);
        } else if self.servers.len() < SERVERS_MAX || self.servers.contains_key(&server) {
            self.servers.insert(server, word);
        }
    }

    /// Whether a new call to `server` is one of those it asked not to be sent (RFC 7339 7.2); `draw` is
    /// random.
    pub(crate) fn withholds(&self, now: Time, server: SocketAddr, draw: u64) -> bool {
        let word = self.servers.get(&server).filter(|word| now < word.until);
        word.is_some_and(|word| draw % 100 < u64::from(word.loss_percent))
    }

    /// Servers whose word was kept, expired ones included until their place is needed.
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }
}

/// The value, the one algorithm there is, how long it holds, and a number that rises (RFC 7339 4).
fn told(loss_percent: u32, now: Time) -> Vec<u8> {
    let millis = now.as_nanos() / 1_000_000;
    let (seconds, part) = (millis / 1_000, millis % 1_000);
    let validity = if loss_percent == 0 { 0 } else { VALIDITY_MS };
    let mut text = Vec::with_capacity(80);
    let written = write!(
        text,
        ";oc={loss_percent};oc-algo=\"loss\";oc-validity={validity};oc-seq={seconds}.{part:03}"
    );
    debug_assert!(written.is_ok(), "a Vec takes everything");
    text
}

/// `None` when the server does not take part, speaks of another algorithm, or what it says cannot be read.
fn read(now: Time, via: &Via<'_>) -> Option<Word> {
    let loss_percent = number(via.oc??)?.min(100) as u32;
    let (_, params) = via
        .raw
        .split_at_checked(via.raw.iter().position(|&b| b == b';')?)?;
    let value = |name: &str| {
        let mut named =
            Params::new(params).filter(|it| it.name.eq_ignore_ascii_case(name.as_bytes()));
        named.next()?.value
    };
    if let Some(algorithm) = value("oc-algo")
        && !algorithm.eq_ignore_ascii_case(b"\"loss\"")
    {
        return None;
    }
    let validity = match value("oc-validity") {
        Some(validity) => number(validity)?,
        None => VALIDITY_DEFAULT_MS,
    };
    let sequence = Sequence::parse(value("oc-seq")?)?;
    // RFC 7339 5.7: no time at all ends it, whatever the value.
    let loss_percent = if validity == 0 { 0 } else { loss_percent };
    let until = now + Duration::from_millis(validity.min(VALIDITY_MAX_MS));
    Some(Word {
        loss_percent,
        sequence,
        until,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    fn server() -> SocketAddr {
        "192.0.2.1:5060".parse().expect("an address")
    }

    fn hear(feedback: &mut Feedback, ms: u64, params: &str) {
        let via = format!("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1{params}");
        let via = Via::parse(via.as_bytes()).expect("a Via");
        feedback.hear(at(ms), server(), &via);
    }

    /// Of a hundred calls so many are withheld.
    fn withheld(feedback: &Feedback, ms: u64) -> usize {
        let draws = (0..100).filter(|&draw| feedback.withholds(at(ms), server(), draw));
        draws.count()
    }

    #[test]
    fn a_server_is_spared_the_share_it_asks_for_while_that_holds() {
        let mut feedback = Feedback::new(at(0));
        hear(
            &mut feedback,
            10,
            ";oc=20;oc-algo=\"loss\";oc-validity=300;oc-seq=1282321615.782",
        );
        assert_eq!(
            (withheld(&feedback, 309), withheld(&feedback, 310)),
            (20, 0)
        );
        hear(
            &mut feedback,
            400,
            ";oc=35;oc-algo=\"loss\";oc-seq=1282321616.1",
        );
        assert_eq!(
            (withheld(&feedback, 899), withheld(&feedback, 900)),
            (35, 0)
        );
        hear(
            &mut feedback,
            899,
            ";oc=250;oc-validity=100;oc-seq=1282321617.1",
        );
        assert_eq!(withheld(&feedback, 950), 100);
    }

    #[test]
    fn late_words_do_not_count_and_a_counter_that_began_anew_does() {
        let mut feedback = Feedback::new(at(0));
        hear(&mut feedback, 0, ";oc=20;oc-validity=5000;oc-seq=100.5");
        hear(&mut feedback, 1, ";oc=30;oc-validity=5000;oc-seq=100.49999");
        hear(&mut feedback, 1, ";oc=40;oc-validity=5000;oc-seq=100.5");
        assert_eq!(withheld(&feedback, 2), 20);
        hear(&mut feedback, 3, ";oc=50;oc-validity=5000;oc-seq=2.0");
        assert_eq!(withheld(&feedback, 4), 50);
    }

    #[test]
    fn no_validity_ends_it_and_the_unreadable_is_passed_over() {
        let mut feedback = Feedback::new(at(0));
        for rubbish in [
            ";oc;oc-algo=\"loss\";oc-seq=1.0",
            ";oc=20",
            ";oc=x;oc-seq=1.0",
            ";oc=20;oc-algo=\"rate\";oc-seq=1.0",
            ";oc=20;oc-validity=-1;oc-seq=1.0",
            ";oc=20;oc-seq=1.000000",
        ] {
            hear(&mut feedback, 0, rubbish);
            assert_eq!(feedback.servers(), 0, "{rubbish}");
        }
        hear(&mut feedback, 0, ";oc=20;oc-seq=1.0");
        assert_eq!(feedback.servers(), 1);
        hear(&mut feedback, 1, ";oc=20;oc-validity=0;oc-seq=1.1");
        assert_eq!(feedback.servers(), 0);
    }

    #[test]
    fn the_servers_are_bounded_and_the_expired_make_room() {
        let mut feedback = Feedback::new(at(0));
        let via = Via::parse(b"SIP/2.0/UDP h;oc=50;oc-validity=100;oc-seq=1.0").expect("a Via");
        let address = |n: u16| SocketAddr::from(([192, 0, 2, 1], n));
        for n in 0..2_000 {
            feedback.hear(at(0), address(n), &via);
        }
        assert_eq!(feedback.servers(), SERVERS_MAX);
        feedback.hear(at(100), address(9_999), &via);
        assert_eq!(feedback.servers(), 1);
    }

    #[test]
    fn clients_are_asked_for_what_can_be_taken() {
        let mut feedback = Feedback::new(at(0));
        let told = |feedback: &Feedback| String::from_utf8(feedback.text().to_vec()).expect("text");
        assert_eq!(
            told(&feedback),
            ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=0.000"
        );
        // 2,000 a second come and 500 may; then 500 come, of which 1,000 may be asked for.
        feedback.look(at(100), 200, Some(500.0));
        assert_eq!(
            told(&feedback),
            ";oc=75;oc-algo=\"loss\";oc-validity=1000;oc-seq=0.100"
        );
        feedback.look(at(150), 225, Some(500.0));
        feedback.look(at(200), 250, Some(1_000.0));
        assert!(
            told(&feedback).starts_with(";oc=50;"),
            "{}",
            told(&feedback)
        );
        feedback.look(at(300), 350, None);
        assert!(!feedback.asks());
    }
}
