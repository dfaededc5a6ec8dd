//! What the transaction layer counts. Plain fields that only grow; the reader takes differences.

use super::Wake;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Server transactions created.
    pub servers: u64,
    /// Client transactions created, CANCELs included.
    pub clients: u64,
    /// Requests refused because of the limit on server transactions.
    pub servers_refused: u64,
    /// Requests not sent because of the limit on client transactions.
    pub clients_refused: u64,
    /// Requests without a readable top Via or CSeq, which cannot make a transaction.
    pub unreadable: u64,
    /// Requests and responses that came again.
    pub repeats_received: u64,
    /// Requests sent again by timer A or E.
    pub requests_repeated: u64,
    /// Responses sent again by timer or because the request came again.
    pub responses_repeated: u64,
    /// ACKs sent again because the final response came again.
    pub acks_repeated: u64,
    /// Responses of the transaction user that came too late to be sent, or that may not be sent.
    pub answers_dropped: u64,
    /// Client transactions that ended without an answer.
    pub timed_out: u64,
    /// Client transactions whose request could not be delivered.
    pub failed: u64,
    /// Server transactions whose 2xx nobody acknowledged.
    pub unacknowledged: u64,
    /// Server transactions whose 3xx-6xx nobody acknowledged.
    pub no_ack: u64,
    /// Responses that are for no transaction, by reason.
    pub strays: Strays,
    /// Timers that came up, by [`Wake`]; those of transactions that were gone do not count.
    pub woken: [u64; Wake::COUNT],
}

/// Why a response is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// [`Strays::several_vias`].
    SeveralVias,
    /// [`Strays::foreign_via`].
    ForeignVia,
    /// [`Strays::foreign_branch`].
    ForeignBranch,
    /// [`Strays::other_shard`].
    OtherShard,
    /// [`Strays::no_transaction`].
    NoTransaction,
    /// [`Strays::other_method`].
    OtherMethod,
}

/// Responses that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// More than one Via though the request was our own: it was for somebody else (RFC 3261 8.1.3.3). Or
    /// only one though the request was forwarded: it is for nobody (16.7).
    pub several_vias: u64,
    /// No readable Via, or a branch we did not make.
    pub foreign_branch: u64,
    /// The branch names another shard.
    pub other_shard: u64,
    /// The transaction is gone, or never was.
    pub no_transaction: u64,
    /// The CSeq method is not the request's.
    pub other_method: u64,
    /// The top Via names a host and port that are not ours (RFC 3261 18.1.2).
    pub foreign_via: u64,
}

impl Strays {
    pub(super) fn count(&mut self, stray: Stray) {
        *match stray {
            Stray::SeveralVias => &mut self.several_vias,
            Stray::ForeignVia => &mut self.foreign_via,
            Stray::ForeignBranch => &mut self.foreign_branch,
            Stray::OtherShard => &mut self.other_shard,
            Stray::NoTransaction => &mut self.no_transaction,
            Stray::OtherMethod => &mut self.other_method,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.several_vias
            + self.foreign_branch
            + self.other_shard
            + self.no_transaction
            + self.other_method
            + self.foreign_via
    }
}
