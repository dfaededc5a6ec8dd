//! `tipring journal inspect`: what is in a journal, or in one file of it, while a router may be writing it.
//! Nothing is changed, and no secret is printed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use journal::{Clocks, Damage, Frames, HeaderError, Kind, Replay, Segment, Sort, recorded};
use reactor::clock::Clock;
use serde_json::{Value, json};
use stack::Time;

use super::keeper::clocks;
use super::place::Place;

/// A journal that cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is no journal in the directory.
    #[error("{}: no log and no snapshot here", .0.display())]
    Empty(PathBuf),
}

/// What to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// JSON.
    pub(crate) json: bool,
    /// Every record as well.
    pub(crate) records: bool,
}

/// Looks into a file, or into every file of a directory; the text, and whether all of it is in order.
pub(crate) fn inspect(path: &Path, form: Form) -> Result<(String, bool), InspectError> {
    let now = clocks(&Clock::start());
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| InspectError::Read { path, source }
    };
    let paths = match path.is_dir() {
        true => in_directory(path).map_err(error(path))?,
        false => vec![path.to_owned()],
    };
    if paths.is_empty() {
        return Err(InspectError::Empty(path.to_owned()));
    }
    let mut files = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(error(&path))?;
        files.push((path, bytes));
    }
    let mut replay = Replay::default();
    let segments: Vec<_> = files.iter().map(|(_, bytes)| replay.read(bytes)).collect();
    let good = segments.iter().all(is_good);
    let sum = Sum::of(replay, now);
    let text = match form.json {
        true => as_json(&files, &segments, &sum, form.records),
        false => as_text(&files, &segments, &sum, form.records),
    };
    Ok((text, good))
}

/// The files a start would read, in its order.
fn in_directory(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let files = Place::look(path).files()?;
    let newest = files.snapshots.last_key_value();
    let from = newest.map_or(0, |(number, _)| *number);
    let logs = files.logs.range(from..);
    let all = newest.into_iter().chain(logs);
    Ok(all.map(|(_, path)| path.clone()).collect())
}

fn is_good(segment: &Result<Segment, HeaderError>) -> bool {
    let clean = |segment: &Segment| {
        segment.damage.is_none() && segment.complete && segment.counts.senseless == 0
    };
    segment.as_ref().is_ok_and(clean)
}

/// What all files together amount to.
struct Sum {
    aors: usize,
    bindings: usize,
    expired: u64,
    domains: usize,
    users: usize,
}

impl Sum {
    fn of(mut replay: Replay<'_>, now: Clocks) -> Sum {
        let directory = replay.directory();
        let mut sum = Sum {
            aors: 0,
            bindings: 0,
            expired: 0,
            domains: directory.domains().count(),
            users: directory.domains().map(|domain| domain.user_count()).sum(),
        };
        // Any address does: each listener is taken for the first of its family.
        let any = [
            ([0, 0, 0, 0], 0).into(),
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        ];
        let listeners = replay.listeners(&any);
        for latest in replay.latest() {
            let Some(revived) = latest.revive(now, &listeners) else {
                continue;
            };
            sum.expired += revived.expired;
            if let Some(registration) = revived.registration {
                sum.aors += 1;
                sum.bindings += registration.bindings.len();
            }
        }
        sum
    }
}

fn sort(sort: Sort) -> &'static str {
    match sort {
        Sort::Log => "log",
        Sort::Snapshot => "snapshot",
    }
}

fn damage(segment: &Segment) -> Option<(&'static str, usize)> {
    match segment.damage {
        Some(Damage::Tail { bytes }) => Some(("cut short", bytes)),
        Some(Damage::Middle { bytes }) => Some(("damaged in the middle", bytes)),
        None if !segment.complete => Some(("without its end", 0)),
        None => None,
    }
}

fn reason(error: HeaderError) -> String {
    match error {
        HeaderError::NoHeader => "no segment of a journal".to_owned(),
        HeaderError::Newer(version) => format!("of a later version (format {version})"),
    }
}

type Files = [(PathBuf, Vec<u8>)];
type Segments = [Result<Segment, HeaderError>];

fn as_text(files: &Files, segments: &Segments, sum: &Sum, records: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for ((path, bytes), segment) in files.iter().zip(segments) {
        let _ = write!(out, "{}: ", path.display());
        let _ = match segment {
            Err(error) => writeln!(out, "{}", reason(*error)),
            Ok(segment) => writeln!(out, "{}", sentence(segment, bytes.len())),
        };
        if records {
            rows(bytes).for_each(|row| out.push_str(&row.text()));
        }
    }
    let Sum {
        aors,
        bindings,
        expired,
        domains,
        users,
    } = sum;
    let _ = writeln!(
        out,
        "in force: {bindings} bindings of {aors} addresses-of-record ({expired} have run out), {users} users in {domains} domains"
    );
    out
}

fn sentence(segment: &Segment, bytes: usize) -> String {
    let (header, counts) = (&segment.header, &segment.counts);
    let mut text = format!(
        "{} {}, {bytes} bytes: {} registrations, {} removals, {} of the directory",
        sort(header.sort),
        header.number,
        counts.registrations,
        counts.removals,
        counts.directory,
    );
    if counts.unknown + counts.senseless > 0 {
        let _ = write!(
            text,
            ", {} of a later version, {} without sense",
            counts.unknown, counts.senseless
        );
    }
    if let Some((what, bytes)) = damage(segment) {
        let at = segment.whole_bytes;
        let _ = write!(text, "; {what} at byte {at}: {bytes} bytes are of no use");
    }
    text
}

fn as_json(files: &Files, segments: &Segments, sum: &Sum, records: bool) -> String {
    let file = |((path, bytes), segment): (&(PathBuf, Vec<u8>), &Result<Segment, _>)| {
        let mut value = match segment {
            Err(error) => json!({ "error": reason(*error) }),
            Ok(segment) => {
                let (header, counts) = (&segment.header, &segment.counts);
                json!({
                    "sort": sort(header.sort),
                    "number": header.number,
                    "begun_ms": header.begun_ms,
                    "last_mark_ms": counts.last_mark_ms,
                    "registrations": counts.registrations,
                    "removals": counts.removals,
                    "directory": counts.directory,
                    "unknown": counts.unknown,
                    "senseless": counts.senseless,
                    "whole_bytes": segment.whole_bytes,
                    "damage": damage(segment).map(|(what, bytes)| json!({"what": what, "bytes": bytes})),
                })
            }
        };
        value["file"] = path.display().to_string().into();
        value["bytes"] = bytes.len().into();
        if records {
            value["records"] = rows(bytes).map(|row| row.0).collect();
        }
        value
    };
    let files: Vec<Value> = files.iter().zip(segments).map(file).collect();
    let all = json!({
        "files": files,
        "in_force": {
            "aors": sum.aors,
            "bindings": sum.bindings,
            "expired": sum.expired,
            "domains": sum.domains,
            "users": sum.users,
        }
    });
    format!("{all:#}\n")
}

/// A record in words.
struct Row(Value);

impl Row {
    fn text(&self) -> String {
        format!("  {}\n", self.0)
    }
}

/// The records of a segment that say something about somebody.
fn rows(bytes: &[u8]) -> impl Iterator<Item = Row> {
    Frames::new(bytes).filter_map(|frame| match frame.kind? {
        Kind::Registration => registration(frame.payload),
        Kind::Users | Kind::DomainUsers => {
            let (domain, names) = journal::users(frame.payload)?;
            let of = |(name, there): (&str, bool)| (name.to_owned(), Value::from(there));
            let users: serde_json::Map<_, _> = names.into_iter().map(of).collect();
            Some(Row(json!({ "domain": domain, "users": users })))
        }
        Kind::DomainRemoved => Some(Row(json!({ "removed": journal::domain(frame.payload)? }))),
        Kind::DomainEnd => Some(Row(json!({ "domain": journal::domain(frame.payload)? }))),
        Kind::Header | Kind::Mark | Kind::DomainBegin | Kind::End => None,
    })
}

fn registration(payload: &[u8]) -> Option<Row> {
    let registration = recorded(payload)?;
    let ms = |time: Time| time.as_nanos() / 1_000_000;
    let bindings = registration.bindings.iter().map(|binding| {
        json!({
            "contact": String::from_utf8_lossy(&binding.contact),
            "source": binding.source.remote.to_string(),
            "registered_ms": ms(binding.registered),
            "expires_ms": ms(binding.expires),
        })
    });
    Some(Row(json!({
        "aor": registration.aor.as_str(),
        "version": registration.version,
        "bindings": bindings.collect::<Vec<_>>(),
    })))
}
