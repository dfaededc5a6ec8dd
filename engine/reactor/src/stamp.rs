//! When the kernel received a datagram, by SO_TIMESTAMPNS, against when it was handed over: how long
//! it waited in the socket's queue. Both times are CLOCK_REALTIME, the only clock the kernel stamps
//! with; it is read once a turn, and only when a stamp came.
//!
//! A stamp handed over costs 0.09 us, 5 % of a datagram's whole way in and out. So the sockets are told
//! to hand stamps over in some turns only; the kernel makes them all the time, and what comes in such a
//! turn was stamped when it arrived, however long ago.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Control data of one stamp: a header of 16 bytes and a time of 16.
pub(crate) const CONTROL_BYTES: usize = 32;

/// Which turns have stamps.
pub(crate) struct Sampling {
    /// One in so many; zero is none.
    every: u32,
    turns_left: u32,
}

impl Sampling {
    pub(crate) fn one_in(every: u32) -> Sampling {
        Sampling {
            every,
            turns_left: 1,
        }
    }

    /// Stamps are wanted at all.
    pub(crate) fn is_on(&self) -> bool {
        self.every > 0
    }

    /// A turn begins. What the sockets are to be told, if it is not what they were told last.
    pub(crate) fn next_turn(&mut self) -> Option<bool> {
        if self.every <= 1 {
            return None;
        }
        self.turns_left -= 1;
        match self.turns_left {
            0 => {
                self.turns_left = self.every;
                Some(true)
            }
            left => (left == self.every - 1).then_some(false),
        }
    }
}

/// The time of a turn, read when it is first needed.
#[derive(Default)]
pub(crate) struct TurnTime(Option<Duration>);

impl TurnTime {
    /// A new turn: the time is to be read again.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// How long ago the stamp in this control data was made. A clock that was set back in between
    /// gives zero.
    pub(crate) fn since_stamp(&mut self, control: &[u8]) -> Option<Duration> {
        let stamp = read(control)?;
        let now = self.0.get_or_insert_with(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.unwrap_or_default()
        });
        Some(now.saturating_sub(stamp))
    }
}

/// The stamp in a receive's control data, as the time since 1970: `struct cmsghdr`, then
/// `struct timespec`.
fn read(control: &[u8]) -> Option<Duration> {
    let word = |at: usize| control.get(at..)?.first_chunk::<4>().copied();
    let long = |at: usize| control.get(at..)?.first_chunk::<8>().copied();
    let kind = (i32::from_ne_bytes(word(8)?), i32::from_ne_bytes(word(12)?));
    if kind != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    let seconds = u64::try_from(i64::from_ne_bytes(long(16)?)).ok()?;
    let nanoseconds = u32::try_from(i64::from_ne_bytes(long(24)?)).ok()?;
    Some(Duration::new(seconds, nanoseconds.min(999_999_999)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: i32, kind: i32, seconds: i64, nanoseconds: i64) -> Vec<u8> {
        let mut bytes = 32u64.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(seconds.to_ne_bytes());
        bytes.extend(nanoseconds.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_stamp_is_read_and_anything_else_is_none() {
        let stamp = control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, 5, 7);
        assert_eq!(stamp.len(), CONTROL_BYTES);
        assert_eq!(read(&stamp), Some(Duration::new(5, 7)));
        assert_eq!(read(&stamp[..31]), None);
        assert_eq!(read(&[]), None);
        assert_eq!(
            read(&control(libc::SOL_IP, libc::SCM_TIMESTAMPNS, 5, 7)),
            None
        );
        assert_eq!(
            read(&control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, -5, 7)),
            None
        );
    }

    #[test]
    fn one_turn_in_so_many_is_sampled() {
        let mut sampling = Sampling::one_in(3);
        let told: Vec<Option<bool>> = (0..7).map(|_| sampling.next_turn()).collect();
        let (on, off) = (Some(true), Some(false));
        assert_eq!(told, [on, off, None, on, off, None, on]);
        for constant in [0, 1] {
            let mut sampling = Sampling::one_in(constant);
            assert!((0..5).all(|_| sampling.next_turn().is_none()));
        }
        let mut sampling = Sampling::one_in(2);
        let told: Vec<Option<bool>> = (0..4).map(|_| sampling.next_turn()).collect();
        assert_eq!(told, [on, off, on, off]);
    }

    #[test]
    fn a_turn_has_one_time_and_a_later_stamp_waited_not_at_all() {
        let mut now = TurnTime(Some(Duration::from_secs(10)));
        let at = |seconds| control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, seconds, 0);
        assert_eq!(now.since_stamp(&at(7)), Some(Duration::from_secs(3)));
        assert_eq!(now.since_stamp(&at(11)), Some(Duration::ZERO));
        now.forget();
        assert!(
            now.since_stamp(&at(7))
                .is_some_and(|waited| waited.as_secs() > 1_000_000)
        );
    }
}
