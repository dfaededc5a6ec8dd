//! How one end's packets arrive: sequence numbers (RFC 3550 A.1, A.3) and interarrival jitter (A.8). Where
//! they come from and go to is not known here.

use stack::Time;

/// A.1: a step forward up to this many packets is loss, a greater one a new start.
const MAX_DROPOUT: u16 = 3000;

/// A.1: a step back up to this many is a late packet, a greater one a new start.
const MAX_MISORDER: u16 = 100;

/// A jump of sender against arrival above this, in nanoseconds, is the sender's clock (a talkspurt that
/// does not count the silence before it, a sender put on hold) and no jitter of the network.
const CLOCK_JUMP_NS: f64 = 1e9;

/// What a packet's sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Later than all before it, or the first of its source.
    Next,
    /// A later one was here before.
    Late,
    /// It was here before.
    Duplicate,
    /// Far away from all before it; if the next follows it, the sender has started anew.
    Jump,
}

/// Sequence numbers of one end. A new SSRC, or a new start of the old one, begins the count anew and
/// keeps the sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    /// Which of the 64 numbers up to `highest` have come; bit n is `highest` - n.
    recent: u64,
    ssrc: u32,
    /// The first number of this run.
    base: u32,
    /// The highest, with the count of wraparounds in the high half.
    highest: u32,
    /// Packets of this run, duplicates included (A.3).
    received: u32,
    /// Duplicates of this run.
    repeated: u32,
    lost_before: u32,
    reordered: u32,
    duplicates: u32,
    /// The number that would confirm a new start.
    restart: Option<u16>,
    started: bool,
}

impl Sequence {
    /// Counts a packet.
    #[inline]
    pub(crate) fn receive(&mut self, ssrc: u32, number: u16) -> Arrival {
        if !self.started || ssrc != self.ssrc {
            return self.begin(ssrc, number);
        }
        let step = number.wrapping_sub(self.highest as u16);
        if (1..MAX_DROPOUT).contains(&step) {
            self.advance(step);
            return Arrival::Next;
        }
        self.look_back(number, step.wrapping_neg())
    }

    #[inline]
    fn advance(&mut self, step: u16) {
        self.received = self.received.wrapping_add(1);
        self.highest = self.highest.wrapping_add(u32::from(step));
        self.recent = self.recent.checked_shl(step.into()).unwrap_or(0) | 1;
    }

    #[cold]
    fn begin(&mut self, ssrc: u32, number: u16) -> Arrival {
        self.lost_before = self.lost();
        self.ssrc = ssrc;
        self.base = number.into();
        self.highest = number.into();
        self.received = 1;
        self.repeated = 0;
        self.recent = 1;
        self.restart = None;
        self.started = true;
        Arrival::Next
    }

    #[cold]
    fn look_back(&mut self, number: u16, back: u16) -> Arrival {
        if back > MAX_MISORDER {
            return self.jump(number);
        }
        self.received = self.received.wrapping_add(1);
        let bit = 1_u64.checked_shl(back.into()).unwrap_or(0);
        if self.recent & bit != 0 {
            self.repeated = self.repeated.wrapping_add(1);
            self.duplicates = self.duplicates.saturating_add(1);
            return Arrival::Duplicate;
        }
        self.recent |= bit;
        self.reordered = self.reordered.saturating_add(1);
        Arrival::Late
    }

    /// A.1: two packets in sequence are taken for a sender that started anew.
    fn jump(&mut self, number: u16) -> Arrival {
        if self.restart == Some(number) {
            return self.begin(self.ssrc, number);
        }
        self.restart = Some(number.wrapping_add(1));
        Arrival::Jump
    }

    /// The source whose packets come; `None` before the first.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.started.then_some(self.ssrc)
    }

    /// Packets that should have come in this run (A.3).
    pub(crate) fn expected(&self) -> u32 {
        if !self.started {
            return 0;
        }
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    /// Packets that came in this run, duplicates included (A.3).
    pub(crate) fn received(&self) -> u32 {
        self.received
    }

    /// The highest number, with the count of wraparounds in the high half.
    pub(crate) fn highest(&self) -> u32 {
        self.highest
    }

    /// Packets that never came, of all runs. Unlike in A.3 a duplicate does not make up for a loss.
    pub(crate) fn lost(&self) -> u32 {
        let came = self.received.saturating_sub(self.repeated);
        let lost = self.expected().saturating_sub(came);
        self.lost_before.saturating_add(lost)
    }

    /// Packets that came after a later one, of all runs.
    pub(crate) fn reordered(&self) -> u32 {
        self.reordered
    }

    /// Packets that came twice, of all runs.
    pub(crate) fn duplicates(&self) -> u32 {
        self.duplicates
    }
}

/// Interarrival jitter (A.8), kept in nanoseconds so that a payload of another clock rate does not end it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter {
    arrived: Time,
    timestamp: u32,
    /// Nanoseconds of a unit of the timestamp.
    unit_ns: f32,
    smoothed_ns: f32,
    greatest_ns: f32,
    /// Payload type of the last packet; none yet: 255.
    payload_type: u8,
    running: bool,
}

impl Default for Jitter {
    fn default() -> Jitter {
        Jitter {
            arrived: Time::ZERO,
            timestamp: 0,
            unit_ns: 125_000.0,
            smoothed_ns: 0.0,
            greatest_ns: 0.0,
            payload_type: u8::MAX,
            running: false,
        }
    }
}

impl Jitter {
    /// Payload type of the last packet; none yet: 255.
    #[inline]
    pub(crate) fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// The packets are of another payload type from now on. Another clock rate begins anew.
    pub(crate) fn set_payload_type(&mut self, payload_type: u8, rate: u32) {
        let unit_ns = 1e9 / rate.max(1) as f32;
        self.payload_type = payload_type;
        self.running &= unit_ns == self.unit_ns;
        self.unit_ns = unit_ns;
    }

    /// Forgets the last packet: the next is of another source.
    pub(crate) fn restart(&mut self) {
        self.running = false;
    }

    /// Counts a packet. Those that share a timestamp with the one before were sampled at once but not
    /// sent so (a telephone-event that goes on, RFC 4733 2.5.1.2; a picture in pieces), and tell nothing.
    #[inline]
    pub(crate) fn receive(&mut self, now: Time, timestamp: u32) {
        let step = timestamp.wrapping_sub(self.timestamp).cast_signed();
        if self.running && step == 0 {
            return;
        }
        let between = now.as_nanos().saturating_sub(self.arrived.as_nanos()) as f64;
        let off = (between - f64::from(step) * f64::from(self.unit_ns)).abs();
        if self.running && off < CLOCK_JUMP_NS {
            self.smoothed_ns += (off as f32 - self.smoothed_ns) / 16.0;
            self.greatest_ns = self.greatest_ns.max(self.smoothed_ns);
        }
        self.arrived = now;
        self.timestamp = timestamp;
        self.running = true;
    }

    /// Jitter now, in milliseconds.
    pub(crate) fn millis(&self) -> f32 {
        self.smoothed_ns / 1e6
    }

    /// The greatest so far, in milliseconds.
    pub(crate) fn greatest_millis(&self) -> f32 {
        self.greatest_ns / 1e6
    }

    /// Jitter now, in units of the timestamp, as a report block tells it.
    pub(crate) fn units(&self) -> u32 {
        (self.smoothed_ns / self.unit_ns) as u32
    }

    /// The timestamp the last packet's clock shows at `now`.
    pub(crate) fn timestamp_at(&self, now: Time) -> u32 {
        let since = now.duration_since(self.arrived).as_nanos() as f64;
        self.timestamp
            .wrapping_add((since / f64::from(self.unit_ns)).round() as u64 as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(numbers: impl IntoIterator<Item = u16>) -> Sequence {
        let mut sequence = Sequence::default();
        for number in numbers {
            sequence.receive(1, number);
        }
        sequence
    }

    fn counts(sequence: &Sequence) -> (u32, u32, u32) {
        (sequence.lost(), sequence.reordered(), sequence.duplicates())
    }

    #[test]
    fn wraparound_loses_nothing() {
        let sequence = feed((0..=u16::MAX).chain(0..10));
        assert_eq!(counts(&sequence), (0, 0, 0));
        assert_eq!(sequence.expected(), 65_546);
        assert_eq!(sequence.highest(), 0x1_0009);
    }

    #[test]
    fn gaps_are_lost_until_filled() {
        assert_eq!(counts(&feed([65_534, 1])), (2, 0, 0));
        assert_eq!(counts(&feed([65_534, 1, 0])), (1, 1, 0));
        assert_eq!(counts(&feed([65_534, 1, 0, 65_535])), (0, 2, 0));
    }

    #[test]
    fn a_duplicate_does_not_make_up_for_a_loss() {
        let sequence = feed([5, 7, 7, 5]);
        assert_eq!(counts(&sequence), (1, 0, 2));
        assert_eq!((sequence.expected(), sequence.received()), (3, 4));
    }

    #[test]
    fn one_odd_number_is_passed_over_and_two_in_sequence_start_anew() {
        let mut sequence = feed([10, 11, 13]);
        assert_eq!(sequence.receive(1, 30_000), Arrival::Jump);
        assert_eq!(sequence.receive(1, 14), Arrival::Next);
        assert_eq!(counts(&sequence), (1, 0, 0));
        sequence.receive(1, 40_000);
        assert_eq!(sequence.receive(1, 40_001), Arrival::Next);
        sequence.receive(1, 40_003);
        assert_eq!(counts(&sequence), (2, 0, 0));
    }

    #[test]
    fn another_source_keeps_the_sums() {
        let mut sequence = feed([10, 12, 11, 11, 15]);
        assert_eq!(counts(&sequence), (2, 1, 1));
        sequence.receive(2, 60_000);
        sequence.receive(2, 60_002);
        assert_eq!(counts(&sequence), (3, 1, 1));
        assert_eq!((sequence.ssrc(), sequence.expected()), (Some(2), 3));
    }

    fn millis(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn an_even_stream_has_no_jitter() {
        let mut jitter = Jitter::default();
        for n in 0..100_u32 {
            jitter.receive(
                millis(u64::from(n) * 20),
                (u32::MAX - 500).wrapping_add(n * 160),
            );
        }
        assert!(jitter.greatest_millis() < 0.001);
    }

    #[test]
    fn jitter_is_a_sixteenth_of_each_difference() {
        let mut jitter = Jitter::default();
        jitter.receive(millis(0), 0);
        jitter.receive(millis(36), 160);
        assert_eq!((jitter.millis(), jitter.units()), (1.0, 8));
        jitter.receive(millis(40), 320);
        assert_eq!(jitter.millis(), 1.0 + (16.0 - 1.0) / 16.0);
    }

    #[test]
    fn an_event_that_goes_on_tells_nothing() {
        let mut jitter = Jitter::default();
        jitter.receive(millis(0), 0);
        for n in 1..10 {
            jitter.receive(millis(20 * n), 160);
        }
        jitter.receive(millis(200), 1600);
        assert_eq!(jitter.greatest_millis(), 0.0);
    }

    #[test]
    fn a_jump_of_the_senders_clock_is_no_jitter() {
        let mut jitter = Jitter::default();
        jitter.receive(millis(0), 0);
        jitter.receive(millis(20), 800_000);
        jitter.receive(millis(5000), 800_160);
        jitter.receive(millis(5020), 800_320);
        assert_eq!(jitter.greatest_millis(), 0.0);
    }

    #[test]
    fn another_clock_rate_begins_anew() {
        let mut jitter = Jitter::default();
        jitter.receive(millis(0), 0);
        jitter.set_payload_type(96, 48_000);
        jitter.receive(millis(20), 5000);
        jitter.receive(millis(40), 5960);
        assert!(jitter.greatest_millis() < 0.001);
        assert_eq!(jitter.timestamp_at(millis(50)), 5960 + 480);
    }

    proptest! {
        #[test]
        fn a_shuffled_stream_loses_what_was_left_out(
            start: u16, kept in prop::collection::vec(any::<bool>(), 1..500), swaps in prop::collection::vec(any::<bool>(), 500),
        ) {
            let mut numbers: Vec<u16> = (0..kept.len()).filter(|at| kept[*at])
                .map(|at| start.wrapping_add(at as u16)).collect();
            for (at, _) in swaps.iter().enumerate().skip(2).filter(|(_, swap)| **swap) {
                if at < numbers.len() { numbers.swap(at, at - 1); }
            }
            let sequence = feed(numbers.iter().copied());
            if let (Some(first), Some(last)) = (numbers.first(), numbers.iter().max_by_key(|n| n.wrapping_sub(start))) {
                let expected = u32::from(last.wrapping_sub(*first)) + 1;
                prop_assert_eq!(sequence.expected(), expected);
                prop_assert_eq!(sequence.lost(), expected - numbers.len() as u32);
            }
            prop_assert_eq!(sequence.duplicates(), 0);
        }

        #[test]
        fn any_numbers_may_come(packets in prop::collection::vec((0..3_u32, any::<u16>(), any::<u32>(), any::<u64>()), 0..100)) {
            let (mut sequence, mut jitter) = (Sequence::default(), Jitter::default());
            for (ssrc, number, timestamp, at) in packets {
                sequence.receive(ssrc, number);
                jitter.receive(Time::from_nanos(at), timestamp);
                prop_assert!(jitter.millis().is_finite() && jitter.millis() >= 0.0);
            }
        }
    }
}
