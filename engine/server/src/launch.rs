//! Bringing the engine up: sockets, steering, the shards' threads and the ways between them. Each
//! reactor is made on its own pinned thread, so a start has two steps: threads make their reactors
//! and hand out their wakers; then the mailboxes between all of them are made and the loops begin.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::control::Teller;
use ::journal::{DirectoryJournal, DirectoryOrders};
use reactor::clock::Clock;
use reactor::mailbox::{Receiver, Sender, mailbox};
use reactor::{
    Reactor, ReactorConfig, SetupError, SteeringError, UdpListener, UdpOptions, Waker, affinity,
    probe, steering,
};
use router::Directory;
use shard::{CallRecord, Command, Shard};
use stack::Time;

use crate::board::Board;
use crate::call_records::{self, RecordSender};
use crate::config::{Coalesce, Loaded, SteeringMode};
use crate::control::{self, Api, Control, ControlError};
use crate::dns::Families;
use crate::drops::Drops;
use crate::hep::{Collector, Tap};
use crate::housekeeping::journal::{self, Opened, Outgoing, Restored};
use crate::housekeeping::{self, Housekeeper, Housekeeping, Logs, Records, Summaries};
use crate::http::{self, View};
use crate::keys::{self, KeyError, Keys};
use crate::letter::{Letter, Notice, Question};
use crate::peers::{Coalescing, PeerTable};
use crate::plan::{self, Common, NoSuchCpu, Places};
use crate::ports::{self, PortsError};
use crate::stopwatch::{Laps, Stopwatch};
use crate::worker::{Station, Turn, Worker};

/// The engine could not start. Local causes all; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The kernel, a limit or an address.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The media ports.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// `udp.steering = "require"` and the program cannot be loaded.
    #[error("udp.steering is \"require\", but {0}")]
    Steering(#[from] SteeringError),
    /// A CPU that is not ours.
    #[error(transparent)]
    Cpu(#[from] NoSuchCpu),
    /// The control thread.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The journal: its directory, or another router that has it.
    #[error("journal: {0}")]
    Journal(#[from] journal::OpenError),
    /// A thread could not be made.
    #[error("a thread could not be started: {0}; raise the limit (LimitNPROC, TasksMax)")]
    Thread(io::Error),
    /// A thread could not be pinned.
    #[error("shard {shard} could not be pinned to CPU {cpu}: {source}")]
    Pin {
        /// The shard.
        shard: u8,
        /// Its CPU.
        cpu: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The records of calls cannot be written.
    #[error("cdr.directory: {0}")]
    Records(String),
    /// No socket or no thread for the collector of SIP messages.
    #[error("hep: {0}")]
    Hep(io::Error),
    /// Random numbers, or the file of keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A thread ended before it could say why.
    #[error("shard {0} ended while starting")]
    Lost(u8),
}

/// How datagrams find their shard in this run.
#[derive(Debug)]
pub(crate) enum Steered {
    /// One shard: nothing to find.
    Single,
    /// By the kernel.
    Kernel,
    /// By hand-over, and why not by the kernel.
    HandOver(String),
}

impl Steered {
    /// One word for a log line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Steered::Single => "none",
            Steered::Kernel => "kernel",
            Steered::HandOver(_) => "hand-over",
        }
    }
}

/// A running engine.
pub(crate) struct Engine {
    /// Its shards, by number.
    pub(crate) shards: Vec<Running>,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The shards' CPUs.
    pub(crate) places: Places,
    /// How datagrams find their shard.
    pub(crate) steered: Steered,
    /// The thread that has the latencies; `None` when none are measured.
    pub(crate) housekeeper: Option<Housekeeper>,
    /// Port pairs open for media, all shards together.
    pub(crate) media_pairs: usize,
    /// The thread that sends copies of SIP messages; `None` without a collector.
    pub(crate) hep: Option<JoinHandle<()>>,
    /// The domains that the journal had.
    pub(crate) restored: Directory,
    /// The configuration in force, as the API shows it.
    pub(crate) view: View,
    /// The way to the API; `None`: there is none.
    pub(crate) teller: Option<Teller>,
}

/// One running shard.
pub(crate) struct Running {
    /// The supervisor's way to it.
    pub(crate) mailbox: Sender<Letter>,
    /// Its numbers.
    pub(crate) board: Board,
    /// Its thread.
    pub(crate) thread: JoinHandle<()>,
}

/// Letters a mailbox between shards holds: as many as a burst the receive buffers of a shard take.
const MAILBOX_LETTERS: usize = 4096;
/// Questions for names that wait for the resolver, all shards together.
const QUESTIONS: usize = 4096;

/// How long an address in use is tried again, and how often.
const BIND_PATIENCE: Duration = Duration::from_secs(2);
pub(crate) const BIND_PAUSE: Duration = Duration::from_millis(50);

/// Starts everything. When it returns, calls can come in.
pub(crate) fn launch(
    loaded: &Loaded,
    sip_trace: bool,
    notify: mpsc::Sender<Notice>,
) -> Result<Engine, LaunchError> {
    let config = &loaded.config;
    let allowed = affinity::allowed_cpus().unwrap_or_default();
    let places = plan::places(config, &allowed)?;
    let reactor = plan::reactor(config, places.len());
    reactor::raise_open_files(probe::files_needed(&reactor, places.len()))?;
    let (clock, base) = (Clock::start(), SystemTime::now());
    // Before anything can come in that would have to wait for it.
    let pushed = DirectoryJournal::default();
    let journal = open_journal(loaded, clock, places.len(), pushed.orders())?;
    let restored = journal.as_ref().map(|journal| journal.restored.clone());
    let restored = restored.unwrap_or_default();
    let directory = restored.directory_with(&loaded.directory);
    let give_up = Instant::now() + BIND_PATIENCE;
    let groups = bind(loaded, places.len(), give_up)?;
    let media = ports::open(config, places.len(), give_up)?;
    let media_pairs = media.iter().map(|part| part.pairs.len()).sum();
    let addresses: Vec<SocketAddr> = groups
        .iter()
        .map(|group| group[0].local_address())
        .collect();
    let keys = Keys::draw()?;
    let proof_keys = keys::proof_keys(loaded.key_file().as_deref())?;
    let steered = steer(&groups, config.udp.steering, keys.steer)?;
    let (ask, questions) = tokio::sync::mpsc::channel(QUESTIONS);
    let (teller, listening) = loaded.http.as_ref().map(|_| ::control::channel()).unzip();

    let since = base.duration_since(UNIX_EPOCH).unwrap_or_default();
    let common = Common {
        config,
        table: &loaded.table,
        directory: &directory,
        shards: places.len() as u8,
        steer_key: keys.steer,
        nonce_secret: keys.nonces.clone(),
        unix_us: since.as_micros() as u64,
        proof_keys: &proof_keys,
    };
    let peers = Arc::new(PeerTable::new(&config.peer));
    let (mut stopwatches, laps) = stopwatches(loaded, places.len());
    let (records, record_queue) = record_queue(loaded)?.unzip();
    let (collector, hep) = Collector::start(&config.hep)
        .map_err(LaunchError::Hep)?
        .unzip();
    let mut berths = Vec::new();
    for (id, (sockets, media)) in by_shard(groups).into_iter().zip(media).enumerate() {
        let shard = common.shard(id as u8, keys.seed(id), &sockets, media.pairs);
        let seat = Seat {
            id: id as u8,
            cpu: places[id],
            reactor: reactor.clone(),
            sockets,
            media: media.sockets,
            shard,
            clock,
            coalescing: (config.udp.coalesce, Arc::clone(&peers)),
            resolver: ask.clone(),
            notices: notify.clone(),
            sip_trace,
            stopwatch: stopwatches.next().unwrap_or_default(),
            records: records.clone(),
            collector: collector.clone(),
            bindings: journal
                .as_ref()
                .map_or_else(Outgoing::default, |it| it.outgoing(id)),
            news: teller.clone(),
        };
        berths.push(Berth::spawn(seat).map_err(LaunchError::Thread)?);
    }
    drop((ask, records, collector));

    let wakers = berths
        .iter()
        .map(Berth::waker)
        .collect::<Result<Vec<_>, _>>()?;
    let mut mesh = Mesh::new(&wakers);
    let (supervisor, replies) = (mesh.open_to_all(), mesh.open_to_all());
    let view = View::new(arc_swap::ArcSwap::from_pointee(http::view(loaded, &[])));
    let summaries = Summaries::new(places.len());
    let figures = journal.as_ref().map(|journal| journal.figures.clone());
    let work = (laps, record_queue, journal.map(|journal| journal.work));
    let housekeeper = keep_house(loaded, &places, &allowed, (base, clock), work, &summaries)?;
    let api = loaded
        .http
        .clone()
        .zip(listening)
        .map(|(secured, listening)| Api {
            secured,
            listening,
            base,
            directory: Arc::clone(&directory),
            mailboxes: mesh.open_to_all(),
            view: Arc::clone(&view),
            notices: notify.clone(),
        });
    control::start(Control {
        questions,
        replies,
        families: Families::of(addresses.iter().copied()),
        metrics: config.metrics.address.as_ref().map(|address| address.0),
        boards: berths.iter().map(|berth| berth.board.clone()).collect(),
        limits: config.limits.clone(),
        latencies: config.measures_latency().then_some(summaries),
        journal: figures,
        api,
    })?;
    let shards = berths.into_iter().zip(mesh.ends).zip(supervisor);
    let shards = shards
        .map(|((berth, ends), mailbox)| berth.begin(ends, remind(mailbox, &restored)))
        .collect();
    Ok(Engine {
        shards,
        addresses,
        places,
        steered,
        housekeeper,
        media_pairs,
        hep,
        restored: restored.directory,
        view,
        teller,
    })
}

/// A stopwatch for each shard and where their laps come out; none when nobody could see them.
fn stopwatches(loaded: &Loaded, shards: usize) -> (std::vec::IntoIter<Stopwatch>, Vec<Laps>) {
    let latency = &loaded.config.latency;
    let shards = if loaded.config.measures_latency() {
        shards
    } else {
        0
    };
    let interval = Duration::from_secs(latency.interval_s);
    let (stopwatches, laps): (Vec<_>, _) = (0..shards).map(|_| Stopwatch::start(interval)).unzip();
    (stopwatches.into_iter(), laps)
}

/// The journal, read; `None`: none is kept.
fn open_journal(
    loaded: &Loaded,
    clock: Clock,
    shards: usize,
    orders: DirectoryOrders,
) -> Result<Option<Opened>, journal::OpenError> {
    let Some(directory) = loaded.journal_directory() else {
        return Ok(None);
    };
    let manner = plan::journal(&loaded.config.journal);
    let listen = loaded.config.listen.iter();
    let listeners = listen.map(|listen| listen.address.0).collect();
    journal::open(&directory, manner, clock, listeners, shards, orders).map(Some)
}

/// The first letter of a shard: what an earlier run knew of users. It is read before any datagram.
fn remind(mut mailbox: Sender<Letter>, restored: &Restored) -> Sender<Letter> {
    if !restored.registrations.is_empty() {
        let known = Command::Restore(Arc::clone(&restored.registrations));
        // It is empty, and has room.
        let _ = mailbox.send(Letter::Command(known));
    }
    mailbox
}

fn keep_house(
    loaded: &Loaded,
    places: &Places,
    allowed: &[usize],
    (base, clock): (SystemTime, Clock),
    (laps, queue, journal): (Vec<Laps>, Option<RecordQueue>, Option<journal::Work>),
    summaries: &Summaries,
) -> Result<Option<Housekeeper>, LaunchError> {
    let settings = plan::records(loaded);
    let (reload, reloads) = mpsc::channel();
    let records = queue.zip(settings).map(|(queue, settings)| Records {
        queue,
        reloads,
        settings,
        clock,
    });
    if laps.is_empty() && records.is_none() && journal.is_none() {
        return Ok(None);
    }
    let latency = &loaded.config.latency;
    let logs = loaded.latency_directory().map(|directory| Logs {
        directory,
        rotate_bytes: latency.rotate_bytes,
        rotate_files: latency.rotate_files,
        base,
    });
    let free = |cpu: &&usize| !places.contains(&Some(**cpu));
    let work = Housekeeping {
        laps,
        summaries: summaries.clone(),
        logs,
        records,
        cpu: allowed.iter().rev().find(free).copied(),
        journal,
    };
    Housekeeper::start(work, reload)
        .map(Some)
        .map_err(LaunchError::Thread)
}

type RecordQueue = mpsc::Receiver<Arc<CallRecord>>;
type RecordWay = mpsc::SyncSender<Arc<CallRecord>>;

/// The queue of call records, when they are written.
fn record_queue(loaded: &Loaded) -> Result<Option<(RecordWay, RecordQueue)>, LaunchError> {
    let Some(directory) = loaded.records_directory() else {
        return Ok(None);
    };
    // A router that is to be paid by its records had better not start without them.
    housekeeping::try_records(&directory).map_err(LaunchError::Records)?;
    Ok(Some(mpsc::sync_channel(call_records::QUEUE)))
}

fn bind(
    loaded: &Loaded,
    shards: usize,
    give_up: Instant,
) -> Result<Vec<Vec<UdpListener>>, SetupError> {
    let options = plan::udp(&loaded.config);
    let listen = loaded.config.listen.iter();
    listen
        .map(|listen| bind_patiently(listen.address.0, shards, &options, give_up))
        .collect()
}

/// The ring of an engine that was killed lets its sockets go a moment after the process is gone, so an
/// address in use is tried again before it is an error.
fn bind_patiently(
    address: SocketAddr,
    shards: usize,
    options: &UdpOptions,
    give_up: Instant,
) -> Result<Vec<UdpListener>, SetupError> {
    loop {
        match reactor::bind_udp_group(address, shards, options) {
            Err(SetupError::Bind { source, .. })
                if source.kind() == ErrorKind::AddrInUse && Instant::now() < give_up =>
            {
                std::thread::sleep(BIND_PAUSE);
            }
            bound => return bound,
        }
    }
}

fn steer(
    groups: &[Vec<UdpListener>],
    mode: SteeringMode,
    key: u64,
) -> Result<Steered, SteeringError> {
    if groups.iter().all(|group| group.len() < 2) {
        return Ok(Steered::Single);
    }
    if mode == SteeringMode::Off {
        return Ok(Steered::HandOver("udp.steering is \"off\"".to_owned()));
    }
    // The kernel keeps a program with its sockets: nothing to hold on to.
    match groups
        .iter()
        .try_for_each(|group| steering::attach(group, key).map(drop))
    {
        Ok(()) => Ok(Steered::Kernel),
        Err(error) if mode == SteeringMode::Auto => Ok(Steered::HandOver(error.to_string())),
        Err(error) => Err(error),
    }
}

/// From a group of sockets for each listener to the sockets of each shard.
fn by_shard(groups: Vec<Vec<UdpListener>>) -> Vec<Vec<UdpListener>> {
    let shards = groups.first().map_or(0, Vec::len);
    let mut sockets: Vec<Vec<UdpListener>> = (0..shards).map(|_| Vec::new()).collect();
    for group in groups {
        sockets
            .iter_mut()
            .zip(group)
            .for_each(|(own, socket)| own.push(socket));
    }
    sockets
}

/// What a shard's thread is given to begin with.
struct Seat {
    id: u8,
    cpu: Option<usize>,
    reactor: ReactorConfig,
    sockets: Vec<UdpListener>,
    media: Vec<UdpListener>,
    shard: shard::Config,
    clock: Clock,
    coalescing: (Coalesce, Arc<PeerTable>),
    resolver: tokio::sync::mpsc::Sender<Question>,
    notices: mpsc::Sender<Notice>,
    sip_trace: bool,
    stopwatch: Stopwatch,
    records: Option<RecordWay>,
    collector: Option<Collector>,
    bindings: Outgoing,
    news: Option<Teller>,
}

/// A shard's ends of the mailboxes.
#[derive(Default)]
struct Ends {
    inboxes: Vec<Receiver<Letter>>,
    neighbours: Vec<Option<Sender<Letter>>>,
}

/// Mailboxes from each shard to each other one, and from outside to each.
struct Mesh<'w> {
    wakers: &'w [Waker],
    ends: Vec<Ends>,
}

impl<'w> Mesh<'w> {
    fn new(wakers: &'w [Waker]) -> Mesh<'w> {
        let mut mesh = Mesh {
            wakers,
            ends: Vec::new(),
        };
        mesh.ends.resize_with(wakers.len(), Ends::default);
        for from in 0..wakers.len() {
            mesh.ends[from].neighbours = (0..wakers.len())
                .map(|to| (from != to).then(|| mesh.way_to(to)))
                .collect();
        }
        mesh
    }

    fn way_to(&mut self, shard: usize) -> Sender<Letter> {
        let (sender, receiver) = mailbox(MAILBOX_LETTERS, self.wakers[shard].clone());
        self.ends[shard].inboxes.push(receiver);
        sender
    }

    /// Ways for one more thread to every shard.
    fn open_to_all(&mut self) -> Vec<Sender<Letter>> {
        (0..self.wakers.len())
            .map(|shard| self.way_to(shard))
            .collect()
    }
}

/// A shard's thread between the two steps of its start.
struct Berth {
    id: u8,
    ready: mpsc::Receiver<Result<Waker, LaunchError>>,
    begin: mpsc::Sender<Ends>,
    board: Board,
    thread: JoinHandle<()>,
}

impl Berth {
    fn spawn(seat: Seat) -> io::Result<Berth> {
        let (say_ready, ready) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let (id, board) = (seat.id, Board::default());
        let own_board = board.clone();
        let thread = std::thread::Builder::new()
            .name(format!("tipring-shard{id}"))
            .spawn(move || shard_thread(seat, own_board, &say_ready, &begun))?;
        Ok(Berth {
            id,
            ready,
            begin,
            board,
            thread,
        })
    }

    /// Waits for the first step.
    fn waker(&self) -> Result<Waker, LaunchError> {
        self.ready.recv().unwrap_or(Err(LaunchError::Lost(self.id)))
    }

    /// The second step. A thread that is gone by now has told why in its notice.
    fn begin(self, ends: Ends, mailbox: Sender<Letter>) -> Running {
        let _ = self.begin.send(ends);
        Running {
            mailbox,
            board: self.board,
            thread: self.thread,
        }
    }
}

fn shard_thread(
    seat: Seat,
    board: Board,
    ready: &mpsc::Sender<Result<Waker, LaunchError>>,
    begun: &mpsc::Receiver<Ends>,
) {
    let media = Drops::of(seat.sockets.len() as u16, seat.media.len());
    let reactor = match make_reactor(seat.id, seat.cpu, &seat.reactor, seat.sockets, seat.media) {
        Ok(reactor) => reactor,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(reactor.waker()));
    // When another shard could not start, nobody sends this and the thread just ends.
    let Ok(ends) = begun.recv() else { return };
    let now = Time::from_nanos(seat.clock.now_ns());
    let notices = seat.notices.clone();
    let (mode, peers) = seat.coalescing;
    let listeners = seat.shard.listeners.iter();
    let listeners = listeners.map(|listener| listener.address).collect();
    let limits = seat.shard.limits.wire;
    let tap = seat.collector.map(|it| Tap::new(it, listeners, limits));
    let station = Station {
        id: seat.id,
        listeners: seat.shard.listeners.len() as u16,
        drops: Drops::of(0, seat.shard.listeners.len()),
        media_drops: media,
        shard: Shard::new(seat.shard, now),
        clock: seat.clock,
        inboxes: ends.inboxes,
        neighbours: ends.neighbours,
        resolver: seat.resolver,
        notices: seat.notices,
        board,
        coalescing: Coalescing::new(mode, peers),
        sip_trace: seat.sip_trace,
        turn: Turn::default(),
        stopwatch: seat.stopwatch,
        news: seat.news,
        records: seat.records.map(RecordSender::new),
        tap,
        bindings: seat.bindings,
    };
    let outcome = Worker { reactor, station }.run();
    let _ = notices.send(Notice::Ended(seat.id, outcome));
}

fn make_reactor(
    shard: u8,
    cpu: Option<usize>,
    config: &ReactorConfig,
    sockets: Vec<UdpListener>,
    media: Vec<UdpListener>,
) -> Result<Reactor, LaunchError> {
    if let Some(cpu) = cpu {
        affinity::pin_to(cpu).map_err(|source| LaunchError::Pin { shard, cpu, source })?;
    }
    let mut reactor = Reactor::new(config)?;
    for socket in sockets {
        reactor.add_udp(socket)?;
    }
    // Behind the listeners: the media room counts from there.
    if !media.is_empty() {
        reactor.add_udp_small(media)?;
    }
    Ok(reactor)
}
