//! Cells that say what goes through a shard: messages by kind and direction, and how long calls took to ring and
//! to be answered. Fixed arrays, counted in passing; no names, no clock.

use std::time::Duration;

use wire::Method;

/// SIP messages in one direction, retransmissions among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Requests by [`Method`], as its number says.
    pub requests: [u64; Method::COUNT],
    /// Responses by the first digit of their status, 1xx first.
    pub responses: [u64; 6],
}

impl Messages {
    /// A request.
    pub fn count_request(&mut self, method: Method) {
        if let Some(cell) = self.requests.get_mut(method as usize) {
            *cell += 1;
        }
    }

    /// A response with this status.
    pub fn count_response(&mut self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(cell) = class.and_then(|class| self.responses.get_mut(class)) {
            *cell += 1;
        }
    }

    /// A printed message; what is none, like STUN or a keep-alive, does not count.
    pub fn count_printed(&mut self, bytes: &[u8]) {
        if let Some(status) = bytes.strip_prefix(b"SIP/2.0 ") {
            let digit = status.first().map_or(0, |digit| digit.wrapping_sub(b'0'));
            self.count_response(u16::from(digit) * 100);
        } else if bytes.first().is_some_and(u8::is_ascii_alphabetic) {
            let token = bytes.split(|byte| *byte == b' ').next();
            self.count_request(Method::parse(token.unwrap_or_default()));
        }
    }
}

/// SIP messages of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Well-framed ones that came.
    pub received: Messages,
    /// Those that left.
    pub sent: Messages,
}

/// How many calls took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Calls by the first of [`Durations::BOUNDS_MS`] they did not pass; in the last place those that passed all.
    pub counts: [u64; 15],
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
}

impl Durations {
    /// Upper bounds in milliseconds: from a machine that answers at once to a minute of ringing.
    pub const BOUNDS_MS: [u64; 14] = [
        5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000,
    ];

    /// One more.
    pub(crate) fn note(&mut self, took: Duration) {
        // What is a fraction above a bound has passed it.
        let place = Self::BOUNDS_MS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound));
        let place = place.unwrap_or(Self::BOUNDS_MS.len());
        if let Some(cell) = self.counts.get_mut(place) {
            *cell += 1;
        }
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }
}

/// What was counted of streams that have ended, of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamsEnded {
    /// Packets received.
    pub packets: u64,
    /// Packets that never came, by sequence numbers.
    pub lost: u64,
    /// Directions in which packets came.
    pub directions: u64,
    /// The greatest jitter of each of those, together, in microseconds.
    pub jitter_max_us: u64,
}

impl StreamsEnded {
    pub(crate) fn note(&mut self, summary: &media::Summary) {
        let both = [&summary.from_caller, &summary.from_callee];
        for reception in both.into_iter().filter(|one| one.packets > 0) {
            self.packets += reception.packets;
            self.lost += reception.lost;
            self.directions += 1;
            self.jitter_max_us += (reception.jitter_ms_max * 1_000.0) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_messages_are_counted_by_kind() {
        let mut messages = Messages::default();
        for text in [
            "INVITE sip:a@b SIP/2.0\r\n",
            "JUMP sip:a@b SIP/2.0\r\n",
            "SIP/2.0 200 OK\r\n",
            "SIP/2.0 183 Session Progress\r\n",
            "SIP/2.0 999",
            "SIP/2.0 ",
            "\r\n\r\n",
            "\0\x01\0\0",
            "",
        ] {
            messages.count_printed(text.as_bytes());
        }
        assert_eq!(messages.requests[Method::Invite as usize], 1);
        assert_eq!(messages.requests[Method::Other as usize], 1);
        assert_eq!(messages.requests.iter().sum::<u64>(), 2);
        assert_eq!(messages.responses, [1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_duration_counts_where_it_belongs() {
        let mut durations = Durations::default();
        assert_eq!(durations.counts.len(), Durations::BOUNDS_MS.len() + 1);
        let micros = [0, 5_000, 5_001, 60_000_000, 60_000_001];
        for us in micros {
            durations.note(Duration::from_micros(us));
        }
        assert_eq!(durations.counts[..2], [2, 1]);
        assert_eq!(durations.counts[13..], [1, 1]);
        assert_eq!(durations.sum_ms, 120_010);
    }

    #[test]
    fn only_directions_with_packets_have_jitter() {
        let mut summary = media::Summary::default();
        summary.from_callee.packets = 50;
        summary.from_callee.lost = 2;
        summary.from_callee.jitter_ms_max = 1.5;
        let mut ended = StreamsEnded::default();
        ended.note(&summary);
        let wanted = StreamsEnded {
            packets: 50,
            lost: 2,
            directions: 1,
            jitter_max_us: 1_500,
        };
        assert_eq!(ended, wanted);
    }
}
