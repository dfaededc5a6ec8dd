//! Lists come in pages: how many, and where the next one begins. A cursor is text to its client; what is in it
//! is known here alone.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// How long a page may be.
pub(crate) const PAGE_MAX: u16 = 1_000;
const PAGE: u16 = 100;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Entries in a page; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 300)]
    pub(crate) cursor: Option<String>,
}

/// The length of a page as wanted, within its bounds.
pub(crate) fn length(limit: Option<u16>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(PAGE);
    match (1..=PAGE_MAX).contains(&limit) {
        true => Ok(usize::from(limit)),
        false => Err(Problem::field(
            "limit",
            format!("must be from 1 to {PAGE_MAX}"),
        )),
    }
}

/// The name a page begins behind, in a cursor.
pub(crate) fn after(cursor: Option<&str>) -> Result<Option<String>, Problem> {
    let unhex = |text: &str| {
        let digits = text.strip_prefix('x')?.as_bytes();
        let pairs = digits.chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        String::from_utf8(pairs.collect::<Option<_>>()?).ok()
    };
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let name = unhex(cursor).ok_or_else(unknown)?;
    Ok(Some(name))
}

/// A cursor for the page behind this name.
pub(crate) fn behind(name: &str) -> String {
    let digits = name.bytes().map(|byte| format!("{byte:02x}"));
    std::iter::once("x".to_owned()).chain(digits).collect()
}

/// Where a list of calls goes on: a shard and a place in it.
pub(crate) fn place(cursor: Option<&str>, shards: u8) -> Result<(u8, u32), Problem> {
    let Some(cursor) = cursor else {
        return Ok((0, 0));
    };
    let place = cursor.split_once('.').and_then(|(shard, from)| {
        let shard = shard.parse().ok().filter(|shard| *shard < shards)?;
        Some((shard, from.parse().ok()?))
    });
    place.ok_or_else(unknown)
}

/// A cursor for a place.
pub(crate) fn at((shard, from): (u8, u32)) -> String {
    format!("{shard}.{from}")
}

fn unknown() -> Problem {
    Problem::field("cursor", "must be `next` of a page of this list")
}

/// So many entries and whether more follow: the last one taken gives the cursor.
pub(crate) fn page_of<T>(
    mut entries: impl Iterator<Item = T>,
    limit: usize,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let page: Vec<T> = entries.by_ref().take(limit).collect();
    let more = entries.next().is_some();
    let next = page.last().filter(|_| more).map(|last| behind(&name(last)));
    (page, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back() {
        for name in ["", "1003", "a@b", "ä"] {
            assert_eq!(after(Some(&behind(name))).unwrap().as_deref(), Some(name));
        }
        assert_eq!(after(None).unwrap(), None);
        for wrong in ["", "x1", "xzz", "31", "xff", "xé"] {
            assert!(after(Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(place(Some(&at((1, 77))), 2).unwrap(), (1, 77));
        assert_eq!(place(None, 2).unwrap(), (0, 0));
        for wrong in ["", "2.0", "1", "1.-1", "1.99999999999"] {
            assert!(place(Some(wrong), 2).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_have_bounds() {
        assert_eq!(length(None).unwrap(), 100);
        assert!(length(Some(0)).is_err() && length(Some(1_001)).is_err());
        let name = |n: &i32| n.to_string();
        assert_eq!(page_of(1..=2, 2, name), (vec![1, 2], None));
        assert_eq!(page_of(1..=3, 2, name), (vec![1, 2], Some(behind("2"))));
        assert_eq!(page_of(1..1, 2, name), (vec![], None));
    }
}
