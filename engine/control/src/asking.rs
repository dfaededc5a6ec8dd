//! Questions to shards: each has a number, and its answer finds who asked by it. A shard that does not
//! answer in time is not waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use router::{Answer, CallView, CallsPage, Query, Question, Said};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::problem::Problem;

/// How long a shard may take: it answers within a turn of its loop.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions without an answer at once.
const UNANSWERED: usize = 1_024;
/// Questions for one page; a page that is not full by then is given with its cursor.
const QUESTIONS_A_PAGE: usize = 16;

/// Which calls are wanted.
pub(crate) type Wanted = CallsPage;

/// Who asked what.
#[derive(Default)]
pub(crate) struct Asking {
    number: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Said>>>,
}

impl Asking {
    /// Gives an answer to who asked; one that comes too late is nobody's.
    pub(crate) fn answered(&self, answer: Answer) {
        if let Some(asker) = self.waiting().remove(&answer.number) {
            // Who asked may be gone.
            let _ = asker.send(answer.said);
        }
    }

    #[cfg(test)]
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting().len()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Said>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one shard.
    pub(crate) async fn ask(
        &self,
        engine: &dyn Engine,
        shard: u8,
        question: Question,
    ) -> Result<Said, Problem> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        if self.waiting().len() >= UNANSWERED {
            return Err(Problem::busy("too many questions wait for their answers"));
        }
        self.waiting().insert(number, asker);
        let pending = Pending {
            asking: self,
            number,
        };
        if !engine.ask(shard, Query { number, question }) {
            return Err(Problem::busy(format!("shard {shard} has too much to read")));
        }
        let said = tokio::time::timeout(PATIENCE, answer).await;
        drop(pending);
        match said {
            Ok(Ok(said)) => Ok(said),
            _ => Err(Problem::busy(format!(
                "shard {shard} did not answer in time"
            ))),
        }
    }

    /// A page of calls from this place on, and where the next one begins.
    pub(crate) async fn calls(
        &self,
        engine: &dyn Engine,
        (mut shard, mut from): (u8, u32),
        wanted: &Wanted,
    ) -> Result<(Vec<CallView>, Option<(u8, u32)>), Problem> {
        let mut found = Vec::new();
        for _ in 0..QUESTIONS_A_PAGE.max(usize::from(engine.shards())) {
            let left = usize::from(wanted.limit).saturating_sub(found.len());
            if shard >= engine.shards() || left == 0 {
                break;
            }
            let page = CallsPage {
                from,
                limit: left as u16,
                ..wanted.clone()
            };
            let Said::Calls { mut calls, next } =
                self.ask(engine, shard, Question::Calls(page)).await?
            else {
                return Err(Problem::busy(format!("shard {shard} gave another answer")));
            };
            calls.truncate(left);
            found.append(&mut calls);
            (shard, from) = next.map_or((shard.saturating_add(1), 0), |next| (shard, next));
        }
        let next = (shard < engine.shards()).then_some((shard, from));
        Ok((found, next))
    }
}

/// Takes a question back when nobody waits for it any more, also when its client has gone.
struct Pending<'a> {
    asking: &'a Asking,
    number: u64,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.asking.waiting().remove(&self.number);
    }
}
