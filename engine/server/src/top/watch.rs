//! The thread that asks: numbers every second, events as they come. A router that went away is asked again until it
//! is back.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::runtime::Runtime;

use super::api::{Client, Failed};
use super::numbers::{Session, Sessions, Stats, Told};

/// The shards' numbers are renewed as often.
const EVERY: Duration = Duration::from_secs(1);
/// Between two tries to hear events.
const PAUSE: Duration = Duration::from_secs(2);
/// Calls that are asked for.
const CALLS: &str = "/api/v1/session?limit=200";
/// A line longer than this is no event of ours.
const LINE_BYTES: usize = 64 << 10;

/// What the screen is told.
#[derive(Debug)]
pub(super) enum Update {
    /// The numbers of now, and some calls.
    Numbers(Box<Stats>, Vec<Session>),
    /// Something has happened.
    Event(String),
    /// The router does not answer.
    Lost(String),
}

/// Where requests run.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Starts the thread. It ends with the process, or when nobody listens.
pub(super) fn start(client: Client, tell: Sender<Update>) -> io::Result<()> {
    let runtime = runtime()?;
    let work = move || {
        runtime.block_on(async {
            tokio::select! {
                () = ask(&client, &tell) => {}
                () = hear(&client, &tell) => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("tipring-top".into());
    thread.spawn(work).map(drop)
}

/// The numbers of now.
pub(super) async fn numbers(client: &Client) -> Result<Update, Failed> {
    let stats: Stats = client.get("/api/v1/stats").await?;
    let page: Sessions = client.get(CALLS).await?;
    Ok(Update::Numbers(Box::new(stats), page.sessions))
}

async fn ask(client: &Client, tell: &Sender<Update>) {
    loop {
        let update = numbers(client).await;
        let update = update.unwrap_or_else(|failed| Update::Lost(failed.0));
        if tell.send(update).is_err() {
            return;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Why it failed is told by [`ask`], which asks the same router.
async fn hear(client: &Client, tell: &Sender<Update>) {
    loop {
        let _ = listen(client, tell).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(client: &Client, tell: &Sender<Update>) -> Result<(), Failed> {
    let mut body = client.open("/api/v1/events").await?.into_body();
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        for event in lines.take(&data) {
            tell.send(Update::Event(event))?;
        }
    }
    Ok(())
}

/// What of a stream of events has come and is no whole line yet.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Adds what came; the events whose data is whole now, in a line each.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let whole = self.0.iter().rposition(|byte| *byte == b'\n');
        let whole: Vec<u8> = self.0.drain(..whole.map_or(0, |end| end + 1)).collect();
        if self.0.len() > LINE_BYTES {
            self.0.clear();
        }
        let lines = whole.split(|byte| *byte == b'\n');
        let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
        let told = data.filter_map(|data| serde_json::from_slice::<Told>(data).ok());
        told.map(|told| told.line()).collect()
    }
}
