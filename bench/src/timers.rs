//! Timers of few durations: one first-in-first-out lane each, so that arming and expiring cost a queue's push and pop. Nothing
//! is cancelled: whoever gets an expired entry looks whether it still matters.

use std::collections::VecDeque;

/// RFC 3261 17.1.1.1: the estimate of the round trip, in nanoseconds.
pub(crate) const T1_NS: u64 = 500_000_000;
/// T1 doubles at most this often: lane 3 is T2 (4 s), lane 5 is 16 s, lane 6 is 64*T1.
pub(crate) const LANE_64_T1: usize = 6;
/// The lane whose duration the user of the timers chooses.
pub(crate) const LANE_HOLD: usize = 7;

/// Lanes 0 to 6 last T1 doubled that often, lane 7 a duration of choice.
pub(crate) struct Timers<T> {
    lanes: [VecDeque<(u64, T)>; 8],
    hold_ns: u64,
}

impl<T> Timers<T> {
    /// No timers; `hold_ns` is the duration of `LANE_HOLD`.
    pub(crate) fn new(hold_ns: u64) -> Timers<T> {
        Timers {
            lanes: std::array::from_fn(|_| VecDeque::new()),
            hold_ns,
        }
    }

    /// Arms a timer that expires one lane's duration after `now_ns`.
    pub(crate) fn arm(&mut self, now_ns: u64, lane: usize, entry: T) {
        let duration = if lane == LANE_HOLD {
            self.hold_ns
        } else {
            T1_NS << lane
        };
        self.lanes[lane].push_back((now_ns + duration, entry));
    }

    /// The next entry that is due, in no order between lanes.
    pub(crate) fn expire(&mut self, now_ns: u64) -> Option<T> {
        let due = |lane: &&mut VecDeque<(u64, T)>| {
            lane.front()
                .is_some_and(|&(deadline, _)| deadline <= now_ns)
        };
        self.lanes
            .iter_mut()
            .find(due)?
            .pop_front()
            .map(|(_, entry)| entry)
    }
}

/// The lane for the wait after copy number `sent` of a request whose interval doubles without a cap (timer A) or up to T2
/// (timers E and G); `None` when 64*T1 are over.
pub(crate) fn retransmit_lane(sent: u32, capped: bool) -> Option<usize> {
    // Copies 1.. wait 0.5, 1, 2, 4, 8, 16 s (A) or 0.5, 1, 2, 4, 4 ... (E, G); the last one waits what remains of 32 s.
    let last = if capped { 11 } else { 7 };
    match sent {
        _ if sent > last => None,
        _ if sent == last => Some(0),
        _ if capped => Some((sent as usize - 1).min(3)),
        _ => Some(sent as usize - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire_at_their_deadline_and_not_before() {
        let mut timers = Timers::new(7);
        timers.arm(100, 0, 'a');
        timers.arm(200, 0, 'b');
        timers.arm(100, LANE_HOLD, 'h');
        assert_eq!(timers.expire(106), None);
        assert_eq!(timers.expire(107), Some('h'));
        assert_eq!(timers.expire(100 + T1_NS), Some('a'));
        assert_eq!(timers.expire(100 + T1_NS), None);
        assert_eq!(timers.expire(200 + T1_NS), Some('b'));
    }

    #[test]
    fn both_schedules_end_after_64_t1() {
        for capped in [false, true] {
            let waits: Vec<u64> = (1..)
                .map_while(|sent| retransmit_lane(sent, capped))
                .map(|lane| T1_NS << lane)
                .collect();
            assert_eq!(waits.iter().sum::<u64>(), 64 * T1_NS, "{waits:?}");
            assert_eq!(waits[..4], [T1_NS, 2 * T1_NS, 4 * T1_NS, 8 * T1_NS]);
            assert_eq!(waits[4] == 8 * T1_NS, capped);
        }
    }
}
