//! What is on the screen, and what a key or an update makes of it.

use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::numbers::{Session, Stats};
use super::watch::Update;

/// Events that are kept.
const EVENTS: usize = 200;

/// Whether the router answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It was not asked yet.
    Connecting,
    /// It does.
    Up,
    /// It does not, because of this; it is asked again.
    Lost(String),
}

/// What the lower part shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    /// Calls in progress, the longest first.
    Calls,
    /// What has happened, the latest first.
    Events,
}

/// The value that is drawn.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) url: String,
    pub(super) link: Link,
    pub(super) stats: Option<Box<Stats>>,
    /// Some calls, the longest first.
    pub(super) calls: Vec<Session>,
    /// The latest first.
    pub(super) events: VecDeque<String>,
    pub(super) paused: bool,
    pub(super) tab: Tab,
}

impl Screen {
    /// Nothing is known yet of the router there.
    pub(super) fn new(url: &str) -> Screen {
        Screen {
            url: url.to_owned(),
            link: Link::Connecting,
            stats: None,
            calls: Vec::new(),
            events: VecDeque::new(),
            paused: false,
            tab: Tab::Calls,
        }
    }

    /// Takes what is told; while paused, only whether the router answers.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Lost(reason) => self.link = Link::Lost(reason),
            Update::Numbers(stats, calls) => {
                self.link = Link::Up;
                if !self.paused {
                    self.stats = Some(stats);
                    self.calls = calls;
                    self.calls.sort_by_key(|call| call.began_unix_ms);
                }
            }
            Update::Event(event) if !self.paused => {
                self.events.push_front(event);
                self.events.truncate(EVENTS);
            }
            Update::Event(_) => {}
        }
    }

    /// A key. True: that is all.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Tab | KeyCode::BackTab => {
                self.tab = match self.tab {
                    Tab::Calls => Tab::Events,
                    Tab::Events => Tab::Calls,
                }
            }
            _ => {}
        }
        false
    }
}
