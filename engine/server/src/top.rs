//! `tipring top`: a router's numbers in the terminal, over its HTTP API. One thread asks, this one draws and reads
//! keys; a router that is away or slow never holds a key up. What is drawn is one value, so that it can be tested.

mod api;
mod draw;
mod numbers;
mod screen;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::cli;
use api::Client;
use screen::Screen;
use watch::Update;

/// How long a key or a number waits at most before it shows.
const FRAME: Duration = Duration::from_millis(100);
/// What `--once` prints on, where COLUMNS does not say how wide.
const WIDTH: u16 = 100;
/// Lines of it; those that stay empty at the end are not printed.
const HEIGHT: u16 = 48;

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopError {
    /// The address of the API.
    #[error("--url {url}: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token, from the command line or from TIPRING_TOKEN.
    #[error("the token has characters that no token has")]
    Token,
    /// The certificates to trust.
    #[error("--ca {path}: {reason}", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The router does not answer, or says no.
    #[error("{url}: {reason}")]
    Away {
        /// Who was asked.
        url: String,
        /// What came instead of numbers.
        reason: String,
    },
    /// Standard output is no terminal.
    #[error("this is no terminal; --once prints one picture")]
    NoTerminal,
    /// A limit of this machine, or a terminal that is gone.
    #[error("the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Shows the numbers until told to stop; with `--once` returns them as text.
///
/// # Errors
/// What was given is wrong or, with `--once`, the router does not answer.
pub(crate) fn top(arguments: &cli::Top) -> Result<String, TopError> {
    let client = Client::new(arguments)?;
    if arguments.once {
        return once(&client);
    }
    if !std::io::stdout().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let screen = Screen::new(client.url());
    let (tell, updates) = mpsc::channel();
    watch::start(client, tell)?;
    let stopped = Arc::new(AtomicBool::new(false));
    // The terminal is put back before the process ends.
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stopped))?;
    let mut terminal = ratatui::try_init()?;
    let outcome = watch_keys(&mut terminal, screen, &updates, &stopped);
    ratatui::try_restore()?;
    outcome.map(|()| String::new())
}

fn watch_keys(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    updates: &Receiver<Update>,
    stopped: &AtomicBool,
) -> Result<(), TopError> {
    while !stopped.load(Ordering::Acquire) {
        updates.try_iter().for_each(|update| screen.take(update));
        terminal.draw(|frame| draw::draw(frame, &screen))?;
        if !event::poll(FRAME)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && screen.press(key)
        {
            return Ok(());
        }
    }
    Ok(())
}

/// One picture as text.
fn once(client: &Client) -> Result<String, TopError> {
    let mut screen = Screen::new(client.url());
    let runtime = watch::runtime()?;
    let numbers = runtime.block_on(watch::numbers(client));
    let update = numbers.map_err(|failed| TopError::Away {
        url: client.url().to_owned(),
        reason: failed.0,
    })?;
    screen.take(update);
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|text| text.parse().ok());
    let width = columns.unwrap_or(WIDTH).clamp(20, 500);
    Ok(picture(&screen, width, HEIGHT))
}

/// What a terminal of this size shows, without colours.
fn picture(screen: &Screen, width: u16, height: u16) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| draw::draw(frame, screen));
    let cells = terminal.backend().buffer();
    let line = |row| -> String {
        let symbol = |column| cells.cell((column, row)).map_or("", |cell| cell.symbol());
        let line: String = (0..width).map(symbol).collect();
        line.trim_end().to_owned() + "\n"
    };
    let lines: String = (0..height).map(line).collect();
    lines.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests;
