//! The journal with real files: what one run has written is what the next one finds, however it ended.

mod crash;
mod damage;
mod full;
mod million;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use ::journal::{DirectoryChange, DirectoryJournal, NotKept};
use router::{Credentials, Domain, Registration};
use stack::Time;

use super::samples::{registration, removal};
use super::state::State;
use super::*;
use crate::housekeeping::executor;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own, removed at the end.
pub(in crate::housekeeping) struct Desk(PathBuf);

impl Desk {
    pub(in crate::housekeeping) fn new(name: &str) -> Desk {
        let name = format!("tipring-journal-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory");
        Desk(path)
    }

    pub(in crate::housekeeping) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn manner(rotate_bytes: u64) -> Manner {
    Manner {
        commit: Duration::from_millis(5),
        rotate_bytes,
    }
}

fn opened(directory: &Path, rotate_bytes: u64) -> Opened {
    ordered(directory, rotate_bytes, &DirectoryJournal::default()).expect("a journal")
}

fn ordered(
    directory: &Path,
    rotate_bytes: u64,
    changes: &DirectoryJournal,
) -> Result<Opened, OpenError> {
    let listeners = vec![([127, 0, 0, 1], 5060).into()];
    let (manner, orders) = (manner(rotate_bytes), changes.orders());
    open(directory, manner, Clock::start(), listeners, 1, orders)
}

/// A journal at work, and the shard that feeds it.
struct Running {
    restored: Restored,
    outgoing: Outgoing,
    directory: DirectoryJournal,
    figures: Figures,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(directory: &Path, rotate_bytes: u64) -> Running {
        let changes = DirectoryJournal::default();
        let opened = ordered(directory, rotate_bytes, &changes).expect("a journal");
        let outgoing = opened.outgoing(0);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, work) = (Arc::clone(&stop), opened.work);
        let thread = std::thread::spawn(move || {
            let executor = executor().expect("io_uring");
            executor.run(async { work.keep(&stopped).await });
        });
        Running {
            restored: opened.restored,
            outgoing,
            directory: changes,
            figures: opened.figures,
            stop,
            thread,
        }
    }

    fn put(&mut self, registrations: impl IntoIterator<Item = Arc<Registration>>) {
        let outgoing = &mut self.outgoing;
        registrations.into_iter().for_each(|one| outgoing.put(&one));
        outgoing.hand_over();
    }

    /// Waits until the numbers say so.
    fn wait(&self, what: impl Fn(&Numbers) -> bool) -> Numbers {
        let until = Instant::now() + PATIENCE;
        loop {
            let numbers = self.figures.read();
            if what(&numbers) {
                return numbers;
            }
            assert!(Instant::now() < until, "{numbers:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Hands a change of the directory over and waits for the answer.
    fn keep(&self, change: DirectoryChange) -> Result<(), NotKept> {
        let (tell, told) = mpsc::channel();
        let done = move |outcome| tell.send(outcome).expect("somebody waits");
        self.directory.keep(change, Box::new(done));
        told.recv_timeout(PATIENCE).expect("an answer")
    }

    fn end(mut self) -> Numbers {
        self.outgoing.finish();
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("no panic");
        self.figures.read()
    }
}

/// Versions by user.
fn versions(restored: &Restored) -> BTreeMap<String, u64> {
    let all = restored.registrations.iter();
    all.map(|one| (one.aor.user().to_owned(), one.version))
        .collect()
}

fn domain(users: u32, byte: u8) -> Arc<Domain> {
    let names: Vec<String> = (0..users).map(|n| format!("u{n}")).collect();
    let credentials = Credentials {
        md5: [byte; 16],
        sha256: [byte; 32],
        sha512_256: [byte; 32],
    };
    let users = names.iter().map(|name| (name.as_str(), credentials));
    Arc::new(Domain::new(
        "example.com",
        Some("http://127.0.0.1:9"),
        users,
    ))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into())
        .collect();
    names.sort();
    names
}

#[test]
fn what_one_run_has_written_the_next_one_finds() {
    let desk = Desk::new("finds");
    let directory = desk.path("journal");
    let mut run = Running::start(&directory, 1 << 20);
    assert!(run.restored.registrations.is_empty() && run.restored.directory.is_empty());
    run.put((1..=50).map(|user| registration(user, 1)));
    run.put([registration(1, 2), removal(2, 2)]);
    assert_eq!(run.keep(DirectoryChange::Domain(domain(3, 1))), Ok(()));
    let numbers = run.end();
    assert!(
        numbers.commits > 0 && numbers.waiting == 0 && !numbers.failing,
        "{numbers:?}"
    );

    let run = Running::start(&directory, 1 << 20);
    let found = versions(&run.restored);
    assert_eq!(
        (found.len(), found.get("u1"), found.get("u2")),
        (49, Some(&2), None)
    );
    let one = &run
        .restored
        .registrations
        .iter()
        .find(|one| one.aor.user() == "u7");
    let (found, wanted) = (
        &one.expect("u7").bindings[0],
        &registration(7, 1).bindings[0],
    );
    assert_eq!(
        (&found.contact, &found.instance),
        (&wanted.contact, &wanted.instance)
    );
    assert!(found.expires <= wanted.expires && found.expires > Time::ZERO);
    assert_eq!(
        run.restored.directory.domain("example.com"),
        Some(&domain(3, 1))
    );
    assert_eq!(run.figures.read().restored, 49);
    run.end();
}

#[test]
fn a_change_of_the_directory_is_on_the_disk_before_it_is_acknowledged() {
    let desk = Desk::new("acknowledged");
    let directory = desk.path("journal");
    let run = Running::start(&directory, 1 << 30);
    // More than fits one write.
    assert_eq!(run.keep(DirectoryChange::Domain(domain(60_000, 1))), Ok(()));
    copy(&directory, &desk.path("killed"));
    let after = domain(2, 9);
    let names = vec!["u1".into(), "u59999".into()];
    let change = DirectoryChange::Users {
        domain: after,
        names,
    };
    assert_eq!(run.keep(change), Ok(()));
    copy(&directory, &desk.path("killed-later"));

    let found = opened(&desk.path("killed"), 1 << 20).restored;
    assert_eq!(
        found.directory.domain("example.com"),
        Some(&domain(60_000, 1))
    );
    let found = opened(&desk.path("killed-later"), 1 << 20).restored;
    let found = found.directory.domain("example.com").expect("a domain");
    assert_eq!(found.user_count(), 59_999);
    assert_eq!(found.credentials("u1").map(|of| of.md5), Some([9; 16]));
    assert_eq!(found.credentials("u59999"), None);
    run.end();
}

/// The files as they are this moment: what a kill would leave.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

#[test]
fn snapshots_take_the_place_of_logs_while_changes_go_on() {
    let desk = Desk::new("snapshots");
    let directory = desk.path("journal");
    let mut run = Running::start(&directory, 64 << 10);
    assert_eq!(run.keep(DirectoryChange::Domain(domain(500, 1))), Ok(()));
    let mut version = 0;
    while run.figures.read().snapshots < 3 {
        version += 1;
        assert!(version < 100_000, "{:?}", run.figures.read());
        run.put((0..200).map(|user| registration(user, version)));
        run.put([removal(version % 200, version + 1)]);
        let records = run.figures.read().records;
        run.wait(|numbers| numbers.records > records);
    }
    let gone = format!("u{}", version % 200);
    let numbers = run.end();
    assert_eq!((numbers.snapshot_failures, numbers.failures), (0, 0));
    let names = names(&directory);
    let snapshots = names.iter().filter(|name| name.starts_with("snapshot-"));
    assert!(snapshots.count() == 1 && names.len() < 10, "{names:?}");

    let found = opened(&directory, 64 << 10).restored;
    let versions = versions(&found);
    assert_eq!((versions.len(), versions.get(&gone)), (199, None));
    assert!(versions.values().all(|found| *found == version));
    assert_eq!(found.directory.domain("example.com"), Some(&domain(500, 1)));
}

#[test]
fn after_the_end_nothing_is_acknowledged() {
    let desk = Desk::new("ended");
    let run = Running::start(&desk.path("journal"), 1 << 20);
    let directory = run.directory.clone();
    run.end();
    let (tell, told) = mpsc::channel();
    let change = DirectoryChange::Removed("a".into());
    directory.keep(
        change,
        Box::new(move |outcome| tell.send(outcome).expect("told")),
    );
    assert_eq!(told.recv(), Ok(Err(NotKept::Closed)));
}

#[test]
fn two_routers_do_not_share_a_journal() {
    let desk = Desk::new("shared");
    let directory = desk.path("journal");
    let run = Running::start(&directory, 1 << 20);
    let second = ordered(&directory, 1 << 20, &DirectoryJournal::default());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    run.end();
    opened(&directory, 1 << 20);
}

#[test]
fn a_look_into_it_tells_what_is_there_and_no_secret() {
    let desk = Desk::new("look");
    let directory = desk.path("journal");
    let mut run = Running::start(&directory, 1 << 20);
    run.put([registration(1, 1), registration(2, 1)]);
    assert_eq!(run.keep(DirectoryChange::Domain(domain(2, 0xAB))), Ok(()));
    run.end();
    let form = |json, records| Form { json, records };
    let (text, good) = inspect(&directory, form(false, false)).expect("a journal");
    assert!(good && text.contains("log 1, "), "{text}");
    let sum =
        "in force: 2 bindings of 2 addresses-of-record (0 have run out), 2 users in 1 domains\n";
    assert!(text.ends_with(sum), "{text}");
    let (text, _) = inspect(&directory, form(true, true)).expect("a journal");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["in_force"]["bindings"], 2);
    let records = value["files"][0]["records"].as_array().expect("records");
    assert!(records.iter().any(|one| one["aor"] == "u1@example.com"));
    assert!(records.iter().any(|one| one["users"]["u1"] == true));
    let secret = text.to_lowercase();
    assert!(
        !secret.contains("abab") && !secret.contains("171"),
        "{text}"
    );
    assert!(matches!(
        inspect(&desk.path("."), form(false, false)),
        Err(inspect::InspectError::Empty(_))
    ));
}
