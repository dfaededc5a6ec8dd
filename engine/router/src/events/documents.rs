//! Presence (RFC 3863) and dialogs (RFC 4235) of a user: what he has published, else a document that says nothing of him.

use super::package::Package;
use super::xml::attribute;
use crate::location::Aor;

/// Prints the document of a user who has published nothing.
pub(super) fn print_neutral(out: &mut Vec<u8>, package: Package, aor: &Aor, version: u32) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
    if package == Package::Dialog {
        out.extend_from_slice(b"<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"");
        attribute(out, "version", version.to_string().as_bytes());
        out.extend_from_slice(b" state=\"full\"");
        attribute(out, "entity", format!("sip:{aor}").as_bytes());
    } else {
        out.extend_from_slice(b"<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"");
        attribute(out, "entity", format!("pres:{aor}").as_bytes());
    }
    out.extend_from_slice(b"/>\r\n");
}

/// Prints what was published. RFC 4235 4.1: versions are counted in each subscription, so that of a `dialog-info` is
/// written anew.
pub(super) fn print_published(out: &mut Vec<u8>, package: Package, body: &[u8], version: u32) {
    match (package, split_at_version(body)) {
        (Package::Dialog, Some((before, after))) => {
            out.extend_from_slice(before);
            out.extend_from_slice(version.to_string().as_bytes());
            out.extend_from_slice(after);
        }
        _ => out.extend_from_slice(body),
    }
}

/// What stands before and behind the value of the root's `version`.
fn split_at_version(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let root = find(body, b"dialog-info")?;
    let end = root + find(body.get(root..)?, b">")?;
    let mut from = root;
    loop {
        let at = from + find(body.get(from..end)?, b"version")?;
        let rest = body.get(at + b"version".len()..end)?;
        from = at + b"version".len();
        let alone = at
            .checked_sub(1)
            .and_then(|it| body.get(it))
            .is_some_and(u8::is_ascii_whitespace);
        let opening = rest.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
        let (between, value) = rest.split_at_checked(opening)?;
        let (quote, value) = value.split_first()?;
        if !alone || between.trim_ascii() != b"=" {
            continue;
        }
        let length = value.iter().position(|byte| byte == quote)?;
        let start = from + opening + 1;
        return Some((body.get(..start)?, body.get(start + length..)?));
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(package: Package, body: &str) -> String {
        let mut out = Vec::new();
        print_published(&mut out, package, body.as_bytes(), 42);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_version_is_that_of_the_subscription() {
        let head = "<?xml version=\"1.0\"?>\n";
        for (before, after) in [
            (
                "<dialog-info xmlns=\"urn:x\" version=\"7\" state=\"full\"><version/></dialog-info>",
                "<dialog-info xmlns=\"urn:x\" version=\"42\" state=\"full\"><version/></dialog-info>",
            ),
            (
                "<d:dialog-info d:version='1'\n version = '' />",
                "<d:dialog-info d:version='1'\n version = '42' />",
            ),
            (
                "<dialog-info state=\"full\"/>",
                "<dialog-info state=\"full\"/>",
            ),
            ("<dialog-info version", "<dialog-info version"),
            ("<dialog-info version=\">", "<dialog-info version=\">"),
            ("no document", "no document"),
        ] {
            let told = published(Package::Dialog, &format!("{head}{before}"));
            assert_eq!(told, format!("{head}{after}"));
        }
    }

    #[test]
    fn presence_is_told_as_it_was_published() {
        let body = "<presence entity=\"pres:a@h\" version=\"1\"/>";
        assert_eq!(published(Package::Presence, body), body);
    }
}
