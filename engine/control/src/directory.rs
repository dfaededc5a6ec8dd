//! The directory as it is pushed over HTTP, beside the domains of the configuration: one immutable value at a
//! time, each change a new one that the journal keeps before all shards are given it. Secrets are hashed on
//! their way in and kept nowhere.

mod upload;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::StatusCode;
use journal::{DirectoryChange, NotKept};
use router::{Aor, Credentials, Directory, Domain, MessageWaiting};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub(crate) use self::upload::{UploadStatus, Uploads, receive};
use crate::engine::Engine;
use crate::plane::Plane;
use crate::problem::Problem;

/// A shard reads its letters within a turn of its loop; one that does not for so long is dead.
const DELIVERY_PAUSE: Duration = Duration::from_millis(20);
const DELIVERY_TRIES: u32 = 100;
/// Domains at once.
const DOMAINS: usize = 10_000;

/// The directory in force, and where it comes from.
pub(crate) struct Book {
    /// The domains of the configuration, and beside them those that were pushed.
    current: ArcSwap<Directory>,
    /// The domains of the configuration. They are changed by who holds `pushed`.
    configured: ArcSwap<Directory>,
    /// What was pushed. A configured domain of the same name hides it, and no more.
    pushed: Arc<Mutex<Directory>>,
    users_max: usize,
    /// Bulk uploads, under way and past.
    pub(crate) uploads: Uploads,
}

/// Who has it changes the directory, one after the other.
type Pushed = OwnedMutexGuard<Directory>;

impl Book {
    /// A book that begins with the configured domains and what was pushed earlier.
    pub(crate) fn new(configured: Arc<Directory>, pushed: Directory, users_max: usize) -> Book {
        Book {
            current: ArcSwap::from_pointee(configured.with(&pushed)),
            configured: ArcSwap::new(configured),
            pushed: Arc::new(Mutex::new(pushed)),
            users_max,
            uploads: Uploads::default(),
        }
    }

    /// The directory in force.
    pub(crate) fn current(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    /// How many users a domain of this name may have beside all others.
    pub(crate) fn room_for(&self, domain: &str) -> usize {
        let directory = self.current();
        let others = directory.domains().filter(|other| *other.name != *domain);
        let taken: usize = others.map(|other| other.user_count()).sum();
        self.users_max.saturating_sub(taken)
    }

    /// 409 for a domain of the configuration: who starts the router next finds what stands there.
    pub(crate) fn may_change(&self, domain: &str) -> Result<(), Problem> {
        if self.configured.load().domain(domain).is_none() {
            return Ok(());
        }
        let detail = format!("{domain} is a [[domain]] of the configuration: change it there");
        Err(Problem::new(StatusCode::CONFLICT, detail).about("domain"))
    }

    /// Adds a domain, or replaces the one of this name.
    pub(crate) async fn put_domain(plane: &Plane, domain: Domain) -> Result<(), Problem> {
        let (book, pushed) = plane.book.open(&domain.name).await?;
        let known = pushed.domain(&domain.name).is_some();
        if !known && book.current().domains().count() >= DOMAINS {
            return Err(full(format!(
                "there are {DOMAINS} domains, the most there may be"
            )));
        }
        if domain.user_count() > book.room_for(&domain.name) {
            return Err(book.no_room());
        }
        let domain = Arc::new(domain);
        let mut next = Directory::clone(&pushed);
        next.put_domain(Arc::clone(&domain));
        carry_out(plane, pushed, next, DirectoryChange::Domain(domain)).await
    }

    /// Adds a user, or changes its secret.
    pub(crate) async fn put_user(
        plane: &Plane,
        domain: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), Problem> {
        let (book, pushed) = plane.book.open(domain).await?;
        let known = pushed.domain(domain).ok_or_else(|| no_domain(domain))?;
        let new = known.credentials(user).is_none();
        if new && known.user_count() >= book.room_for(domain) {
            return Err(book.no_room());
        }
        let mut next = Directory::clone(&pushed);
        next.put_user(domain, user, Credentials::of(user, domain, secret));
        let change = change_of(&next, domain, user);
        carry_out(plane, pushed, next, change).await
    }

    /// Removes a domain with its users.
    pub(crate) async fn remove_domain(plane: &Plane, domain: &str) -> Result<(), Problem> {
        let (_, pushed) = plane.book.open(domain).await?;
        let mut next = Directory::clone(&pushed);
        match next.remove_domain(domain) {
            true => {
                let change = DirectoryChange::Removed(domain.into());
                carry_out(plane, pushed, next, change).await
            }
            false => Err(no_domain(domain)),
        }
    }

    /// Removes a user.
    pub(crate) async fn remove_user(
        plane: &Plane,
        domain: &str,
        user: &str,
    ) -> Result<(), Problem> {
        let (_, pushed) = plane.book.open(domain).await?;
        let mut next = Directory::clone(&pushed);
        next.domain(domain).ok_or_else(|| no_domain(domain))?;
        match next.remove_user(domain, user) {
            true => {
                let change = change_of(&next, domain, user);
                carry_out(plane, pushed, next, change).await
            }
            false => Err(no_user(user)),
        }
    }

    /// Has all shards know what waits for a user, in the order in which it is said.
    pub(crate) async fn set_waiting(
        &self,
        engine: &dyn Engine,
        (domain, user): &(String, String),
        waiting: Option<MessageWaiting>,
    ) -> Result<(), Problem> {
        let _changing = self.pushed.lock().await;
        let directory = self.current();
        let known = directory.domain(domain).ok_or_else(|| no_domain(domain))?;
        known.credentials(user).ok_or_else(|| no_user(user))?;
        let aor = Aor::new(user, domain).ok_or_else(|| no_user(user))?;
        tell_all(engine, |shard| engine.set_waiting(shard, &aor, waiting)).await
    }

    /// The configuration has other domains now; what was pushed stays.
    pub(crate) async fn configure(plane: &Plane, configured: Arc<Directory>) {
        let pushed = Arc::clone(&plane.book.pushed).lock_owned().await;
        plane.book.configured.store(configured);
        if let Err(problem) = plane.book.publish(&*plane.engine, &pushed).await {
            tracing::error!(?problem, "a shard has not taken the directory");
        }
    }

    /// Opens the book to change this domain.
    async fn open(&self, domain: &str) -> Result<(&Book, Pushed), Problem> {
        let pushed = Arc::clone(&self.pushed).lock_owned().await;
        self.may_change(domain)?;
        Ok((self, pushed))
    }

    /// Puts the directory in force that these and the configured domains make: here, then with every shard.
    async fn publish(&self, engine: &dyn Engine, pushed: &Directory) -> Result<(), Problem> {
        let directory = Arc::new(self.configured.load().with(pushed));
        self.current.store(Arc::clone(&directory));
        tell_all(engine, |shard| engine.give_directory(shard, &directory)).await
    }

    fn no_room(&self) -> Problem {
        full(format!(
            "more than limits.users, which is {}",
            self.users_max
        ))
    }
}

/// How this user of a domain is now.
fn change_of(next: &Directory, domain: &str, user: &str) -> DirectoryChange {
    match next.domain(domain) {
        Some(domain) => DirectoryChange::Users {
            domain: Arc::clone(domain),
            names: vec![user.into()],
        },
        None => DirectoryChange::Removed(domain.into()),
    }
}

/// Makes a change durable, then puts it in force. This is done to its end, even when its client goes away
/// meanwhile: what the journal has taken is in force, and what it has not is not.
async fn carry_out(
    plane: &Plane,
    mut pushed: Pushed,
    next: Directory,
    change: DirectoryChange,
) -> Result<(), Problem> {
    let plane = plane.clone();
    let work = async move {
        if let Some(kept) = plane.engine.keep(change) {
            kept.await
                .unwrap_or(Err(NotKept::Closed))
                .map_err(not_kept)?;
        }
        *pushed = next;
        plane.book.publish(&*plane.engine, &pushed).await
    };
    let ended = |_| Err(Problem::busy("the router ends"));
    tokio::spawn(work).await.unwrap_or_else(ended)
}

fn not_kept(error: NotKept) -> Problem {
    Problem::busy(format!("{error}; nothing was changed"))
}

/// Tells every shard, each as often as it needs.
async fn tell_all(engine: &dyn Engine, tell: impl Fn(u8) -> bool) -> Result<(), Problem> {
    let mut behind = Vec::new();
    for shard in 0..engine.shards() {
        if !deliver(|| tell(shard)).await {
            behind.push(format!("shard {shard} does not read its letters"));
        }
    }
    match behind.is_empty() {
        true => Ok(()),
        false => Err(Problem::busy("not every shard has taken the change").because(behind)),
    }
}

async fn deliver(tell: impl Fn() -> bool) -> bool {
    for _ in 0..DELIVERY_TRIES {
        if tell() {
            return true;
        }
        tokio::time::sleep(DELIVERY_PAUSE).await;
    }
    false
}

fn full(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).about("users")
}

/// 404: there is no such domain.
pub(crate) fn no_domain(domain: &str) -> Problem {
    Problem::not_found("domain", format!("there is no domain {domain}"))
}

/// 404: there is no such user.
pub(crate) fn no_user(user: &str) -> Problem {
    Problem::not_found("user", format!("there is no user {user} in this domain"))
}
