//! Changes of the directory as frames. A domain with a million users is many frames, which need not be
//! written at once: it counts from the last of them on, and not at all without it.

use std::sync::Arc;

use router::{Credentials, Directory, Domain};

use crate::fields::{Fields, put_bytes};
use crate::frame::append;
use crate::kind::Kind;

/// Users in a frame.
const USERS: usize = 256;

/// What has changed in the directory. Each says how it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum DirectoryChange {
    /// A domain was added, or another one of its name replaced.
    Domain(Arc<Domain>),
    /// These users of the domain are new, have other secrets, or are gone: the domain says which.
    Users {
        /// The domain after the change.
        domain: Arc<Domain>,
        /// Which users.
        names: Vec<Box<str>>,
    },
    /// There is no domain of this name any more.
    Removed(Box<str>),
}

/// A change on its way into a journal, some frames at a time.
#[derive(Debug)]
pub struct DirectoryFrames {
    change: DirectoryChange,
    begun: bool,
    /// Users written.
    users: usize,
}

impl DirectoryFrames {
    /// All of a change.
    pub fn new(change: DirectoryChange) -> DirectoryFrames {
        DirectoryFrames {
            change,
            begun: false,
            users: 0,
        }
    }

    /// What it is about.
    pub fn change(&self) -> &DirectoryChange {
        &self.change
    }

    /// Begins again: what was appended is lost.
    pub fn rewind(&mut self) {
        (self.begun, self.users) = (false, 0);
    }

    /// Appends frames until `out` is about so long; true when that were all.
    pub fn append(&mut self, out: &mut Vec<u8>, until: usize) -> bool {
        match &self.change {
            DirectoryChange::Removed(name) => {
                append(out, Kind::DomainRemoved, |out| {
                    put_bytes(out, name.as_bytes());
                });
                true
            }
            DirectoryChange::Users { domain, names } => {
                let rest = names.get(self.users..).unwrap_or_default();
                for names in rest.chunks(USERS) {
                    if out.len() >= until {
                        return false;
                    }
                    self.users += names.len();
                    let users = names.iter().map(|name| (&**name, domain.credentials(name)));
                    append_users(out, Kind::Users, &domain.name, users);
                }
                true
            }
            DirectoryChange::Domain(domain) => {
                if !std::mem::replace(&mut self.begun, true) {
                    append_begin(out, domain);
                }
                let mut rest = domain.entries().skip(self.users).peekable();
                while rest.peek().is_some() {
                    if out.len() >= until {
                        return false;
                    }
                    let users: Vec<_> = rest.by_ref().take(USERS).collect();
                    self.users += users.len();
                    let users = users.iter().map(|(name, of)| (*name, Some(*of)));
                    append_users(out, Kind::DomainUsers, &domain.name, users);
                }
                append_end(out, domain);
                true
            }
        }
    }
}

fn append_begin(out: &mut Vec<u8>, domain: &Domain) {
    append(out, Kind::DomainBegin, |out| {
        put_bytes(out, domain.name.as_bytes());
        out.push(u8::from(domain.control.is_some()));
        put_bytes(
            out,
            domain.control.as_deref().unwrap_or_default().as_bytes(),
        );
    });
}

fn append_end(out: &mut Vec<u8>, domain: &Domain) {
    append(out, Kind::DomainEnd, |out| {
        put_bytes(out, domain.name.as_bytes());
        out.extend_from_slice(&(domain.user_count() as u64).to_le_bytes());
    });
}

fn append_users<'a>(
    out: &mut Vec<u8>,
    kind: Kind,
    domain: &str,
    users: impl Iterator<Item = (&'a str, Option<&'a Credentials>)>,
) {
    append(out, kind, |out| {
        put_bytes(out, domain.as_bytes());
        for (name, credentials) in users {
            put_bytes(out, name.as_bytes());
            out.push(u8::from(credentials.is_some()));
            if let Some(of) = credentials {
                out.extend_from_slice(&of.md5);
                out.extend_from_slice(&of.sha256);
                out.extend_from_slice(&of.sha512_256);
            }
        }
    });
}

/// The domain a frame of the directory is about; `None` when it makes no sense.
pub fn domain(payload: &[u8]) -> Option<&str> {
    Fields(payload).text()
}

/// The domain of a frame of users, and of each whether it is there. Without what they prove themselves with.
pub fn users(payload: &[u8]) -> Option<(&str, Vec<(&str, bool)>)> {
    let mut fields = Fields(payload);
    let domain = fields.text()?;
    let mut users = Vec::new();
    while let Some((name, credentials)) = user(&mut fields)? {
        users.push((name, credentials.is_some()));
    }
    Some((domain, users))
}

/// The directory as the frames read so far make it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) directory: Directory,
    begun: Option<Begun>,
}

/// A domain whose end has not been read.
#[derive(Debug)]
struct Begun {
    name: String,
    control: Option<String>,
    users: Vec<(String, Credentials)>,
}

impl Reading {
    /// Takes over a frame of the directory; `None` when it makes no sense.
    pub(crate) fn read(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let mut fields = Fields(payload);
        let domain = fields.text()?;
        match kind {
            Kind::DomainBegin => {
                let has_control = fields.u8()? != 0;
                let control = fields.text()?;
                self.begun = Some(Begun {
                    name: domain.to_owned(),
                    control: has_control.then(|| control.to_owned()),
                    users: Vec::new(),
                });
            }
            Kind::DomainUsers => {
                let begun = self.begun.as_mut().filter(|begun| begun.name == domain)?;
                while let Some((name, credentials)) = user(&mut fields)? {
                    begun.users.push((name.to_owned(), credentials?));
                }
            }
            Kind::DomainEnd => {
                let begun = self.begun.take().filter(|begun| begun.name == domain)?;
                let whole = fields.u64()? == begun.users.len() as u64;
                let users = begun.users.iter().map(|(name, of)| (name.as_str(), *of));
                let domain = Domain::new(&begun.name, begun.control.as_deref(), users);
                whole.then(|| self.directory.put_domain(domain))?;
            }
            Kind::DomainRemoved => {
                self.begun = None;
                self.directory.remove_domain(domain);
            }
            Kind::Users => {
                self.begun = None;
                self.read_users(domain, fields)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn read_users(&mut self, domain: &str, mut fields: Fields<'_>) -> Option<()> {
        if self.directory.domain(domain).is_none() {
            self.directory.put_domain(Domain::new(domain, None, []));
        }
        while let Some((name, credentials)) = user(&mut fields)? {
            match credentials {
                Some(credentials) => self.directory.put_user(domain, name, credentials),
                None => self.directory.remove_user(domain, name),
            };
        }
        Some(())
    }
}

/// The next user of a frame; `Some(None)`: there is none.
#[allow(clippy::option_option, reason = "damage and the end are not the same")]
#[allow(clippy::type_complexity, reason = "read where it is made")]
fn user<'a>(fields: &mut Fields<'a>) -> Option<Option<(&'a str, Option<Credentials>)>> {
    if fields.is_empty() {
        return Some(None);
    }
    let name = fields.text()?;
    let credentials = match fields.u8()? {
        0 => None,
        _ => Some(Credentials {
            md5: fields.octets()?,
            sha256: fields.octets()?,
            sha512_256: fields.octets()?,
        }),
    };
    Some(Some((name, credentials)))
}
