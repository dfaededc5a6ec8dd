//! The 64 bits that travel with each ring operation and come back with its completion.

/// What a completion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// The multishot receive of this socket.
    Receive { socket: u16 },
    /// A send of this batch in flight: its place there, and whether the kernel kept it waiting.
    Send {
        flight: u16,
        generation: u16,
        departure: u32,
        waiting: bool,
    },
    /// The eventfd's multishot poll.
    Wake,
}

const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const SEND_WAITING: u64 = 3;
const WAKE: u64 = 4;
/// Flights fit 12 bits, beside four for the kind.
pub(crate) const FLIGHTS_MAX: usize = 1 << 12;

impl Ticket {
    pub(crate) fn pack(self) -> u64 {
        match self {
            Ticket::Receive { socket } => RECEIVE << 60 | u64::from(socket),
            Ticket::Send {
                flight,
                generation,
                departure,
                waiting,
            } => {
                let kind = if waiting { SEND_WAITING } else { SEND };
                let place = u64::from(flight) << 48 | u64::from(generation) << 32;
                kind << 60 | place | u64::from(departure)
            }
            Ticket::Wake => WAKE << 60,
        }
    }

    pub(crate) fn unpack(bits: u64) -> Option<Ticket> {
        match bits >> 60 {
            RECEIVE => Some(Ticket::Receive {
                socket: bits as u16,
            }),
            kind @ (SEND | SEND_WAITING) => Some(Ticket::Send {
                flight: (bits >> 48) as u16 & (FLIGHTS_MAX as u16 - 1),
                generation: (bits >> 32) as u16,
                departure: bits as u32,
                waiting: kind == SEND_WAITING,
            }),
            WAKE => Some(Ticket::Wake),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_come_back_as_they_went() {
        let send = |flight, generation, departure, waiting| Ticket::Send {
            flight,
            generation,
            departure,
            waiting,
        };
        let tickets = [
            Ticket::Receive { socket: 0 },
            Ticket::Receive { socket: u16::MAX },
            send(0, 0, 0, false),
            send(FLIGHTS_MAX as u16 - 1, u16::MAX, u32::MAX, true),
            send(7, 9, 11, false),
            Ticket::Wake,
        ];
        for ticket in tickets {
            assert_eq!(Ticket::unpack(ticket.pack()), Some(ticket));
        }
        assert_eq!(Ticket::unpack(0), None);
    }
}
