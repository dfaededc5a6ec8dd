//! The limit on open files: every socket is one, and a ring's table of registered files may not be
//! longer than the limit either. The soft limit is raised as far as needed; the hard one is the
//! operator's.

use std::io;

use crate::error::SetupError;

/// The soft and the hard limit on open files.
pub(crate) fn open_files() -> io::Result<(u64, u64)> {
    let limit = read()?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Raises the soft limit on open files to `needed`, if it is lower.
///
/// # Errors
/// [`SetupError::Files`] when the hard limit is lower than that.
pub fn raise_open_files(needed: u64) -> Result<(), SetupError> {
    let failed = |source| SetupError::Socket {
        option: "RLIMIT_NOFILE",
        source,
    };
    let mut limit = read().map_err(failed)?;
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    if limit.rlim_max < needed {
        let allowed = limit.rlim_max;
        return Err(SetupError::Files { needed, allowed });
    }
    limit.rlim_cur = needed;
    // SAFETY: the kernel reads one rlimit.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

fn read() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_enough_and_what_cannot_be_is_named() {
        let (soft, hard) = open_files().unwrap();
        raise_open_files(soft).unwrap();
        if hard == libc::RLIM_INFINITY {
            return eprintln!("skipped: no hard limit here");
        }
        let error = raise_open_files(hard + 1).unwrap_err().to_string();
        assert!(error.contains(&(hard + 1).to_string()), "{error}");
        assert!(error.contains("LimitNOFILE"), "{error}");
    }
}
