//! What one reactor has done, as plain numbers its owner copies out. No atomics: one thread writes,
//! and others see a copy that thread made.

/// Totals since the reactor was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `turn`.
    pub turns: u64,
    /// Turns that slept in the kernel.
    pub sleeps: u64,
    /// Turns that looked at the ring for a while before anything else.
    pub spins: u64,
    /// Spins that were rewarded: work came before the time was up.
    pub spins_paid: u64,
    /// Calls of `submit` that had something to submit.
    pub submits: u64,
    /// Turns that a [`crate::Waker`] ended or shortened.
    pub wakes: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Received datagrams longer than a buffer, handed over cut.
    pub truncated: u64,
    /// Times a multishot receive ended because every buffer was taken (ENOBUFS).
    pub buffers_exhausted: u64,
    /// Times a multishot receive was armed again, for any reason.
    pub rearms: u64,
    /// Datagrams handed to the kernel to send, retries not counted.
    pub datagrams_out: u64,
    /// Payload bytes handed to the kernel to send, padding not counted.
    pub bytes_out: u64,
    /// Send operations: a coalesced run is one.
    pub sends: u64,
    /// Datagrams that left in coalesced sends.
    pub segments: u64,
    /// Bytes added behind datagrams to even out coalesced sends.
    pub padding_bytes: u64,
    /// Coalesced sends the kernel refused (EINVAL, EIO, EMSGSIZE); their datagrams were then sent
    /// one by one.
    pub coalesce_refused: u64,
    /// Sends tried again because an ICMP error about another peer had taken their place.
    pub sends_retried: u64,
    /// Sends that had to wait for room in the socket's send buffer (EAGAIN).
    pub sends_waited: u64,
    /// Sends made one system call at a time, since the socket had a recent ICMP error.
    pub sends_careful: u64,
    /// Failed for good: no route, or the peer's host is known to be gone.
    pub send_unreachable: u64,
    /// Failed for good: refused by a firewall or by permission (EPERM, EACCES).
    pub send_denied: u64,
    /// Failed for good: longer than UDP can carry (EMSGSIZE).
    pub send_oversize: u64,
    /// Failed for good: no memory or no room (ENOBUFS, ENOMEM, or too many batches waiting).
    pub send_no_room: u64,
    /// Failed for good: anything else, among them an unknown socket or a range outside the batch.
    pub send_other: u64,
    /// ICMP errors read from error queues and reported.
    pub unreachable: u64,
    /// Completions the kernel had no room to post at once.
    pub completions_overflowed: u64,
    /// Nanoseconds in which there was nothing to do: waiting, in a spin or asleep.
    pub idle_ns: u64,
}

impl Counters {
    /// Datagrams lost on the way out, all causes.
    pub fn send_errors(&self) -> u64 {
        self.send_unreachable
            + self.send_denied
            + self.send_oversize
            + self.send_no_room
            + self.send_other
    }

    /// Files a send that failed for good under its cause.
    pub(crate) fn note_send_error(&mut self, errno: i32, datagrams: u64) {
        let class = match errno {
            libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ECONNREFUSED
            | libc::EHOSTDOWN
            | libc::ENETDOWN => &mut self.send_unreachable,
            libc::EPERM | libc::EACCES => &mut self.send_denied,
            libc::EMSGSIZE => &mut self.send_oversize,
            libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN => &mut self.send_no_room,
            _ => &mut self.send_other,
        };
        *class += datagrams;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_lands_in_one_class() {
        let mut counters = Counters::default();
        let errnos = [
            libc::ENETUNREACH,
            libc::EPERM,
            libc::EMSGSIZE,
            libc::ENOBUFS,
            libc::EAFNOSUPPORT,
        ];
        for errno in errnos {
            counters.note_send_error(errno, 2);
        }
        assert_eq!(
            [
                counters.send_unreachable,
                counters.send_denied,
                counters.send_oversize,
                counters.send_no_room,
                counters.send_other
            ],
            [2; 5]
        );
        assert_eq!(counters.send_errors(), 10);
    }
}
