//! The directory as it is pushed over HTTP: one immutable value at a time, each change a new one that all
//! shards are given. Secrets are hashed on their way in and kept nowhere.

mod upload;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use router::{Aor, Credentials, Directory, Domain, MessageWaiting};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::upload::{UploadStatus, Uploads, receive};
use crate::engine::Engine;
use crate::problem::Problem;

/// A shard reads its letters within a turn of its loop; one that does not for so long is dead.
const DELIVERY_PAUSE: Duration = Duration::from_millis(20);
const DELIVERY_TRIES: u32 = 100;
/// Domains at once.
const DOMAINS: usize = 10_000;

/// The directory in force.
pub(crate) struct Book {
    current: ArcSwap<Directory>,
    /// Held by who changes it.
    change: Mutex<()>,
    users_max: usize,
    /// Bulk uploads, under way and past.
    pub(crate) uploads: Uploads,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// There was none of this name.
    Created,
    /// It is another now.
    Replaced,
}

impl Book {
    /// A book that begins with this.
    pub(crate) fn new(directory: Arc<Directory>, users_max: usize) -> Book {
        Book {
            current: ArcSwap::new(directory),
            change: Mutex::new(()),
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

    /// Adds a domain, or replaces the one of this name.
    pub(crate) async fn put_domain(
        &self,
        engine: &dyn Engine,
        domain: Domain,
    ) -> Result<Changed, Problem> {
        let guard = self.change.lock().await;
        let mut directory = Directory::clone(&self.current());
        let known = directory.domain(&domain.name).is_some();
        if !known && directory.domains().count() >= DOMAINS {
            return Err(full(format!(
                "there are {DOMAINS} domains, the most there may be"
            )));
        }
        if domain.user_count() > self.room_for(&domain.name) {
            return Err(self.no_room());
        }
        directory.put_domain(domain);
        self.publish(guard, engine, directory).await?;
        Ok(if known {
            Changed::Replaced
        } else {
            Changed::Created
        })
    }

    /// Adds a user, or changes its secret.
    pub(crate) async fn put_user(
        &self,
        engine: &dyn Engine,
        domain: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), Problem> {
        let guard = self.change.lock().await;
        let mut directory = Directory::clone(&self.current());
        let known = directory.domain(domain).ok_or_else(|| no_domain(domain))?;
        let new = known.credentials(user).is_none();
        if new && known.user_count() >= self.room_for(domain) {
            return Err(self.no_room());
        }
        directory.put_user(domain, user, Credentials::of(user, domain, secret));
        self.publish(guard, engine, directory).await
    }

    /// Removes a domain with its users.
    pub(crate) async fn remove_domain(
        &self,
        engine: &dyn Engine,
        domain: &str,
    ) -> Result<(), Problem> {
        let guard = self.change.lock().await;
        let mut directory = Directory::clone(&self.current());
        match directory.remove_domain(domain) {
            true => self.publish(guard, engine, directory).await,
            false => Err(no_domain(domain)),
        }
    }

    /// Removes a user.
    pub(crate) async fn remove_user(
        &self,
        engine: &dyn Engine,
        domain: &str,
        user: &str,
    ) -> Result<(), Problem> {
        let guard = self.change.lock().await;
        let mut directory = Directory::clone(&self.current());
        directory.domain(domain).ok_or_else(|| no_domain(domain))?;
        match directory.remove_user(domain, user) {
            true => self.publish(guard, engine, directory).await,
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
        let _guard = self.change.lock().await;
        let directory = self.current();
        let known = directory.domain(domain).ok_or_else(|| no_domain(domain))?;
        known.credentials(user).ok_or_else(|| no_user(user))?;
        let aor = Aor::new(user, domain).ok_or_else(|| no_user(user))?;
        tell_all(engine, |shard| engine.set_waiting(shard, &aor, waiting)).await
    }

    /// Takes the place of all there is.
    pub(crate) async fn replace(&self, engine: &dyn Engine, directory: Arc<Directory>) {
        let guard = self.change.lock().await;
        if let Err(problem) = self
            .publish(guard, engine, Directory::clone(&directory))
            .await
        {
            tracing::error!(?problem, "a shard has not taken the directory");
        }
    }

    /// Puts a directory in force: here, then with every shard.
    async fn publish(
        &self,
        _changing: MutexGuard<'_, ()>,
        engine: &dyn Engine,
        directory: Directory,
    ) -> Result<(), Problem> {
        let directory = Arc::new(directory);
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
    Problem::new(hyper::StatusCode::PAYLOAD_TOO_LARGE, detail).about("users")
}

/// 404: there is no such domain.
pub(crate) fn no_domain(domain: &str) -> Problem {
    Problem::not_found("domain", format!("there is no domain {domain}"))
}

/// 404: there is no such user.
pub(crate) fn no_user(user: &str) -> Problem {
    Problem::not_found("user", format!("there is no user {user} in this domain"))
}
