//! The main thread once the engine runs: it waits for signals and for news of the shards, and turns
//! them into reload, drain and end. It carries no calls and may take its time.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use control::{News, Reloaded, Teller};
use router::Directory;
use shard::Command;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::config::{self, Config, Loaded};
use crate::housekeeping::Housekeeper;
use crate::http::{self, View};
use crate::launch::{Engine, Running};
use crate::letter::{Letter, Notice, Outcome};
use crate::peers::PeerTable;
use crate::{keys, modes, plan, registrar, service};

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Carrying calls.
    Running,
    /// Refusing new calls until this time, when the others are ended.
    Draining { until: Instant },
    /// Every call was ended; its last messages are answered until this time.
    Ending { until: Instant },
}

/// A BYE that was lost is repeated after T1, 0.5 s, and after three times T1: both fit.
const END_GRACE: Duration = Duration::from_secs(2);
/// After a second SIGTERM: long enough for what was printed to leave, too short to be noticed.
const END_AT_ONCE: Duration = Duration::from_millis(200);
/// How long the supervisor sleeps at most when nothing has a deadline.
const IDLE: Duration = Duration::from_secs(3600);

/// Takes the process's signals from now on. To be called before the engine starts, so that none finds
/// the default action, which would end the process without a word to its calls.
pub(crate) fn take_signals(tell: mpsc::Sender<Notice>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    let thread = std::thread::Builder::new().name("tipring-signals".into());
    thread.spawn(move || {
        signals
            .forever()
            .try_for_each(|signal| tell.send(Notice::Signal(signal)))
    })?;
    Ok(())
}

/// Watches over a running engine until it has ended.
pub(crate) fn supervise(
    engine: Engine,
    loaded: Loaded,
    path: Option<PathBuf>,
    notices: &mpsc::Receiver<Notice>,
) -> ExitCode {
    let (shards, hep) = (engine.shards, engine.hep);
    let (view, teller) = (engine.view, engine.teller);
    let mut supervisor = Supervisor {
        drained: vec![false; shards.len()],
        watchdog: Watchdog::new(shards.len()),
        shards,
        config: loaded.config,
        path,
        phase: Phase::Running,
        failed: false,
        directory: loaded.directory,
        housekeeper: engine.housekeeper,
        restored: engine.restored,
        view,
        teller,
    };
    supervisor.watch(notices);
    let housekeeper = supervisor.housekeeper.take();
    let code = supervisor.join();
    if let Some(hep) = hep.filter(|_| code == ExitCode::SUCCESS) {
        // It ends when no shard is left and all is sent.
        let _ = hep.join();
    }
    // After the shards, which hand over their last interval when they end.
    if let Some(housekeeper) = housekeeper {
        housekeeper.finish();
    }
    tracing::info!("stopped");
    code
}

struct Supervisor {
    shards: Vec<Running>,
    drained: Vec<bool>,
    config: Config,
    path: Option<PathBuf>,
    watchdog: Watchdog,
    phase: Phase,
    failed: bool,
    /// As the file has it.
    directory: Arc<Directory>,
    housekeeper: Option<Housekeeper>,
    /// The domains that the journal had. With an API it has them, and what was pushed since.
    restored: Directory,
    /// The configuration in force, as the API shows it.
    view: View,
    /// The way to the API; `None`: there is none.
    teller: Option<Teller>,
}

impl Supervisor {
    fn watch(&mut self, notices: &mpsc::Receiver<Notice>) {
        loop {
            match notices.recv_timeout(self.patience()) {
                Ok(Notice::Signal(signal)) => self.on_signal(signal),
                Ok(Notice::Drained(shard)) => self.on_drained(shard),
                Ok(Notice::Ended(shard, outcome)) => self.on_ended(shard, outcome),
                Ok(Notice::Reload(outcome)) => self.on_reload(outcome),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.failed = true,
            }
            self.watchdog.look(&self.shards);
            if self.failed || self.is_over() {
                return;
            }
        }
    }

    /// How long nothing needs doing.
    fn patience(&self) -> Duration {
        let deadline = match self.phase {
            Phase::Running => None,
            Phase::Draining { until } | Phase::Ending { until } => Some(until),
        };
        let left = deadline.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
        left.min(self.watchdog.every.unwrap_or(IDLE))
    }

    /// Moves on when a phase's time is up; true when the last one is over.
    fn is_over(&mut self) -> bool {
        match self.phase {
            Phase::Draining { until } if Instant::now() >= until => {
                let calls = self.calls();
                tracing::warn!(calls, "drain time is over: ending the calls that are left");
                self.end_all(END_GRACE);
                false
            }
            Phase::Running => false,
            Phase::Draining { .. } => self.drained.iter().all(|drained| *drained),
            Phase::Ending { until } => {
                self.drained.iter().all(|drained| *drained) || Instant::now() >= until
            }
        }
    }

    fn on_signal(&mut self, signal: i32) {
        match (signal, self.phase) {
            (SIGHUP, Phase::Running) => drop(self.reload()),
            (SIGUSR1, _) => self.summarize(),
            (SIGTERM, Phase::Running) => self.drain(),
            (SIGTERM | SIGINT, Phase::Running | Phase::Draining { .. }) => {
                tracing::info!(calls = self.calls(), "ending every call at once");
                service::stopping("ending every call");
                self.end_all(END_AT_ONCE);
            }
            (SIGTERM | SIGINT, Phase::Ending { .. }) => {
                self.phase = Phase::Ending {
                    until: Instant::now(),
                };
            }
            _ => tracing::info!(signal, "signal ignored while ending"),
        }
    }

    fn on_drained(&mut self, shard: u8) {
        if let Some(drained) = self.drained.get_mut(usize::from(shard)) {
            *drained = true;
        }
    }

    /// A shard's thread is gone before it was told to stop: its calls are lost, and the sockets it
    /// had would swallow new ones. The service manager starts a new process.
    fn on_ended(&mut self, shard: u8, outcome: Result<(), reactor::TurnError>) {
        let reason = outcome
            .err()
            .map_or_else(|| "stopped".to_owned(), |error| error.to_string());
        tracing::error!(shard, reason, "shard ended; the process ends");
        self.failed = true;
    }

    fn drain(&mut self) {
        let drain_s = self.config.engine.drain_s;
        self.phase = Phase::Draining {
            until: Instant::now() + Duration::from_secs(drain_s),
        };
        self.tell_all(|| Letter::Command(Command::Drain));
        // Said when it is true: whoever calls after this line gets 503.
        tracing::info!(drain_s, calls = self.calls(), "draining: new calls get 503");
        service::stopping("draining");
    }

    fn end_all(&mut self, grace: Duration) {
        self.phase = Phase::Ending {
            until: Instant::now() + grace,
        };
        // Without a drain before it, EndAll would end the calls there are and take new ones.
        self.tell_all(|| Letter::Command(Command::Drain));
        self.tell_all(|| Letter::Command(Command::EndAll));
    }

    /// Who asks while the engine ends gets no answer.
    fn on_reload(&mut self, outcome: Outcome) {
        if self.phase == Phase::Running {
            // Who asked may have gone.
            let _ = outcome.send(self.reload());
        }
    }

    /// Reads the configuration again and takes over what can change while calls run. A mistake in it
    /// changes nothing.
    fn reload(&mut self) -> Result<Reloaded, Vec<String>> {
        service::reloading();
        let outcome = match config::load(self.path.as_deref(), &config::Environment::of_process()) {
            Ok(loaded) => Ok(self.take_over(loaded)),
            Err(error) => {
                let mistakes = error.lines();
                for mistake in &mistakes {
                    tracing::error!("reload: {mistake}");
                }
                tracing::error!(
                    mistakes = mistakes.len(),
                    "reload refused: nothing was changed"
                );
                Err(mistakes)
            }
        };
        service::ready("running");
        outcome
    }

    fn take_over(&mut self, mut loaded: Loaded) -> Reloaded {
        let peers = Arc::new(PeerTable::new(&loaded.config.peer));
        self.tell_all(|| Letter::Peers(Arc::clone(&peers)));
        let latching = plan::peers(self.config.media.latching, &loaded.config.peer);
        self.tell_all(|| Letter::Command(Command::Peers(Arc::clone(&latching))));
        self.tell_all(|| Letter::Command(Command::Route(Arc::clone(&loaded.table))));
        let outbound = plan::outbound(&loaded.config);
        self.tell_all(|| Letter::Command(Command::Outbound(outbound.clone())));
        let relay = plan::relay(&loaded.config);
        self.tell_all(|| Letter::Command(Command::Relay(relay)));
        self.take_over_keys(&loaded);
        let abuse = crate::abuse::rules(&loaded.config.abuse);
        self.tell_all(|| Letter::Command(Command::Abuse(Arc::clone(&abuse))));
        self.take_over_users(&loaded);
        let auth = crate::auth::rules(&loaded.config.auth);
        self.tell_all(|| Letter::Command(Command::Auth(Arc::clone(&auth))));
        let events = crate::events::settings(&loaded.config.events);
        self.tell_all(|| Letter::Command(Command::Events(events.clone())));
        self.take_over_records(&loaded);
        let (rdb, records, peers) = (&loaded.rdb, loaded.table.len(), loaded.config.peer.len());
        tracing::info!(%rdb, records, peers, "reloaded");
        for mode in modes::sentences(&loaded.config) {
            tracing::info!("{mode}");
        }
        // Ports are what they were at the start, whatever the new file says of them.
        if let Some(warning) = plan::media_warning(&self.config, &loaded) {
            tracing::warn!("reload: {warning}");
        }
        let needs_restart = need_restart(&self.config, &loaded.config);
        for section in &needs_restart {
            tracing::warn!("reload: [{section}] has changed and needs a restart");
        }
        let reloaded = Reloaded {
            records,
            peers,
            needs_restart: needs_restart
                .iter()
                .map(|section| (*section).to_owned())
                .collect(),
        };
        self.config.peer.clone_from(&loaded.config.peer);
        self.config.routing.clone_from(&loaded.config.routing);
        self.config
            .application_server
            .clone_from(&loaded.config.application_server);
        self.config.abuse.clone_from(&loaded.config.abuse);
        self.config.registrar.clone_from(&loaded.config.registrar);
        self.config.domain.clone_from(&loaded.config.domain);
        self.config.auth.clone_from(&loaded.config.auth);
        self.config.events.clone_from(&loaded.config.events);
        // Tokens and the certificate change while the API is served; nothing else of it does.
        if self.config.http.takes_over(&loaded.config.http)
            && let Some((_, security)) = loaded.http.take()
        {
            self.config.http.clone_from(&loaded.config.http);
            self.tell_api(News::Secured(security));
        }
        loaded.config.clone_from(&self.config);
        self.view
            .store(Arc::new(http::view(&loaded, &needs_restart)));
        self.tell_api(News::Reloaded(reloaded.clone()));
        reloaded
    }

    fn tell_api(&self, news: News) {
        if let Some(teller) = &self.teller
            && !teller.tell(news)
        {
            tracing::error!("the HTTP API does not hear of the reload");
        }
    }

    /// What the file says of users counts when it has changed: what came over HTTP since then is not undone otherwise.
    fn take_over_users(&mut self, loaded: &Loaded) {
        let settings = registrar::settings(&loaded.config.registrar);
        self.tell_all(|| Letter::Command(Command::Registrar(Some(Arc::clone(&settings)))));
        if self.directory != loaded.directory {
            self.directory = Arc::clone(&loaded.directory);
            match self.teller.is_some() {
                // It gives the shards every directory, so that none overtakes another.
                true => self.tell_api(News::Directory(Arc::clone(&self.directory))),
                false => {
                    let directory = Arc::new(self.directory.with(&self.restored));
                    self.tell_all(|| Letter::Command(Command::Directory(Arc::clone(&directory))));
                }
            }
        }
    }

    /// Records of calls begin and end with a restart; how they are written changes now.
    fn take_over_records(&mut self, loaded: &Loaded) {
        let settings = plan::records(loaded);
        if let Some((housekeeper, settings)) = self.housekeeper.as_ref().zip(settings) {
            housekeeper.reload(settings);
        }
        if self.config.cdr.directory.is_some() == loaded.config.cdr.directory.is_some() {
            self.config.cdr = loaded.config.cdr.clone();
        }
    }

    /// Reads the file of keys again, if it is still the same one.
    fn take_over_keys(&mut self, loaded: &Loaded) {
        let file = loaded.key_file();
        let Some(file) = file.filter(|_| self.config.security == loaded.config.security) else {
            return;
        };
        match keys::proof_keys(Some(&file)) {
            Ok(keys) => self.tell_all(|| Letter::Command(Command::ProofKeys(keys.clone()))),
            Err(error) => tracing::error!("reload: {error}; the keys stay what they were"),
        }
    }

    /// Logs a line of numbers for each shard.
    fn summarize(&self) {
        for (id, shard) in self.shards.iter().enumerate() {
            let board = shard.board.read();
            let (shard, transactions) = (&board.shard, &board.shard.transactions);
            tracing::info!(
                shard = id,
                calls = shard.calls,
                started = shard.calls_started,
                answered = shard.calls_answered,
                failed = shard.calls_failed,
                received = board.reactor.datagrams_in,
                sent = board.reactor.datagrams_out,
                sends = board.reactor.sends,
                retransmissions = transactions.requests_repeated + transactions.responses_repeated,
                strays = transactions.strays.total(),
                handed_over = board.handed_over,
                kernel_drops = board.kernel_drops,
                "numbers"
            );
        }
    }

    fn calls(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.board.read().shard.calls)
            .sum()
    }

    fn tell_all(&mut self, letter: impl Fn() -> Letter) {
        for (id, shard) in self.shards.iter_mut().enumerate() {
            if shard.mailbox.send(letter()).is_err() {
                tracing::error!(shard = id, "shard does not read its letters");
            }
        }
    }

    /// Stops the threads. One that does not stop is left to the end of the process.
    fn join(mut self) -> ExitCode {
        if self.failed {
            return ExitCode::FAILURE;
        }
        if let Phase::Draining { .. } = self.phase {
            // Subscriptions hold nothing up; their ends are told now.
            self.tell_all(|| Letter::Command(Command::EndAll));
        }
        self.tell_all(|| Letter::Stop);
        let until = Instant::now() + END_GRACE;
        for (id, shard) in self.shards.into_iter().enumerate() {
            while !shard.thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !shard.thread.is_finished() {
                tracing::error!(shard = id, "shard does not stop");
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}

/// Sections that differ and cannot be taken over.
fn need_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let sections = [
        ("engine", running.engine != wanted.engine),
        ("listen", running.listen != wanted.listen),
        ("udp", running.udp != wanted.udp),
        ("limits", running.limits != wanted.limits),
        ("timers", running.timers != wanted.timers),
        ("metrics", running.metrics != wanted.metrics),
        ("latency", running.latency != wanted.latency),
        ("log", running.log != wanted.log),
        ("media", running.media != wanted.media),
        ("cdr", running.cdr != wanted.cdr),
        ("hep", running.hep != wanted.hep),
        ("journal", running.journal != wanted.journal),
        ("http", !running.http.takes_over(&wanted.http)),
        (
            "session_timer",
            running.session_timer != wanted.session_timer,
        ),
        ("overload", running.overload != wanted.overload),
        ("security", running.security != wanted.security),
    ];
    sections
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}

/// Tells the service manager that we live, as long as every shard does.
struct Watchdog {
    every: Option<Duration>,
    due: Instant,
    beats: Vec<u64>,
}

impl Watchdog {
    fn new(shards: usize) -> Watchdog {
        Watchdog {
            every: service::watchdog_every(),
            due: Instant::now(),
            beats: vec![0; shards],
        }
    }

    fn look(&mut self, shards: &[Running]) {
        let Some(every) = self.every else { return };
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + every;
        let beats: Vec<u64> = shards.iter().map(|shard| shard.board.read().beat).collect();
        if all_alive(&self.beats, &beats) {
            service::alive();
        } else {
            tracing::error!(?beats, "a shard shows no sign of life");
        }
        self.beats = beats;
    }
}

/// Boards are renewed once a second, so that each beat has moved since the last look.
fn all_alive(before: &[u64], now: &[u64]) -> bool {
    before.iter().zip(now).all(|(before, now)| before < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_and_peers_need_no_restart() {
        let running = Config::default();
        let mut wanted = running.clone();
        wanted.routing.rdb = Some("other.json".into());
        wanted.routing.outbound_proxy = "192.0.2.1:5060".to_owned().try_into().ok();
        wanted.routing.relay.clear();
        wanted.application_server.failures += 1;
        wanted.peer.clear();
        assert!(need_restart(&running, &wanted).is_empty());
        wanted.udp.spin_us += 1;
        wanted.limits.calls += 1;
        assert_eq!(need_restart(&running, &wanted), ["udp", "limits"]);
    }

    #[test]
    fn one_shard_that_stands_still_is_noticed() {
        assert!(all_alive(&[1, 5], &[2, 6]));
        assert!(!all_alive(&[1, 5], &[2, 5]));
    }
}
