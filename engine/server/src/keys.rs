//! Secrets: those of this run, drawn at its start, and the keys of proofs, which a file may keep from one run to
//! the next.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shard::ProofKeys;
use stack::digest::Secret;

/// Keys a file may hold: the one in use, and those before it.
const KEYS_MAX: usize = 8;
/// Hexadecimal digits of a key.
const DIGITS: usize = 32;
/// A file of so many keys and as many remarks is smaller.
const BYTES_MAX: u64 = 16 * 1024;

/// The keys cannot be had. Local causes all; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// No random numbers, without which tokens could be guessed.
    #[error("/dev/urandom: {0}")]
    Entropy(io::Error),
    /// The file cannot be read, or not be made.
    #[error("security.key_file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        cause: io::Error,
    },
    /// Others may read it.
    #[error("security.key_file {} can be read by others than its owner; chmod 600 it", .0.display())]
    Open(PathBuf),
    /// It holds something else than keys, or too many.
    #[error("security.key_file {}:{line}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// Secrets of this run.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Key of the steering function.
    pub(crate) steer: u64,
    seed: u64,
    /// Where the keys of nonces come from.
    pub(crate) nonces: Secret,
}

impl Keys {
    /// Draws them.
    pub(crate) fn draw() -> Result<Keys, KeyError> {
        let [steer, seed] = random()?;
        let mut nonces = [0; 32];
        for part in nonces.as_chunks_mut::<16>().0 {
            *part = random_bytes()?;
        }
        let nonces = Secret::new(nonces);
        Ok(Keys {
            steer,
            seed,
            nonces,
        })
    }

    /// A different seed for each shard, none of which tells another.
    pub(crate) fn seed(&self, shard: usize) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one((self.seed, shard))
    }
}

fn random() -> Result<[u64; 2], KeyError> {
    Ok(halves(u128::from_ne_bytes(random_bytes()?)))
}

fn random_bytes() -> Result<[u8; 16], KeyError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(KeyError::Entropy)?;
    Ok(bytes)
}

fn halves(key: u128) -> [u64; 2] {
    [(key >> 64) as u64, key as u64]
}

/// The keys of proofs: those in the file, which is made when it is missing; one for this run without a file.
pub(crate) fn proof_keys(path: Option<&Path>) -> Result<ProofKeys, KeyError> {
    let Some(path) = path else {
        return Ok(ProofKeys::new(random()?, []));
    };
    match read(path)? {
        Some(keys) => Ok(keys),
        None => make(path),
    }
}

/// The keys in the file; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<ProofKeys>, KeyError> {
    let failed = |cause| KeyError::File {
        path: path.to_owned(),
        cause,
    };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(KeyError::Open(path.to_owned()));
    }
    let mut text = String::new();
    let limited = (&mut file).take(BYTES_MAX).read_to_string(&mut text);
    limited.map_err(failed)?;
    let parsed = parse(&text).map_err(|(line, what)| KeyError::Malformed {
        path: path.to_owned(),
        line,
        what,
    })?;
    Ok(Some(parsed))
}

/// A key a line; empty lines and those that begin with `#` are remarks.
fn parse(text: &str) -> Result<ProofKeys, (usize, &'static str)> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        keys.push(key(line).ok_or((number, "a key is 32 hexadecimal digits"))?);
        if keys.len() > KEYS_MAX {
            return Err((number, "more than eight keys: let the oldest go"));
        }
    }
    match keys.split_first() {
        Some((current, previous)) => Ok(ProofKeys::new(*current, previous.iter().copied())),
        None => Err((1, "no key; remove the file to have one made")),
    }
}

fn key(digits: &str) -> Option<[u64; 2]> {
    let fits = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let key = fits.then(|| u128::from_str_radix(digits, 16).ok())??;
    Some(halves(key))
}

/// A file with a new key, which nobody but its owner may read. It gets its name when it is whole.
fn make(path: &Path) -> Result<ProofKeys, KeyError> {
    let failed = |cause| KeyError::File {
        path: path.to_owned(),
        cause,
    };
    let key = random()?;
    let mut text = String::from(
        "# Keys of tipring's proofs. The first is used; older ones below it still hold.\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:016x}{:016x}", key[0], key[1]);
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = write(&unfinished, &text).and_then(|()| fs::rename(&unfinished, path));
    if let Err(cause) = written {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&unfinished);
        return Err(failed(cause));
    }
    Ok(ProofKeys::new(key, []))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f";
    const TWO: &str = "FFFFFFFFFFFFFFFFffffffffffffffff";

    #[test]
    fn the_first_key_is_used_and_the_others_hold() {
        let text = format!("# remark\n\n {ONE} \n#{TWO}\n{TWO}\n");
        let one = [0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f];
        assert_eq!(parse(&text), Ok(ProofKeys::new(one, [[u64::MAX; 2]])));
    }

    #[test]
    fn what_is_no_key_is_told_with_its_line() {
        for (text, line) in [
            (String::new(), 1),
            ("# nothing\n".to_owned(), 1),
            (format!("{ONE}\nzz\n"), 2),
            (format!("{ONE}0\n"), 1),
            (format!("+{}\n", &ONE[1..]), 1),
            (format!("{ONE}\n").repeat(9), 9),
        ] {
            let failed = parse(&text).expect_err(&text);
            assert_eq!(failed.0, line, "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone_and_read_the_next_time() {
        let directory = std::env::temp_dir().join(format!("tipring-keys-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("keys");
        assert_eq!(read(&path).expect("no file"), None);
        let made = proof_keys(Some(&path)).expect("keys");
        let mode = fs::metadata(&path).expect("the file").mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(proof_keys(Some(&path)).expect("the same"), made);
        let left: Vec<_> = fs::read_dir(&directory).expect("a directory").collect();
        assert_eq!(left.len(), 1, "{left:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
        let open = proof_keys(Some(&path)).expect_err("others may read it");
        assert!(open.to_string().contains("chmod 600"), "{open}");
        fs::remove_dir_all(&directory).expect("removed");
        let nowhere = proof_keys(Some(&path)).expect_err("no directory");
        assert!(matches!(nowhere, KeyError::File { .. }), "{nowhere}");
    }

    #[test]
    fn without_a_file_each_run_has_its_own() {
        let drawn = || proof_keys(None).expect("keys");
        assert_ne!(drawn(), drawn());
    }
}
