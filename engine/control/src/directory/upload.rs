//! Users by the million: a body with one JSON object a line, read as it comes. What is kept of it is the
//! domain that grows, and one line.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::StatusCode;
use router::{Credentials, Domain};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::parse;
use crate::names;
use crate::problem::Problem;

/// The longest line: both names at their longest, each character escaped.
const LINE_BYTES: usize = 4_096;
/// Lines between two looks at what else is to be done: each costs some microseconds of hashing.
const LINES_A_TURN: usize = 64;
/// Uploads that are remembered.
const REMEMBERED: usize = 16;
/// Uploads at once.
const AT_ONCE: usize = 2;

/// One line: a user, or once the control.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    username: Option<String>,
    secret: Option<String>,
    control: Option<String>,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct UploadStatus {
    /// The domain whose users they are.
    domain: String,
    /// Whether it goes on.
    state: UploadState,
    /// Users read so far.
    users: usize,
    /// Bytes read so far.
    bytes: u64,
    /// When it began, in milliseconds of Unix time.
    began_unix_ms: u64,
    #[serde(skip)]
    #[schema(ignore)]
    number: u64,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UploadState {
    /// Lines are read.
    Reading,
    /// All were, and the domain is in force.
    Done,
    /// It was wrong, or its client has gone: nothing has changed.
    Failed,
}

/// The uploads that are under way and the last ones before.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<VecDeque<UploadStatus>>);

impl Uploads {
    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<UploadStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that are known, the newest first.
    pub(crate) fn all(&self) -> Vec<UploadStatus> {
        self.list().iter().rev().cloned().collect()
    }

    /// Begins one; 409 while there is another of this domain, 503 while there are too many.
    pub(crate) fn begin(&self, domain: &str) -> Result<Upload<'_>, Problem> {
        let mut list = self.list();
        let under_way = list.iter().filter(|one| one.state == UploadState::Reading);
        if under_way.clone().any(|one| one.domain == domain) {
            let detail = "there is an upload to this domain under way";
            return Err(Problem::new(StatusCode::CONFLICT, detail).about("domain"));
        }
        if under_way.count() >= AT_ONCE {
            return Err(Problem::busy("two uploads are under way").retry_after(10));
        }
        let number = list.back().map_or(0, |last| last.number + 1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        list.push_back(UploadStatus {
            domain: domain.to_owned(),
            state: UploadState::Reading,
            users: 0,
            bytes: 0,
            began_unix_ms: now.map_or(0, |since| since.as_millis() as u64),
            number,
        });
        let past = list
            .iter()
            .position(|one| one.state != UploadState::Reading);
        if let Some(past) = past.filter(|_| list.len() > REMEMBERED) {
            list.remove(past);
        }
        Ok(Upload {
            uploads: self,
            number,
        })
    }
}

/// One upload; failed, unless it says that it is done before it is dropped.
pub(crate) struct Upload<'u> {
    uploads: &'u Uploads,
    number: u64,
}

impl Upload<'_> {
    fn update(&self, change: impl FnOnce(&mut UploadStatus)) {
        let mut list = self.uploads.list();
        if let Some(status) = list.iter_mut().find(|one| one.number == self.number) {
            change(status);
        }
    }

    /// The domain is in force.
    pub(crate) fn done(self) {
        self.update(|status| status.state = UploadState::Done);
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.update(|status| {
            if status.state == UploadState::Reading {
                status.state = UploadState::Failed;
            }
        });
    }
}

/// A domain that grows line by line.
struct Growing {
    domain: Domain,
    control: Option<String>,
    line: usize,
    room: usize,
}

impl Growing {
    fn take(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.line += 1;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.read(text)
            .map_err(|problem| problem.in_line(self.line))
    }

    fn read(&mut self, text: &[u8]) -> Result<(), Problem> {
        let missing = |field| Problem::field(field, "is missing");
        let line = match parse::<Line>(text)? {
            Line {
                control: Some(control),
                username: None,
                secret: None,
            } => {
                names::control(&control, "control")?;
                self.control = Some(control);
                return Ok(());
            }
            line => line,
        };
        let username = line.username.ok_or_else(|| missing("username"))?;
        let secret = line.secret.ok_or_else(|| missing("secret"))?;
        if line.control.is_some() {
            return Err(Problem::field("control", "stands in a line of its own"));
        }
        names::user(&username, "username")?;
        names::secret(&secret, "secret")?;
        let credentials = Credentials::of(&username, &self.domain.name, &secret);
        self.domain.put_user(&username, credentials);
        match self.domain.user_count() <= self.room {
            true => Ok(()),
            false => {
                let detail = "more users than limits.users";
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).about("users"))
            }
        }
    }
}

/// Reads a domain from a body of lines.
pub(crate) async fn receive(
    upload: &Upload<'_>,
    name: &str,
    room: usize,
    mut body: Body,
    patience: Duration,
) -> Result<Domain, Problem> {
    let mut growing = Growing {
        domain: Domain::new(name, None, []),
        control: None,
        line: 0,
        room,
    };
    let mut begun: Vec<u8> = Vec::new();
    while let Some(bytes) = next_bytes(&mut body, patience).await? {
        let mut rest = &bytes[..];
        let mut lines = 0;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            match begun.is_empty() {
                true => growing.take(line)?,
                false => {
                    begun.extend_from_slice(line);
                    growing.take(&std::mem::take(&mut begun))?;
                }
            }
            lines += 1;
            if lines % LINES_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        begun.extend_from_slice(rest);
        if begun.len() > LINE_BYTES {
            let problem = Problem::field("body", "a line is longer than 4096 bytes");
            return Err(problem.in_line(growing.line + 1));
        }
        let users = growing.domain.user_count();
        upload.update(|status| {
            status.users = users;
            status.bytes += bytes.len() as u64;
        });
    }
    growing.take(&begun)?;
    let Growing {
        domain, control, ..
    } = growing;
    let users = domain.user_count();
    upload.update(|status| status.users = users);
    Ok(domain.with_control(control.as_deref()))
}

async fn next_bytes(body: &mut Body, patience: Duration) -> Result<Option<bytes::Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(patience, body.frame()).await;
        let Ok(frame) = frame else {
            let detail = "no more of the body came in time";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Problem::field(
                    "body",
                    format!("could not be read: {error}"),
                ));
            }
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}
