//! The control plane as a whole: what all handlers share, and the tasks around them. One thread runs all of
//! it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use router::{Directory, LocationChange, Registration};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::access::Rates;
use crate::asking::Asking;
use crate::directory::Book;
use crate::engine::{Engine, Epoch, now_unix_ms};
use crate::events::{self, Event, Events, PeerEvent};
use crate::history::{History, Sample};
use crate::listener::{self, BindError};
use crate::location::Location;
use crate::news::{Listening, News};
use crate::notifier::Notifier;
use crate::settings::{Security, Settings};

/// News taken before others get their turn.
const NEWS_A_TURN: usize = 256;

/// Everything handlers share. Cloning is cheap.
#[derive(Clone)]
pub struct Plane(Arc<Shared>);

/// See [`Plane`].
pub struct Shared {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) epoch: Epoch,
    pub(crate) started: Instant,
    pub(crate) settings: Settings,
    pub(crate) security: ArcSwap<Security>,
    /// Says when `security` is another.
    pub(crate) renewed: watch::Sender<()>,
    pub(crate) rates: Rates,
    pub(crate) asking: Asking,
    pub(crate) book: Book,
    pub(crate) location: Mutex<Location>,
    pub(crate) events: Events,
    /// How many listen to events.
    pub(crate) readers: watch::Sender<usize>,
    /// How many of them listen to how calls go.
    pub(crate) watchers: watch::Sender<usize>,
    /// The last minutes.
    pub(crate) history: History,
}

/// What there is when the control plane starts.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// When the engine's clock was zero.
    pub base: SystemTime,
    /// The domains of the configuration.
    pub configured: Arc<Directory>,
    /// Those that were pushed here in an earlier run.
    pub pushed: Directory,
    /// Who is registered since an earlier run.
    pub registrations: Arc<[Arc<Registration>]>,
}

/// The control plane could not start: a local cause.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not ours, or taken.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl Deref for Plane {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Plane {
    /// A plane that nobody has started.
    pub(crate) fn new(
        settings: Settings,
        security: Security,
        engine: Box<dyn Engine>,
        beginning: Beginning,
    ) -> Plane {
        let mut location = Location::default();
        for registration in &*beginning.registrations {
            location.take(Arc::clone(registration));
        }
        Plane(Arc::new(Shared {
            engine,
            epoch: Epoch(beginning.base),
            started: Instant::now(),
            security: ArcSwap::from_pointee(security),
            renewed: watch::channel(()).0,
            rates: Rates::new(settings.bounds.requests_per_s),
            asking: Asking::default(),
            book: Book::new(
                beginning.configured,
                beginning.pushed,
                settings.bounds.users,
            ),
            location: Mutex::new(location),
            events: Events::new(),
            readers: watch::channel(0).0,
            watchers: watch::channel(0).0,
            history: History::default(),
            settings,
        }))
    }

    /// These tokens and this certificate from now on. Where the tokens are others, streams of events end, so that
    /// their readers prove themselves anew.
    pub(crate) fn renew(&self, security: Security) {
        let tokens = Arc::clone(&security.tokens);
        let before = self.security.swap(Arc::new(security));
        if before.tokens != tokens {
            self.renewed.send_replace(());
        }
    }

    /// Notes the numbers of now.
    pub(crate) fn note_numbers(&self) {
        let (shards, latencies) = (self.engine.shard_stats(), self.engine.latencies());
        let users = self.location().count();
        let sample = Sample::of(now_unix_ms(), &shards, &latencies, users);
        self.history.note(sample);
    }

    /// Who is registered.
    pub(crate) fn location(&self) -> std::sync::MutexGuard<'_, Location> {
        self.location.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hear(&self, news: News, notifier: &mut Notifier) {
        match news {
            News::Answer(answer) => self.asking.answered(*answer),
            News::Location(change) => self.move_user(&change, notifier),
            News::Progress(view) => {
                let event = events::of_progress(*view, self.epoch);
                event.into_iter().for_each(|event| self.events.tell(event));
            }
            News::Ended(record) => self.events.tell(events::of_record(&record, self.epoch)),
            News::Peer { address, up: true } => {
                self.events.tell(Event::PeerUp(PeerEvent { address }))
            }
            News::Peer { address, up: false } => {
                self.events.tell(Event::PeerDown(PeerEvent { address }));
            }
            News::Secured(security) => self.renew(security),
            News::Directory(configured) => {
                let plane = self.clone();
                tokio::spawn(async move { Book::configure(&plane, configured).await });
            }
            News::Reloaded(reloaded) => self.events.tell(Event::Reload(reloaded)),
        }
    }

    fn move_user(&self, change: &LocationChange, notifier: &mut Notifier) {
        if !self.location().take(Arc::clone(&change.registration)) {
            return;
        }
        let directory = self.book.current();
        let domain = directory.domain(change.registration.aor.domain());
        if let Some(control) = domain.and_then(|domain| domain.control.as_deref()) {
            notifier.tell(control, change);
        }
        if self.events.is_heard() {
            self.events.tell(events::of_location(change));
        }
    }
}

/// Starts everything on the runtime this is called on, and listens.
pub async fn start(
    settings: Settings,
    security: Security,
    engine: Box<dyn Engine>,
    beginning: Beginning,
    listening: Listening,
) -> Result<Plane, StartError> {
    describe();
    let plane = Plane::new(settings, security, engine, beginning);
    listener::open(&plane)?;
    tokio::spawn(hear_all(plane.clone(), listening.0));
    tokio::spawn(watch_calls(plane.clone()));
    tokio::spawn(note_numbers(plane.clone()));
    Ok(plane)
}

async fn hear_all(plane: Plane, mut news: Receiver<News>) {
    let mut notifier = Notifier::new();
    let mut batch = Vec::with_capacity(NEWS_A_TURN);
    while news.recv_many(&mut batch, NEWS_A_TURN).await > 0 {
        batch
            .drain(..)
            .for_each(|news| plane.hear(news, &mut notifier));
        tokio::task::yield_now().await;
    }
}

/// Has the shards tell of calls while somebody listens to that. A shard that was not told is told later.
async fn watch_calls(plane: Plane) {
    let mut watchers = plane.watchers.subscribe();
    let mut told = vec![false; usize::from(plane.engine.shards())];
    loop {
        let wanted = *watchers.borrow_and_update() > 0;
        for (shard, told) in told.iter_mut().enumerate() {
            if *told != wanted && plane.engine.watch(shard as u8, wanted) {
                *told = wanted;
            }
        }
        if told.iter().all(|told| *told == wanted) {
            // The sender lives as long as the plane.
            let _ = watchers.changed().await;
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Notes the numbers as often as shards renew theirs.
async fn note_numbers(plane: Plane) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        plane.note_numbers();
    }
}

/// The metrics of this room: name, label, and what each says.
pub const METRICS: [(&str, &str, &str); 6] = [
    (
        "tipring_http_requests_total",
        "class",
        "Requests to the HTTP API, by class of status.",
    ),
    (
        "tipring_http_refused_total",
        "reason",
        "Requests to the HTTP API that did not pass its door, by reason.",
    ),
    (
        "tipring_http_connections_refused_total",
        "",
        "Connections to the HTTP API beyond http.connections.",
    ),
    (
        "tipring_event_readers_cut_total",
        "",
        "Readers of the event stream that were too slow.",
    ),
    (
        "tipring_notifications_sent_total",
        "",
        "Registrations told to the control of their domain.",
    ),
    (
        "tipring_notifications_lost_total",
        "reason",
        "Registrations the control of their domain could not be told, by reason.",
    ),
];

fn describe() {
    for (name, _, help) in METRICS {
        metrics::describe_counter!(name, metrics::Unit::Count, help);
    }
}
