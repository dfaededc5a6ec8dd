//! The engine's doors for the control room: its questions and commands become letters to shards and notices
//! to the supervisor, and boards its numbers. Nothing here waits.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use arc_swap::ArcSwap;
use control::{Engine, Kept, Latency, Limit, Reload, Setting, SettingsView, ShardStats};
use journal::{DirectoryChange, DirectoryJournal};
use latency::Metric;
use reactor::mailbox::Sender;
use router::{Aor, Directory, MessageWaiting, Query};
use shard::Command;

use crate::board::{Board, Snapshot};
use crate::config::{self, Limits, Loaded};
use crate::exposition::Exposition;
use crate::housekeeping::{Summaries, Summary};
use crate::letter::{Letter, Notice};

/// The configuration in force, as the API shows it.
pub(crate) type View = Arc<ArcSwap<SettingsView>>;

/// The doors.
pub(crate) struct Doors {
    /// Ways to the shards.
    pub(crate) mailboxes: Mutex<Vec<Sender<Letter>>>,
    /// The shards' numbers.
    pub(crate) boards: Vec<Board>,
    /// The shards' latencies, when they are measured.
    pub(crate) latencies: Option<Summaries>,
    /// The configured limits.
    pub(crate) limits: Limits,
    /// All metrics.
    pub(crate) metrics: Exposition,
    /// The configuration in force.
    pub(crate) view: View,
    /// The way to the supervisor.
    pub(crate) notices: mpsc::Sender<Notice>,
    /// The journal's desk for changes of the directory; `None`: no journal is kept.
    pub(crate) pushed: Option<DirectoryJournal>,
}

impl Doors {
    fn send(&self, shard: u8, command: Command) -> bool {
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mailbox = mailboxes.get_mut(usize::from(shard));
        mailbox.is_some_and(|mailbox| mailbox.send(Letter::Command(command)).is_ok())
    }
}

impl Engine for Doors {
    fn shards(&self) -> u8 {
        self.boards.len() as u8
    }

    fn ask(&self, shard: u8, query: Query) -> bool {
        self.send(shard, Command::Query(query))
    }

    fn give_directory(&self, shard: u8, directory: &Arc<Directory>) -> bool {
        self.send(shard, Command::Directory(Arc::clone(directory)))
    }

    fn keep(&self, change: DirectoryChange) -> Option<Kept> {
        let journal = self.pushed.as_ref()?;
        let (done, kept) = tokio::sync::oneshot::channel();
        let tell = move |outcome| {
            // Who asked may have gone.
            let _ = done.send(outcome);
        };
        journal.keep(change, Box::new(tell));
        Some(kept)
    }

    fn set_waiting(&self, shard: u8, aor: &Aor, waiting: Option<MessageWaiting>) -> bool {
        let aor = aor.clone();
        self.send(shard, Command::MessageWaiting { aor, waiting })
    }

    fn watch(&self, shard: u8, watched: bool) -> bool {
        self.send(shard, Command::Watch(watched))
    }

    fn shard_stats(&self) -> Vec<ShardStats> {
        self.boards
            .iter()
            .map(|board| stats(&board.read()))
            .collect()
    }

    fn latencies(&self) -> Vec<Latency> {
        let summaries = self.latencies.as_ref().map(Summaries::read);
        let shards = (0..).zip(summaries.iter().flatten());
        shards
            .flat_map(|(shard, summary)| latencies(shard, summary))
            .collect()
    }

    fn limits(&self) -> Vec<Limit> {
        let limits = &self.limits;
        let rows = [
            ("limits.calls", limits.calls),
            ("limits.transactions", limits.transactions),
            ("limits.names", limits.names),
            ("limits.subscriptions", limits.subscriptions),
            ("limits.users", limits.users),
        ];
        let limit = |(key, value)| Limit {
            key,
            value: value as u64,
        };
        rows.map(limit).into()
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn settings(&self) -> SettingsView {
        SettingsView::clone(&self.view.load())
    }

    fn reload(&self) -> Option<Reload> {
        let (reply, outcome) = tokio::sync::oneshot::channel();
        self.notices.send(Notice::Reload(reply)).ok()?;
        Some(outcome)
    }
}

/// Those that were measured, in microseconds.
fn latencies(shard: u8, summary: &Summary) -> impl Iterator<Item = Latency> {
    let latency = move |(metric, seconds): (Metric, &[f64; 4])| {
        let [p50_us, p99_us, p999_us, max_us] = seconds.map(|s| (s * 1e9).round() / 1e3);
        Latency {
            shard,
            metric: metric.name(),
            p50_us,
            p99_us,
            p999_us,
            max_us,
        }
    };
    let all = Metric::ALL.into_iter().zip(summary).map(latency);
    all.filter(|latency| latency.max_us.is_finite())
}

fn stats(board: &Snapshot) -> ShardStats {
    let shard = &board.shard;
    let transactions = &shard.transactions;
    ShardStats {
        calls: shard.calls,
        calls_started: shard.calls_started,
        calls_answered: shard.calls_answered,
        calls_failed: shard.calls_failed,
        calls_ended: shard.calls_ended,
        calls_limited: shard.calls_limited,
        datagrams_received: board.reactor.datagrams_in,
        datagrams_sent: board.reactor.datagrams_out,
        retransmissions: transactions.requests_repeated + transactions.responses_repeated,
        kernel_drops: board.kernel_drops,
        transactions: shard.server_transactions + shard.client_transactions,
        subscriptions: shard.subscriptions,
        media_streams: shard.media.streams,
        news_lost: board.news_lost,
        overloaded: shard.admission.overloaded != 0,
        busy_permille: board.pace.busy_permille,
        calls_per_s: board.pace.calls_per_s,
        datagrams_per_s: board.pace.datagrams_per_s,
        application_server_up: shard.application_server_up != 0,
    }
}

/// What the API shows of a configuration: secrets are left out by the values themselves.
pub(crate) fn view(loaded: &Loaded, needs_restart: &[&str]) -> SettingsView {
    let setting = |setting: config::Setting| Setting {
        key: setting.key,
        value: serde_json::from_str(&setting.value).unwrap_or_default(),
        source: setting.source.to_string(),
    };
    SettingsView {
        origin: loaded.origin.to_string(),
        rdb: loaded.rdb.to_string(),
        needs_restart: needs_restart
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        settings: config::settings(loaded).into_iter().map(setting).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_is_told_in_microseconds() {
        let summaries = Summaries::new(2);
        let mut set = latency::Set::new(&Metric::NAMES);
        set.record(Metric::InviteInToOut.index(), 20_000, 5);
        summaries.renew(1, &set);
        let told: Vec<Latency> = (0..)
            .zip(&summaries.read())
            .flat_map(|(shard, summary)| latencies(shard, summary))
            .collect();
        let [one] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((one.shard, one.metric), (1, "invite_in_to_out"));
        for us in [one.p50_us, one.p99_us, one.p999_us, one.max_us] {
            assert!((us - 20.0).abs() < 0.1, "{one:?}");
        }
    }
}
