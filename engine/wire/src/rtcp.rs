//! RTCP packets (RFC 3550 6): the packets of a compound datagram read one by one, and those we send
//! printed. Reading only looks; a packet that does not fit its own lengths ends the reading. When to
//! report, and about whom, is not known here.

use crate::rtp;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const APPLICATION: u8 = 204;

/// Bytes of a report block.
const BLOCK: usize = 24;

/// Report blocks and sources are counted in five bits.
const COUNT_MAX: usize = 31;

/// The SDES item that names a source for good (RFC 3550 6.5.1).
pub const CNAME: u8 = 1;

/// What a sender says of itself (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Its wall clock, or another clock of its own: seconds in the high word, their fraction in the low.
    pub ntp: u64,
    /// The same instant as a timestamp of its RTP packets.
    pub rtp_timestamp: u32,
    /// RTP packets sent.
    pub packets: u32,
    /// Octets of payload sent.
    pub octets: u32,
}

impl SenderInfo {
    /// The middle of the clock, 1/65536 s: what a report block gives back as `last_sender_report`.
    #[must_use]
    pub fn ntp_middle(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// How one source is received (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source this is about.
    pub ssrc: u32,
    /// Packets lost since the last report, in 1/256 of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits with sign.
    pub lost: i32,
    /// Highest sequence number, extended by the count of wraparounds in the high half.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the timestamp.
    pub jitter: u32,
    /// [`SenderInfo::ntp_middle`] of the last sender report; 0 when there was none.
    pub last_sender_report: u32,
    /// How long ago that came, in 1/65536 s.
    pub delay_since: u32,
}

impl ReportBlock {
    fn read(bytes: &[u8]) -> Option<ReportBlock> {
        let loss = word(bytes, 4)?;
        Some(ReportBlock {
            ssrc: word(bytes, 0)?,
            fraction_lost: (loss >> 24) as u8,
            // Shifted up and down again, so that bit 23 becomes the sign.
            lost: (loss << 8).cast_signed() >> 8,
            highest_sequence: word(bytes, 8)?,
            jitter: word(bytes, 12)?,
            last_sender_report: word(bytes, 16)?,
            delay_since: word(bytes, 20)?,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        // RFC 3550 A.3: clamped instead of wrapped.
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        for word in [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sender_report,
            self.delay_since,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// One packet of a compound datagram.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// SR: a sender's account, and how it receives others.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// Its own sending.
        info: SenderInfo,
        /// Its receiving.
        blocks: Blocks<'a>,
    },
    /// RR: how somebody receives others.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// Its receiving.
        blocks: Blocks<'a>,
    },
    /// SDES: names of sources.
    SourceDescription(Chunks<'a>),
    /// BYE: sources that leave, and perhaps why.
    Goodbye {
        /// The sources.
        sources: Sources<'a>,
        /// The reason, empty when none is given.
        reason: &'a [u8],
    },
    /// APP: something of an application.
    Application {
        /// Who sends it.
        ssrc: u32,
        /// The application, in ASCII.
        name: [u8; 4],
        /// What it says.
        data: &'a [u8],
    },
    /// A type defined elsewhere: feedback (RFC 4585), extended reports (RFC 3611).
    Other {
        /// Its type.
        packet_type: u8,
        /// What follows the first word.
        body: &'a [u8],
    },
}

/// The packets of a compound datagram, until its end or the first that does not fit.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    /// The packets of `datagram`.
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Packets<'a> {
        Packets { rest: datagram }
    }

    /// What was not read: empty after the last packet of a well-formed datagram.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&self) -> Option<(Packet<'a>, &'a [u8])> {
        let [first, packet_type, high, low] = *self.rest.first_chunk()?;
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (packet, rest) = self.rest.split_at_checked(len)?;
        let body = packet.get(4..)?;
        let body = match (first >> 6, first & 0x20 != 0) {
            (2, false) => body,
            (2, true) => rtp::without_padding(body)?,
            _ => return None,
        };
        let count = usize::from(first & 0x1f);
        Some((read_body(packet_type, count, body)?, rest))
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, rest) = self.read()?;
        self.rest = rest;
        Some(packet)
    }
}

fn read_body(packet_type: u8, count: usize, body: &[u8]) -> Option<Packet<'_>> {
    Some(match packet_type {
        SENDER_REPORT => Packet::SenderReport {
            ssrc: word(body, 0)?,
            info: read_info(body.get(4..)?)?,
            blocks: Blocks::new(body.get(24..)?, count)?,
        },
        RECEIVER_REPORT => Packet::ReceiverReport {
            ssrc: word(body, 0)?,
            blocks: Blocks::new(body.get(4..)?, count)?,
        },
        SOURCE_DESCRIPTION => Packet::SourceDescription(Chunks { rest: body, count }),
        GOODBYE => read_goodbye(body, count)?,
        APPLICATION => Packet::Application {
            ssrc: word(body, 0)?,
            name: *body.get(4..)?.first_chunk()?,
            data: body.get(8..)?,
        },
        packet_type => Packet::Other { packet_type, body },
    })
}

fn read_info(bytes: &[u8]) -> Option<SenderInfo> {
    Some(SenderInfo {
        ntp: u64::from(word(bytes, 0)?) << 32 | u64::from(word(bytes, 4)?),
        rtp_timestamp: word(bytes, 8)?,
        packets: word(bytes, 12)?,
        octets: word(bytes, 16)?,
    })
}

fn read_goodbye(body: &[u8], count: usize) -> Option<Packet<'_>> {
    let (sources, rest) = body.split_at_checked(count * 4)?;
    let reason = match rest.split_first() {
        Some((len, text)) => text.get(..usize::from(*len))?,
        None => b"",
    };
    Some(Packet::Goodbye {
        sources: Sources(sources),
        reason,
    })
}

/// Report blocks.
#[derive(Clone, Debug)]
pub struct Blocks<'a>(&'a [u8]);

impl<'a> Blocks<'a> {
    fn new(bytes: &'a [u8], count: usize) -> Option<Blocks<'a>> {
        bytes.get(..count * BLOCK).map(Blocks)
    }
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_at_checked(BLOCK)?;
        self.0 = rest;
        ReportBlock::read(block)
    }
}

/// The sources of a BYE.
#[derive(Clone, Debug)]
pub struct Sources<'a>(&'a [u8]);

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let source = word(self.0, 0)?;
        self.0 = self.0.get(4..)?;
        Some(source)
    }
}

/// The chunks of an SDES packet: a source and its items.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (u32, Items<'a>);

    fn next(&mut self) -> Option<(u32, Items<'a>)> {
        self.count = self.count.checked_sub(1)?;
        let source = word(self.rest, 0)?;
        let items = Items(self.rest.get(4..)?);
        let mut behind = items.clone();
        while behind.next().is_some() {}
        // A zero octet ends the list, and more of them fill the word.
        let used = self.rest.len() - behind.0.len() + 1;
        self.rest = self.rest.get(used.next_multiple_of(4)..).unwrap_or(b"");
        Some((source, items))
    }
}

/// The items of a chunk: type and text.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [kind, len, rest @ ..] = self.0 else {
            return None;
        };
        if *kind == 0 {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.0 = rest;
        Some((*kind, text))
    }
}

/// Prints an SR. Blocks beyond the 31 that fit are left out.
pub fn sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
    packet(out, SENDER_REPORT, blocks.len(), |out| {
        out.extend_from_slice(&ssrc.to_be_bytes());
        out.extend_from_slice(&info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        print_blocks(out, blocks);
    });
}

/// Prints an RR. Blocks beyond the 31 that fit are left out.
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    packet(out, RECEIVER_REPORT, blocks.len(), |out| {
        out.extend_from_slice(&ssrc.to_be_bytes());
        print_blocks(out, blocks);
    });
}

/// Prints an SDES with the CNAME of one source, cut at 255 octets.
pub fn source_description(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    packet(out, SOURCE_DESCRIPTION, 1, |out| {
        out.extend_from_slice(&ssrc.to_be_bytes());
        out.push(CNAME);
        print_text(out, cname);
        // At least one zero octet ends the items; `packet` fills the word.
        out.push(0);
    });
}

/// Prints a BYE of one source, with a reason unless it is empty, cut at 255 octets.
pub fn goodbye(out: &mut Vec<u8>, ssrc: u32, reason: &[u8]) {
    packet(out, GOODBYE, 1, |out| {
        out.extend_from_slice(&ssrc.to_be_bytes());
        if !reason.is_empty() {
            print_text(out, reason);
        }
    });
}

fn print_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks.iter().take(COUNT_MAX) {
        block.print(out);
    }
}

/// A text behind its length.
fn print_text(out: &mut Vec<u8>, text: &[u8]) {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend_from_slice(text.get(..usize::from(len)).unwrap_or(text));
}

/// The first word around what `body` prints, which is filled up with zeroes to a whole word.
fn packet(out: &mut Vec<u8>, packet_type: u8, count: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let count = count.min(COUNT_MAX) as u8;
    out.extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
    body(out);
    let len = (out.len() - start).next_multiple_of(4);
    out.resize(start + len, 0);
    let words = (len / 4 - 1) as u16;
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&words.to_be_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = ReportBlock> {
        let words = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        (words, any::<u8>(), -0x80_0000..0x80_0000_i32, any::<u32>()).prop_map(
            |((ssrc, highest_sequence, jitter, last_sender_report), fraction_lost, lost, delay)| {
                ReportBlock {
                    ssrc,
                    fraction_lost,
                    lost,
                    highest_sequence,
                    jitter,
                    last_sender_report,
                    delay_since: delay,
                }
            },
        )
    }

    #[test]
    fn a_compound_datagram_is_read_packet_by_packet() {
        let mut out = Vec::new();
        receiver_report(&mut out, 7, &[]);
        source_description(&mut out, 7, b"alice");
        out.extend_from_slice(&[
            0x81, 204, 0, 3, 0, 0, 0, 7, b'n', b'a', b'm', b'e', 1, 2, 3, 4,
        ]);
        out.extend_from_slice(&[0x81, 206, 0, 1, 9, 9, 9, 9]);
        goodbye(&mut out, 7, b"over");
        assert_eq!(out.len() % 4, 0);
        let mut packets = Packets::new(&out);
        assert!(matches!(
            packets.next(),
            Some(Packet::ReceiverReport { ssrc: 7, .. })
        ));
        let Some(Packet::SourceDescription(mut chunks)) = packets.next() else {
            panic!()
        };
        let (ssrc, items) = chunks.next().unwrap();
        assert_eq!(
            (ssrc, items.collect::<Vec<_>>()),
            (7, vec![(CNAME, &b"alice"[..])])
        );
        assert!(chunks.next().is_none());
        assert!(matches!(
            packets.next(),
            Some(Packet::Application {
                ssrc: 7,
                name: [b'n', b'a', b'm', b'e'],
                data: [1, 2, 3, 4]
            })
        ));
        assert!(matches!(
            packets.next(),
            Some(Packet::Other {
                packet_type: 206,
                body: [9, 9, 9, 9]
            })
        ));
        let Some(Packet::Goodbye { sources, reason }) = packets.next() else {
            panic!()
        };
        assert_eq!(
            (sources.collect::<Vec<_>>(), reason),
            (vec![7], &b"over"[..])
        );
        assert!(packets.next().is_none());
        assert!(packets.rest().is_empty());
    }

    #[test]
    fn several_chunks_are_told_apart() {
        let body = b"\0\0\0\x01\x01\x02ab\0\0\0\0\0\0\0\x02\x01\x01c\0";
        let chunks = Chunks {
            rest: body,
            count: 2,
        };
        let read: Vec<_> = chunks.map(|(ssrc, items)| (ssrc, items.count())).collect();
        assert_eq!(read, [(1, 1), (2, 1)]);
    }

    #[test]
    fn reading_ends_where_lengths_lie() {
        let mut good = Vec::new();
        receiver_report(&mut good, 7, &[ReportBlock::default()]);
        for (at, value) in [(0, 0x40), (0, 0x82), (3, 8), (3, 0), (0, 0xa1)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(Packets::new(&bad).next().is_none(), "{at} {value}");
        }
        assert_eq!(Packets::new(&good).count(), 1);
    }

    #[test]
    fn padding_is_not_read() {
        let bytes = [0xa1, 203, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4];
        let Some(Packet::Goodbye {
            mut sources,
            reason,
        }) = Packets::new(&bytes).next()
        else {
            panic!()
        };
        assert_eq!(
            (sources.next(), sources.next(), reason),
            (Some(5), None, &b""[..])
        );
    }

    #[test]
    fn a_loss_beyond_24_bits_is_clamped() {
        for (lost, read) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-3, -3)] {
            let mut out = Vec::new();
            let block = ReportBlock {
                lost,
                ..ReportBlock::default()
            };
            block.print(&mut out);
            assert_eq!(ReportBlock::read(&out).unwrap().lost, read);
        }
    }

    #[test]
    fn the_middle_of_the_clock() {
        let info = SenderInfo {
            ntp: 0x1111_2222_3333_4444,
            ..SenderInfo::default()
        };
        assert_eq!(info.ntp_middle(), 0x2222_3333);
    }

    #[test]
    fn texts_of_every_length_end_on_a_word() {
        for len in 0..300 {
            let mut out = Vec::new();
            source_description(&mut out, 1, &vec![b'x'; len]);
            let mut packets = Packets::new(&out);
            let Some(Packet::SourceDescription(mut chunks)) = packets.next() else {
                panic!()
            };
            let (_, mut items) = chunks.next().unwrap();
            assert_eq!(items.next().unwrap().1.len(), len.min(255));
            assert!(items.next().is_none() && packets.rest().is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_given(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for packet in Packets::new(&bytes) {
                match packet {
                    Packet::SenderReport { blocks, .. } => { blocks.count(); }
                    Packet::SourceDescription(chunks) => {
                        let items: Vec<usize> = chunks.map(|(_, items)| items.count()).collect();
                        prop_assert!(items.len() <= 31);
                    }
                    Packet::Goodbye { sources, .. } => { sources.count(); }
                    _ => {}
                }
            }
        }

        #[test]
        fn reports_are_read_as_printed(
            ssrc: u32, ntp: u64, rtp_timestamp: u32, packets: u32, octets: u32,
            blocks in prop::collection::vec(block(), 0..40),
        ) {
            let info = SenderInfo { ntp, rtp_timestamp, packets, octets };
            let mut out = Vec::new();
            sender_report(&mut out, ssrc, &info, &blocks);
            receiver_report(&mut out, ssrc, &blocks);
            let kept = &blocks[..blocks.len().min(31)];
            let mut read = Packets::new(&out);
            let Some(Packet::SenderReport { ssrc: from, info: told, blocks: told_blocks }) = read.next()
            else {
                return Err(TestCaseError::fail("no SR"));
            };
            prop_assert_eq!((from, told), (ssrc, info));
            prop_assert_eq!(told_blocks.collect::<Vec<_>>(), kept);
            let Some(Packet::ReceiverReport { blocks: told_blocks, .. }) = read.next() else {
                return Err(TestCaseError::fail("no RR"));
            };
            prop_assert_eq!(told_blocks.collect::<Vec<_>>(), kept);
            prop_assert!(read.next().is_none() && read.rest().is_empty());
        }
    }
}
