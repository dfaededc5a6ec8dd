//! The Contact values of a REGISTER as edits of bindings (RFC 3261 10.3 steps 6 and 7): intervals, preference, instance,
//! flow, and what of their parameters is kept. What is done with them is the location service's business.

use std::time::Duration;

use stack::{Flow, Time};
use wire::{HeaderName, Message, NameAddr, Param, Params, Scheme, Uri, print};

use super::flow::{FlowRules, is_behind_nat};
use super::{Nat, RegistrarSettings, gruu};
use crate::call::Refusal;
use crate::core::Core;
use crate::location::{Aor, Binding, Edit, Edits};

/// What a malformed interval stands for (RFC 3261 20.10, 20.19), seconds.
const MALFORMED_EXPIRES_S: u32 = 3_600;
/// RFC 3261 10.3 step 7: an interval of an hour or more is never too brief, seconds.
const NEVER_TOO_BRIEF_S: u32 = 3_600;
/// The preference of a contact that names none, in thousandths.
pub(super) const Q_MAX: u16 = 1_000;
/// RFC 5626 4.2: a reg-id is below 2^31.
const REG_ID_MAX: u32 = i32::MAX as u32;
/// Contact, parameters, Path, Call-ID and User-Agent of one binding together: far more than any phone sends, and what
/// keeps the memory of a binding bounded.
const BINDING_BYTES_MAX: usize = 2_048;
/// Of a User-Agent so much is kept.
const USER_AGENT_BYTES_MAX: usize = 128;

/// A REGISTER that may change the bindings of its user.
pub(super) struct Registering<'r, 'm> {
    pub(super) core: &'r Core,
    pub(super) settings: &'r RegistrarSettings,
    pub(super) request: &'r Message<'m>,
    pub(super) now: Time,
    pub(super) source: Flow,
    pub(super) aor: &'r Aor,
    pub(super) cseq: u32,
    pub(super) path: Box<[u8]>,
    pub(super) rules: FlowRules,
}

impl Registering<'_, '_> {
    /// What the REGISTER asks for.
    ///
    /// # Errors
    /// The refusal of the whole request: none of its contacts is then changed.
    pub(super) fn edits(&self) -> Result<Edits, Refusal> {
        let mut edits = Vec::new();
        for value in self.request.values(HeaderName::Contact) {
            if value == b"*" {
                return self.all();
            }
            edits.push(self.edit(value)?);
        }
        self.check_flows(&edits)?;
        Ok(match edits.is_empty() {
            true => Edits::Fetch,
            false => Edits::Contacts(edits),
        })
    }

    /// RFC 3261 10.3 step 6: `*` stands alone and removes.
    fn all(&self) -> Result<Edits, Refusal> {
        let alone = self.request.values(HeaderName::Contact).count() == 1;
        let expires = self.request.header(HeaderName::Expires);
        match alone && expires.map(interval) == Some(0) {
            true => Ok(Edits::RemoveAll),
            false => Err(bad("Contact * Needs Expires 0 And No Other")),
        }
    }

    /// RFC 5626 6: a flow is registered alone.
    fn check_flows(&self, edits: &[Edit]) -> Result<(), Refusal> {
        let added = || edits.iter().filter(|edit| !edit.remove);
        let flows = added().any(|edit| edit.binding.reg_id.is_some());
        match flows && added().count() > 1 {
            true => Err(bad("Contact With reg-id Is Not Alone")),
            false => Ok(()),
        }
    }

    fn edit(&self, value: &[u8]) -> Result<Edit, Refusal> {
        let address = NameAddr::parse(value).map_err(|_| bad("Bad Contact"))?;
        let uri = address.uri_parsed().map_err(|_| bad("Bad Contact"))?;
        let instance = instance(&address)?;
        self.check_target(&uri, instance.is_some())?;
        let expires_s = self.expires_s(&address)?;
        let reg_id = self.reg_id(&address, instance.is_some())?;
        let binding = Binding {
            contact: address.uri.into(),
            parameters: kept_parameters(address.params, reg_id.is_some()),
            q: preference(&address)?,
            instance,
            reg_id,
            call_id: self.request.call_id().into(),
            cseq: self.cseq,
            path: self.path.clone(),
            source: self.source,
            at_source: self.is_at_source(&uri, reg_id.is_some()),
            user_agent: user_agent(self.request),
            registered: self.now,
            expires: self.now + Duration::from_secs(expires_s.into()),
            unanswered: 0,
            unreachable: false,
        };
        check_size(&binding)?;
        Ok(Edit {
            binding,
            remove: expires_s == 0,
        })
    }

    /// RFC 5627 5.1: a contact that leads back to its own address-of-record makes a loop, and an instance needs a URI
    /// that a GRUU can stand for.
    fn check_target(&self, uri: &Uri<'_>, has_instance: bool) -> Result<(), Refusal> {
        let is_sip = matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
        if has_instance && !is_sip {
            return Err(refusal(403, "Contact With Instance Is No SIP URI"));
        }
        match is_sip && self.leads_back(uri) {
            true => Err(refusal(403, "Contact Is The Address-Of-Record")),
            false => Ok(()),
        }
    }

    /// A contact at another port than the domain's is another place, though the domain be an address.
    fn leads_back(&self, uri: &Uri<'_>) -> bool {
        let default_port =
            uri.port.is_none() || self.core.doors.named(uri.host, uri.port).is_some();
        default_port && gruu::user_of(self.core, uri).is_some_and(|aor| aor == *self.aor)
    }

    /// RFC 3261 10.3 steps 6 and 7: the contact's own interval, else the header's, else ours.
    fn expires_s(&self, address: &NameAddr<'_>) -> Result<u32, Refusal> {
        let own = address.param("expires");
        let asked = own.or_else(|| self.request.header(HeaderName::Expires));
        let asked = asked.map_or(self.settings.default_expires_s, interval);
        let least = self.settings.min_expires_s;
        if (1..NEVER_TOO_BRIEF_S).contains(&asked) && asked < least {
            let extra = format!("Min-Expires: {least}\r\n").into_bytes();
            return Err(Refusal {
                extra,
                ..Refusal::code(423)
            });
        }
        Ok(asked.min(self.settings.max_expires_s))
    }

    /// RFC 5626 6: without an instance, or where a first hop lacks outbound, it is as if there were none.
    fn reg_id(&self, address: &NameAddr<'_>, has_instance: bool) -> Result<Option<u32>, Refusal> {
        let Some(text) = address.param("reg-id").filter(|_| has_instance) else {
            return Ok(None);
        };
        let number = number(text).filter(|id| (1..=REG_ID_MAX).contains(id));
        let number = number.ok_or_else(|| bad("Bad reg-id"))?;
        match (self.rules.applies, self.rules.asked) {
            (true, _) => Ok(Some(number)),
            (false, true) => Err(Refusal::code(439)),
            (false, false) => Ok(None),
        }
    }

    /// RFC 5626 7: over the flow it came by; RFC 3327 5.4: by its Path; else as the operator says.
    fn is_at_source(&self, uri: &Uri<'_>, is_flow: bool) -> bool {
        let direct = self.rules.direct && self.path.is_empty();
        direct
            && (is_flow
                || match self.settings.nat {
                    Nat::Always => true,
                    Nat::Never => false,
                    Nat::Auto => is_behind_nat(self.request, uri, self.source.remote),
                })
    }
}

fn check_size(binding: &Binding) -> Result<(), Refusal> {
    let instance = binding
        .instance
        .as_ref()
        .map_or(0, |instance| instance.len());
    let parts = [
        &binding.contact,
        &binding.parameters,
        &binding.path,
        &binding.call_id,
        &binding.user_agent,
    ];
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    match bytes + instance > BINDING_BYTES_MAX {
        true => Err(bad("Contact Too Long")),
        false => Ok(()),
    }
}

fn user_agent(request: &Message<'_>) -> Box<[u8]> {
    let text = request.header(HeaderName::UserAgent).unwrap_or_default();
    text.get(..USER_AGENT_BYTES_MAX).unwrap_or(text).into()
}

/// Delta-seconds; more than 2^32-1 is as much as can be asked for.
fn interval(text: &[u8]) -> u32 {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match (digits, number(text)) {
        (false, _) => MALFORMED_EXPIRES_S,
        (true, number) => number.unwrap_or(u32::MAX),
    }
}

fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()?
        .parse()
        .ok()
        .filter(|_| digits)
}

/// RFC 3261 25.1 qvalue: 0 to 1 with up to three digits behind the point.
fn preference(address: &NameAddr<'_>) -> Result<u16, Refusal> {
    match address.param("q") {
        None => Ok(Q_MAX),
        Some(text) => thousandths(text).ok_or_else(|| bad("Bad q")),
    }
}

fn thousandths(text: &[u8]) -> Option<u16> {
    let (&whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let places = [100, 10, 1].into_iter();
    let part: u16 = digits
        .iter()
        .zip(places)
        .try_fold(0, |sum, (digit, place)| {
            let digit = char::from(*digit).to_digit(10)? as u16;
            Some(sum + digit * place)
        })?;
    match whole {
        b'0' => Some(part),
        b'1' if part == 0 => Some(Q_MAX),
        _ => None,
    }
}

/// RFC 5626 4.1: `"<urn>"`.
fn instance(address: &NameAddr<'_>) -> Result<Option<Box<[u8]>>, Refusal> {
    let Some(text) = address.param("+sip.instance") else {
        return Ok(None);
    };
    let quoted = text
        .strip_prefix(b"\"<")
        .and_then(|rest| rest.strip_suffix(b">\""));
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\');
    let urn = quoted.filter(|urn| !urn.is_empty() && urn.iter().all(plain));
    urn.map(|urn| Some(urn.into()))
        .ok_or_else(|| bad("Bad +sip.instance"))
}

/// What comes back in a 200: not what is told anew each time, nor a GRUU, which no contact can propose (RFC 5627 5.1), nor
/// a reg-id that is not heeded.
fn kept_parameters(params: &[u8], keeps_reg_id: bool) -> Box<[u8]> {
    let mut kept = Vec::new();
    for param in Params::new(params).filter(|param| !is_told_anew(param, keeps_reg_id)) {
        kept.push(b';');
        kept.extend_from_slice(param.name);
        if let Some(value) = param.value {
            kept.push(b'=');
            kept.extend_from_slice(value);
        }
    }
    kept.into()
}

fn is_told_anew(param: &Param<'_>, keeps_reg_id: bool) -> bool {
    let is = |name: &str| param.name.eq_ignore_ascii_case(name.as_bytes());
    is("expires") || is("q") || is("pub-gruu") || is("temp-gruu") || is("reg-id") && !keeps_reg_id
}

pub(super) fn refusal(code: u16, phrase: &str) -> Refusal {
    Refusal {
        phrase: phrase.to_owned(),
        ..Refusal::code(code)
    }
}

pub(super) fn bad(phrase: &str) -> Refusal {
    refusal(400, phrase)
}

/// `q=0.7` as RFC 3261 25.1 has it.
pub(super) fn print_preference(out: &mut Vec<u8>, q: u16) {
    out.extend_from_slice(b";q=0.");
    let text = format!("{q:03}");
    let short = text.trim_end_matches('0');
    out.extend_from_slice(if short.is_empty() {
        b"0"
    } else {
        short.as_bytes()
    });
}

/// `expires=N`: what is left, in full seconds rounded up, so that a new contact is told what it was given.
pub(super) fn print_expires(out: &mut Vec<u8>, now: Time, expires: Time) {
    let left = expires.duration_since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    out.extend_from_slice(b";expires=");
    print::number(out, seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_thousandths() {
        for (text, q) in [
            ("0", 0),
            ("1", 1000),
            ("0.", 0),
            ("0.7", 700),
            ("0.05", 50),
            ("0.123", 123),
            ("1.000", 1000),
        ] {
            assert_eq!(thousandths(text.as_bytes()), Some(q), "{text}");
        }
        for bad in ["", "2", "1.1", "0.1234", "-0.1", "0,5", ".5", "0.a", "0x"] {
            assert_eq!(thousandths(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn preferences_are_printed_short() {
        let printed = |q| {
            let mut out = Vec::new();
            print_preference(&mut out, q);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(printed(700), ";q=0.7");
        assert_eq!(printed(50), ";q=0.05");
        assert_eq!(printed(123), ";q=0.123");
        assert_eq!(printed(0), ";q=0.0");
    }

    #[test]
    fn intervals_that_make_no_sense_are_an_hour() {
        assert_eq!(interval(b"60"), 60);
        assert_eq!(interval(b"0"), 0);
        assert_eq!(interval(b"99999999999999999999"), u32::MAX);
        for malformed in ["", "soon", "-1", "+1", "1.5"] {
            assert_eq!(interval(malformed.as_bytes()), 3_600, "{malformed}");
        }
    }

    #[test]
    fn an_instance_is_a_urn_in_brackets_and_quotes() {
        let instance = |params: &str| {
            let text = format!("<sip:a@b>{params}");
            let address = NameAddr::parse(text.as_bytes()).expect("an address");
            instance(&address).map_err(|refusal| refusal.code)
        };
        assert_eq!(instance(""), Ok(None));
        let urn: Box<[u8]> = (*b"urn:uuid:1").into();
        assert_eq!(instance(";+sip.instance=\"<urn:uuid:1>\""), Ok(Some(urn)));
        for bad in [
            "",
            "=\"urn:uuid:1\"",
            "=\"<>\"",
            "=\"<a b>\"",
            "=\"<a\\\"b>\"",
        ] {
            assert_eq!(instance(&format!(";+sip.instance{bad}")), Err(400), "{bad}");
        }
    }

    #[test]
    fn what_is_told_anew_is_not_kept() {
        let kept = |params: &str, reg_id| {
            let kept = kept_parameters(params.as_bytes(), reg_id);
            String::from_utf8(kept.to_vec()).expect("ASCII")
        };
        let params =
            "; Q=0.5 ;audio;expires=1;x=\"a;b\";reg-id=1;PUB-GRUU=\"sip:a\";temp-gruu=\"b\"";
        assert_eq!(kept(params, true), ";audio;x=\"a;b\";reg-id=1");
        assert_eq!(kept(params, false), ";audio;x=\"a;b\"");
    }
}
