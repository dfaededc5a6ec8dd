//! How many new calls a second the shard takes while it has more to do than it can. Time and numbers
//! only: what a call is, and what becomes of those that are not taken, is decided elsewhere.
//!
//! The measure is work, not messages: how long the shard's thread has not once been done with everything
//! that lay before it. While it is done now and then, nothing waits for longer than that. When it has not
//! been for the target time, the calls it was carrying become the rate, and from then on each window of
//! 20 ms moves the rate by what the thread had left over (the occupancy rule) or, when that was nothing,
//! down. What nobody else may decide is kept out: calls in progress are never slowed.

use std::time::Duration;

use stack::Time;

/// How often the rate is looked at. Long enough for some hundred messages of a busy shard, short beside
/// T1: ten windows pass before a caller that waits sends again.
const WINDOW: Duration = Duration::from_millis(20);
/// A gap between two turns counts as no more work than this: a thread that did not run did no work.
const TURN_MAX: Duration = Duration::from_millis(5);
/// So many turns at least make a shard be behind by the target: one long turn is no queue.
const TURNS_MIN: u32 = 4;
/// The share of its time the shard is to spend working. With Poisson arrivals the queue at 98 % is some
/// 25 messages on average, 0.1 ms.
const OCCUPANCY: f64 = 0.98;
/// How much of the difference one window makes good. What an admitted call still brings comes later than
/// the window, so the whole of it would overshoot.
const GAIN: f64 = 0.25;
/// The most a window adds while the rate is below what the shard was seen to carry, and above it.
const GROWTH_MAX: f64 = 1.5;
const GROWTH_BEYOND: f64 = 1.01;
/// A rate that is not reached is not what limits the calls: with less than this share of it taken, it does
/// not grow. So it is when the network is asked to leave some out, and where a CPU quota keeps the thread from
/// running, whose waits look like time left over.
const ATTAINED: f64 = 0.9;
/// How much one window counts beside those before it in what is taken and what ends.
const WINDOW_WEIGHT: f64 = 0.2;
/// A rate below this share of what the shard carries lets it catch up: to cut it more would only make it wait
/// for work afterwards.
const CATCHES_UP: f64 = 0.9;
/// A window without a free moment, and one that is far behind.
const CUT: f64 = 0.95;
const CUT_FAR_BEHIND: f64 = 0.85;
/// So many target times behind, nothing new is taken at all until the shard has caught up.
const FAR_BEHIND: u32 = 4;
/// The rate never falls to nothing, or it could not grow again.
const RATE_MIN: f64 = 10.0;
/// Work after which what was learned of a call's cost has faded to a third.
const MEMORY_S: f64 = 2.0;
/// Work of which the cost of a call can be learned.
const LEARNED_S: f64 = 0.05;
/// Overload is over when for so long nobody had to be turned away.
const OVER_AFTER: Duration = Duration::from_secs(5);

/// What happened at the end of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing that others need to know.
    None,
    /// New calls are limited from now on.
    Begins,
    /// They are not any more.
    Ends,
}

/// Calls since the shard's start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Taken in.
    pub(crate) begun: u64,
    /// Over, for whatever reason.
    pub(crate) ended: u64,
}

#[derive(Debug, Default)]
struct Window {
    begun: Time,
    idle: Duration,
    calls: Calls,
    turned_away: bool,
}

/// The rate of one shard.
#[derive(Debug)]
pub(crate) struct Controller {
    target: Duration,
    told: Time,
    /// How long the thread has worked without once being done.
    behind: Duration,
    window: Window,
    /// New calls a second; `None` while there is no need for a limit.
    rate: Option<f64>,
    /// Calls a second that were taken of late.
    taken: f64,
    /// Calls a second that ended of late.
    ended: f64,
    tokens: f64,
    filled: Time,
    turned_away: Time,
    /// Work, with that for those who were turned away, and the calls it was for.
    learned_s: f64,
    learned_calls: f64,
}

impl Controller {
    /// A controller that acts when the shard was not done for `target`.
    pub(crate) fn new(target: Duration, now: Time) -> Controller {
        Controller {
            target,
            told: now,
            behind: Duration::ZERO,
            window: Window {
                begun: now,
                ..Window::default()
            },
            rate: None,
            taken: 0.0,
            ended: 0.0,
            tokens: 0.0,
            filled: now,
            turned_away: now,
            learned_s: 0.0,
            learned_calls: 0.0,
        }
    }

    /// New calls a second that are taken; `None`: all.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How long the shard has not been done: nothing lay before it for longer, unless the whole thread
    /// was held up.
    pub(crate) fn behind(&self) -> Duration {
        self.behind
    }

    /// A turn begins at `now`, before which the thread had nothing to do for `idle`.
    pub(crate) fn note(&mut self, now: Time, idle: Duration, calls: Calls) -> Change {
        let turn = now.duration_since(self.told);
        self.told = now;
        self.window.idle += idle;
        self.behind = match idle.is_zero() {
            true => self.behind + turn.min(TURN_MAX).min(self.target / TURNS_MIN),
            false => Duration::ZERO,
        };
        let begins = self.rate.is_none() && self.behind > self.target;
        if begins {
            self.begin(now, calls);
            return Change::Begins;
        }
        if now.duration_since(self.window.begun) < WINDOW {
            return Change::None;
        }
        self.end_window(now, calls)
    }

    /// The calls it was carrying are what it can carry, for all that is known yet.
    fn begin(&mut self, now: Time, calls: Calls) {
        let seconds = now.duration_since(self.window.begun).max(WINDOW);
        let begun = calls.begun.saturating_sub(self.window.calls.begun) as f64;
        let seen = begun / seconds.as_secs_f64();
        let rate = self.carried().map_or(seen, |carried| seen.min(carried));
        self.rate = Some(rate.max(RATE_MIN));
        self.taken = rate;
        (self.tokens, self.filled, self.turned_away) = (0.0, now, now);
        self.next_window(now, calls);
    }

    fn end_window(&mut self, now: Time, calls: Calls) -> Change {
        let elapsed = now.duration_since(self.window.begun).as_secs_f64();
        let idle = self.window.idle.as_secs_f64().min(elapsed);
        let before = self.window.calls;
        let begun = calls.begun.saturating_sub(before.begun) as f64;
        let ended = calls.ended.saturating_sub(before.ended) as f64;
        let turned_away = self.window.turned_away;
        self.next_window(now, calls);
        self.learn(elapsed - idle, (begun + ended) / 2.0);
        self.taken += WINDOW_WEIGHT * (begun / elapsed - self.taken);
        self.ended += WINDOW_WEIGHT * (ended / elapsed - self.ended);
        let Some(rate) = self.rate else {
            return Change::None;
        };
        if now.duration_since(self.turned_away) >= OVER_AFTER {
            self.rate = None;
            return Change::Ends;
        }
        let rate = match idle > 0.0 {
            true if self.taken < ATTAINED * rate => rate,
            true => rate * self.growth(rate, 1.0 - idle / elapsed),
            false if turned_away => (rate * self.cut()).max(rate.min(self.catching_up())),
            // A rate that nobody came near to is not what filled the window: it comes down to what did.
            false => (begun / elapsed).clamp(rate * CUT_FAR_BEHIND, rate * CUT),
        };
        self.rate = Some(rate.max(RATE_MIN));
        Change::None
    }

    fn next_window(&mut self, now: Time, calls: Calls) {
        self.window = Window {
            begun: now,
            calls,
            ..Window::default()
        };
    }

    fn growth(&self, rate: f64, occupancy: f64) -> f64 {
        let growth = 1.0 + GAIN * (OCCUPANCY / occupancy.max(0.01) - 1.0);
        let most = match self.carried() {
            Some(carried) if rate < carried => GROWTH_MAX,
            Some(_) => GROWTH_BEYOND,
            None => GROWTH_MAX.sqrt(),
        };
        growth.clamp(CUT, most)
    }

    /// The rate at which it catches up with what lies before it, as far as that is known.
    fn catching_up(&self) -> f64 {
        CATCHES_UP * self.carried().unwrap_or_default().min(self.ended)
    }

    fn cut(&self) -> f64 {
        match self.behind > 2 * self.target {
            true => CUT_FAR_BEHIND,
            false => CUT,
        }
    }

    /// The begin of a call is about half of its work, so calls are counted at both ends.
    fn learn(&mut self, worked_s: f64, calls: f64) {
        let kept = (-worked_s / MEMORY_S).exp();
        self.learned_s = self.learned_s * kept + worked_s;
        self.learned_calls = self.learned_calls * kept + calls;
    }

    /// Calls a second that this shard would carry with all of its time, by what they cost so far.
    fn carried(&self) -> Option<f64> {
        let known = self.learned_s > LEARNED_S && self.learned_calls > 0.0;
        known.then(|| OCCUPANCY * self.learned_calls / self.learned_s)
    }

    /// Somebody is kept away at `now` without having come.
    pub(crate) fn hold(&mut self, now: Time) {
        self.turned_away = now;
    }

    /// Whether a new call may be taken at `now`; if so it is counted.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let Some(rate) = self.rate else { return true };
        let seconds = now.duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let most = (rate * WINDOW.as_secs_f64() / 2.0).max(1.0);
        self.tokens = (self.tokens + rate * seconds).min(most);
        let taken = self.tokens >= 1.0 && self.behind <= FAR_BEHIND * self.target;
        if taken {
            self.tokens -= 1.0;
        } else {
            self.turned_away = now;
            self.window.turned_away = true;
        }
        taken
    }
}
