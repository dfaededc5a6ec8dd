//! Refer-To and Referred-By (RFC 3515, RFC 3892) as the other leg gets them. A reference to the router, by
//! whatever address its sender knows, or to a dialog that is one of the router's, becomes one by the address its receiver knows, and a dialog it names
//! there is shielded. Any other reference is its sender's wish and passes byte for byte, addresses and all.

use smallvec::SmallVec;
use stack::ServerId;
use wire::{HeaderName, Message, NameAddr, Scheme, Uri, print};

use super::named::{Named, Relation};
use crate::call::party;
use crate::core::{Core, Door};
use crate::proofs::Proof;

/// The Refer-To and Referred-By lines of a REFER that leaves by this listener. One without a Refer-To passes
/// as it is: the agent it is for answers it 400 (RFC 3515 2.4.2).
///
/// # Errors
/// The code to refuse it with: 400 when there is more than one Refer-To, or one that cannot be read.
pub(crate) fn referring_lines(
    core: &Core,
    listener: u16,
    server: ServerId,
    request: &Message<'_>,
) -> Result<Vec<u8>, u16> {
    let mut out = Vec::new();
    let mut values = request.values(HeaderName::ReferTo);
    match (values.next(), values.next()) {
        (None, _) => {}
        (Some(value), None) => {
            let ours = core.refers_to_ours == Some(server);
            referred_to(&mut out, core, listener, ours, value)?;
        }
        (Some(_), Some(_)) => return Err(400),
    }
    for value in request.values(HeaderName::ReferredBy) {
        referrer(&mut out, core.door(listener), value);
    }
    Ok(out)
}

/// `ours` says that it names a dialog of the router, though by an address that may not be its own.
fn referred_to(
    out: &mut Vec<u8>,
    core: &Core,
    listener: u16,
    ours: bool,
    value: &[u8],
) -> Result<(), u16> {
    out.extend_from_slice(b"Refer-To: ");
    let address = NameAddr::parse(value).map_err(|_| 400u16)?;
    match Uri::parse(address.uri) {
        Ok(uri) if uri.scheme == Scheme::Sip && (ours || is_ours(core, &uri)) => {
            let door = core.door(listener);
            let bracketed = !address.display.is_empty() || value.contains(&b'<');
            // Without brackets what follows the URI is the header's.
            if !bracketed && uri.headers.is_empty() && door.is_named_by(&uri.host, uri.port) {
                out.extend_from_slice(value);
            } else {
                reference(out, &core.proofs.dialog, door, &address, &uri);
            }
        }
        _ => out.extend_from_slice(value),
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The dialog that a REFER names at an address that is none of the router's. Whether it is one of ours only its
/// owner can say.
pub(crate) fn dialog_referred_to(core: &Core, request: &Message<'_>) -> Option<Named> {
    let mut values = request.values(HeaderName::ReferTo);
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let address = NameAddr::parse(value).ok()?;
    let uri = Uri::parse(address.uri).ok()?;
    let foreign = uri.scheme == Scheme::Sip && !is_ours(core, &uri);
    named_in_headers(uri.headers).filter(|_| foreign)
}

/// Whether the URI leads to the router.
fn is_ours(core: &Core, uri: &Uri<'_>) -> bool {
    let named = |door: &Door| door.is_named_by(&uri.host, uri.port);
    core.doors.all().any(named)
}

/// A reference to the router, through this door.
fn reference(out: &mut Vec<u8>, proof: &Proof, door: &Door, address: &NameAddr<'_>, uri: &Uri<'_>) {
    if !address.display.is_empty() {
        out.extend_from_slice(address.display);
        out.push(b' ');
    }
    out.push(b'<');
    // What stands before the host: the scheme, and user and password with their '@'.
    let host = address.uri.iter().position(|&byte| byte == b'@');
    let host = host.or_else(|| address.uri.iter().position(|&byte| byte == b':'));
    let (before, after) = address
        .uri
        .split_at_checked(host.map_or(0, |at| at + 1))
        .unwrap_or_default();
    out.extend_from_slice(before);
    if door.is_named_by(&uri.host, uri.port) {
        let written = after
            .len()
            .saturating_sub(uri.params.len() + uri.headers.len());
        out.extend_from_slice(after.get(..written).unwrap_or_default());
    } else {
        out.extend_from_slice(&door.host_port);
    }
    out.extend_from_slice(uri.params);
    headers(out, proof, uri.headers);
    out.push(b'>');
    out.extend_from_slice(address.params);
}

/// The headers of a URI, those that name a dialog of ours shielded.
fn headers(out: &mut Vec<u8>, proof: &Proof, headers: &[u8]) {
    let mut before = b'?';
    for header in headers
        .strip_prefix(b"?")
        .unwrap_or_default()
        .split(|&byte| byte == b'&')
        .filter(|header| !header.is_empty())
    {
        out.push(before);
        before = b'&';
        match shielded(proof, header) {
            Some(shielded) => out.extend_from_slice(&shielded),
            None => out.extend_from_slice(header),
        }
    }
}

/// `Replaces=...` and its like, when it names a dialog of ours.
fn shielded(proof: &Proof, header: &[u8]) -> Option<Vec<u8>> {
    let end = header.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (header.get(..end)?, header.get(end + 1..)?);
    let named = stated(name, value)?;
    let mut shown = Vec::new();
    named.print_shielded(proof, &mut shown);
    let mut out = name.to_vec();
    out.push(b'=');
    escape(&mut out, &shown);
    Some(out)
}

/// The dialog of ours that a URI header of this name and value names.
fn stated(name: &[u8], value: &[u8]) -> Option<Named> {
    let relation = Relation::STATED
        .into_iter()
        .find(|relation| name.eq_ignore_ascii_case(relation.header().as_str().as_bytes()))?;
    Named::parse(relation, &unescaped(value)).ok()
}

/// The dialog of ours that the headers of a URI name, when it is to be replaced or joined.
pub(crate) fn named_in_uri(uri: &Uri<'_>) -> Option<Named> {
    let found = named_in_headers(uri.headers);
    found.filter(|named| !named.relation.may_be_ignored())
}

/// The dialog of ours that the headers of a URI name.
fn named_in_headers(headers: &[u8]) -> Option<Named> {
    let headers = headers.strip_prefix(b"?")?;
    headers.split(|&byte| byte == b'&').find_map(|header| {
        let end = header.iter().position(|&byte| byte == b'=')?;
        stated(header.get(..end)?, header.get(end + 1..)?)
    })
}

/// The text with its `%` escapes read; one that is none stays.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| byte == b'%');
        let code = pair.and_then(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = match code {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    out
}

/// RFC 3261 25.1 hvalue: all but the unreserved is escaped.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            print::hex(out, byte.into(), 2);
        }
    }
}

/// Who refers, as From says it on this leg: an address names a network and not a person. One that a body
/// of the request speaks for (RFC 3892 3, `cid`) must stay what was signed.
pub(crate) fn referrer(out: &mut Vec<u8>, door: &Door, value: &[u8]) {
    let mut text = SmallVec::new();
    match NameAddr::parse(value) {
        Ok(address) if address.param("cid").is_none() => {
            party(
                &mut text,
                &address,
                door.listener.advertise_host.as_bytes(),
                None,
            );
        }
        _ => text.extend_from_slice(value),
    }
    print::header(out, "Referred-By", &text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proofs::{ProofKeys, Proofs};

    #[test]
    fn escapes_are_read_and_written() {
        let text = b"12%40h%3Bto-tag%3d1;%zz%4";
        assert_eq!(unescaped(text), b"12@h;to-tag=1;%zz%4");
        let mut out = Vec::new();
        escape(&mut out, b"a-1@h;x=[y]");
        assert_eq!(out, b"a-1%40h%3bx%3d%5by%5d");
        assert_eq!(unescaped(&out), b"a-1@h;x=[y]");
    }

    #[test]
    fn headers_that_name_no_dialog_of_ours_pass() {
        for text in [
            "",
            "?a=b",
            "?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3&Subject=x",
        ] {
            let proof = Proofs::new(&ProofKeys::new([1, 1], [])).dialog;
            let mut out = Vec::new();
            headers(&mut out, &proof, text.as_bytes());
            assert_eq!(out, text.as_bytes());
        }
    }
}
