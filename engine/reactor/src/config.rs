//! The numbers one reactor is built from. No parsing here: the server reads the operator's file and
//! fills this in.

use std::time::Duration;

/// Sizes and habits of one [`crate::Reactor`].
#[derive(Clone, Debug)]
pub struct ReactorConfig {
    /// Entries of the submission queue. A flush larger than this is submitted in pieces.
    pub ring_entries: u32,
    /// Receive buffers, a power of two up to 32768. Each holds one datagram from the kernel's copy
    /// until the callback returns, and all are used in turn, so few stay warm in the cache: 256
    /// measured 3 % cheaper than 1024, and a turn takes some 65. A larger burst waits in the
    /// socket's own queue.
    pub buffers: u16,
    /// Payload bytes a datagram may have; what is longer arrives cut and flagged. The memory is
    /// mapped on demand: an unused tail of a buffer costs address space only.
    pub buffer_bytes: u32,
    /// Receive buffers for the sockets of [`crate::Reactor::add_udp_small`], a power of two up to
    /// 32768. Zero: there are no such sockets.
    pub small_buffers: u16,
    /// Payload bytes a datagram on those sockets may have. All of these buffers stay in use in turn,
    /// so that they cost cache: room for what fits an Ethernet frame is enough for most.
    pub small_buffer_bytes: u32,
    /// In one turn of so many, say of each datagram on the other sockets how long it waited
    /// ([`crate::Completion::Datagram`]). Zero: never. 1 costs 0.10 us a datagram, 5 % of its bare way
    /// in and out; 64 costs 0.045 us, nearly all of it the kernel's noting of times, which it does for
    /// every socket of the machine once one has asked.
    pub receive_times_every: u32,
    /// How long to look at the completion queue before sleeping, when traffic is dense enough for
    /// that to pay. Waking a sleeping core costs the sender 7-9 us. Zero: always sleep.
    pub spin: Duration,
    /// Sockets one reactor may own (slots in the registered file table), both kinds together. The limit
    /// on open files must not be lower.
    pub sockets_max: u16,
    /// Most datagrams in one coalesced send. The kernel takes 64 on every version that has
    /// UDP_SEGMENT.
    pub segments_max: u16,
    /// Longest datagram that may be coalesced: path MTU less IP and UDP headers. 1472 is Ethernet
    /// and IPv4; longer ones go alone.
    pub segment_bytes_max: u16,
    /// Trailing bytes a coalesced send may add to even out its datagrams, in percent of the bytes
    /// that were asked for. With lengths between 300 and 900 bytes at random, 40 gives runs of 11
    /// and all but 2 % of what unbounded padding saves.
    pub padding_percent_max: u32,
}

impl Default for ReactorConfig {
    fn default() -> ReactorConfig {
        ReactorConfig {
            ring_entries: 1024,
            buffers: 256,
            buffer_bytes: 65_535,
            small_buffers: 0,
            small_buffer_bytes: 2048,
            receive_times_every: 0,
            spin: Duration::from_micros(30),
            sockets_max: 64,
            segments_max: 64,
            segment_bytes_max: 1472,
            padding_percent_max: 40,
        }
    }
}

impl ReactorConfig {
    /// Completion queue entries: every buffer may complete while every submission fails, twice over, or
    /// as many as the kernel makes.
    pub(crate) fn completion_entries(&self) -> u32 {
        const MOST: u32 = 65_536;
        let buffers = self.all_buffers();
        (2 * buffers + 2 * self.ring_entries)
            .next_power_of_two()
            .min(MOST)
    }

    fn all_buffers(&self) -> u32 {
        u32::from(self.buffers) + u32::from(self.small_buffers)
    }

    /// Bytes one ring may charge against RLIMIT_MEMLOCK: both queues and the buffer ring, rounded
    /// up to whole pages each.
    pub(crate) fn locked_bytes(&self) -> u64 {
        let pages = |bytes: u64| bytes.div_ceil(4096) * 4096;
        let submissions = u64::from(self.ring_entries.next_power_of_two()) * (64 + 4);
        let completions = u64::from(self.completion_entries()) * 16;
        pages(submissions) + pages(completions) + pages(u64::from(self.all_buffers()) * 16) + 8192
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_completion_queue_is_twice_the_buffers_or_more() {
        let config = ReactorConfig {
            buffers: 4096,
            ring_entries: 64,
            ..Default::default()
        };
        assert!(config.completion_entries() >= 2 * 4096 + 64);
        assert!(config.completion_entries().is_power_of_two());
        let most = ReactorConfig {
            buffers: 1 << 15,
            small_buffers: 1 << 15,
            ..config
        };
        assert_eq!(most.completion_entries(), 65_536);
    }

    #[test]
    fn locked_bytes_grow_with_the_queues() {
        let small = ReactorConfig {
            buffers: 64,
            ring_entries: 64,
            ..Default::default()
        };
        assert!(small.locked_bytes() < ReactorConfig::default().locked_bytes());
    }
}
