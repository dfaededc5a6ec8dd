//! What a shard of the router measures, by name. Other programs that write the same logs bring names
//! of their own.

/// One latency of a shard, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// From the turn that read a new INVITE to the moment the INVITE of the other leg was with the kernel.
    InviteInToOut,
    /// The same for every request that was passed on: INVITE, ACK, BYE, and the others inside a call.
    RequestInToOut,
    /// A turn of the shard's loop without its wait.
    Turn,
    /// How long a datagram that had come to another shard lay in the mailbox.
    HandOverWait,
    /// How long a datagram lay in the socket before the shard read it. Sampled.
    KernelQueueWait,
    /// How long after its time a timer was served.
    TimerLateness,
    /// From the turn that read an RTP packet to the moment it was with the kernel again.
    RtpResidence,
}

impl Metric {
    /// All of them, in the order of a report.
    pub const ALL: [Metric; 7] = [
        Metric::InviteInToOut,
        Metric::RequestInToOut,
        Metric::Turn,
        Metric::HandOverWait,
        Metric::KernelQueueWait,
        Metric::TimerLateness,
        Metric::RtpResidence,
    ];

    /// The names of all, by index.
    pub const NAMES: [&'static str; 7] = [
        "invite_in_to_out",
        "request_in_to_out",
        "turn",
        "hand_over_wait",
        "kernel_queue_wait",
        "timer_lateness",
        "rtp_residence",
    ];

    /// Its place in a [`Set`](crate::Set) made with [`Metric::NAMES`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in logs.
    pub const fn name(self) -> &'static str {
        Metric::NAMES[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_agree() {
        for (place, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric.index(), place);
        }
        assert_eq!(Metric::InviteInToOut.name(), "invite_in_to_out");
        assert_eq!(Metric::RtpResidence.name(), "rtp_residence");
    }
}
