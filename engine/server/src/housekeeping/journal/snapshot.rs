//! Writing everything the logs amount to into one file, which takes their place. It happens beside the
//! commits: one part of the state after another, so that neither waits long for the other. A binding
//! that changes meanwhile is in the log that was begun before; which of its states the snapshot has does
//! not matter.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use journal::{
    Clocks, DirectoryChange, DirectoryFrames, Header, Sort, append_end, append_mark,
    append_registration,
};

use super::log::{FileError, create, sync_directory, write_all};
use super::place::Place;
use super::state::{PARTS, State};

/// Bytes of a domain that are encoded at a time.
const CHUNK: usize = 1 << 20;

/// Writes the snapshot that makes the logs before `number` needless, and removes them; how long it is.
pub(super) async fn write(
    place: Place,
    number: u64,
    listeners: Vec<SocketAddr>,
    state: Rc<RefCell<State>>,
    clocks: impl Fn() -> Clocks,
) -> Result<u64, FileError> {
    let unfinished = place.unfinished(number);
    let written = fill(&place, number, listeners, &state, clocks).await;
    let length = match written {
        Ok(length) => length,
        Err(error) => {
            let _ = glommio::io::remove(&unfinished).await;
            return Err(error);
        }
    };
    glommio::io::rename(&unfinished, place.snapshot(number)).await?;
    sync_directory(&place).await?;
    for needless in place.files()?.needless(number) {
        glommio::io::remove(needless).await?;
    }
    Ok(length)
}

async fn fill(
    place: &Place,
    number: u64,
    listeners: Vec<SocketAddr>,
    state: &RefCell<State>,
    clocks: impl Fn() -> Clocks,
) -> Result<u64, FileError> {
    let file = create(&place.unfinished(number)).await?;
    let mut out = Vec::with_capacity(CHUNK);
    let header = Header {
        sort: Sort::Snapshot,
        number,
        begun_ms: clocks().unix_ms,
        before: None,
        listeners,
    };
    header.append(&mut out);
    let (mut length, mut registrations) = (0, 0);
    for part in 0..PARTS {
        let now = clocks();
        append_mark(&mut out, now.unix_ms);
        for registration in state.borrow().part(part) {
            registrations += u64::from(append_registration(&mut out, registration, &now));
        }
        length += write_all(&file, std::mem::take(&mut out), length).await?;
    }
    let domains = state.borrow().domains();
    for domain in &domains {
        let mut frames = DirectoryFrames::new(DirectoryChange::Domain(domain.clone()));
        while !frames.append(&mut out, CHUNK) {
            length += write_all(&file, std::mem::take(&mut out), length).await?;
        }
    }
    append_end(&mut out, registrations, domains.len() as u64);
    length += write_all(&file, out, length).await?;
    file.fdatasync().await?;
    file.close().await?;
    Ok(length)
}
