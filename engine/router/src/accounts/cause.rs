//! Why a call ended as a telephone network says it: the Q.850 cause of a Reason header (RFC 3326), else the
//! one that RFC 3398 maps the status code to: of the header, or of the answer that ended the call.

use memchr::memmem::find;

/// Normal call clearing: a BYE that says nothing else.
const NORMAL: u8 = 16;
/// Normal, unspecified: RFC 3398 8.2.6.1 for 488 and 606.
const UNSPECIFIED: u8 = 31;
/// Interworking, unspecified: what has no better one.
const INTERWORKING: u8 = 127;

/// The cause of an end with this status code and these Reason header lines; 16 for an answered call.
pub(super) fn of(code: u16, reason: &[u8]) -> u8 {
    let lines = reason.to_ascii_lowercase();
    let q850 = named(&lines, b"q.850").filter(|cause| (1..128).contains(cause));
    let code = named(&lines, b"reason: sip").unwrap_or(code);
    let cause = q850.and_then(|cause| u8::try_from(cause).ok());
    cause.unwrap_or_else(|| of_code(code))
}

/// The cause of the first Reason of this protocol; all in lower case.
fn named(lower: &[u8], protocol: &[u8]) -> Option<u16> {
    let rest = lower.get(find(lower, protocol)?..)?;
    let line = rest.split(|&byte| byte == b'\r').next()?;
    let value = line.get(find(line, b"cause=")? + b"cause=".len()..)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits
        .take(4)
        .fold(0u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    Some(number)
}

/// RFC 3398 8.2.6.1. A 487 has none there: it ends a call that its caller has cancelled, which is normal
/// clearing.
fn of_code(code: u16) -> u8 {
    match code {
        0..300 | 487 => NORMAL,
        401 | 402 | 403 | 407 | 603 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        488 | 606 => UNSPECIFIED,
        400 | 481 | 500 | 503 => 41,
        502 => 38,
        _ => INTERWORKING,
    }
}

/// The words of the first Reason that has some, for people.
pub(super) fn text(lines: &[u8]) -> &[u8] {
    let words = |lines| {
        let at = find(lines, b"text=\"")? + b"text=\"".len();
        lines.get(at..)?.split(|&byte| byte == b'"').next()
    };
    words(lines).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_q850_reason_wins_over_the_code() {
        let both = b"Reason: SIP;cause=486\r\nReason: q.850 ;Cause=34;text=\"No Circuit\"\r\n";
        assert_eq!((of(486, both), text(both)), (34, &b"No Circuit"[..]));
        assert_eq!(of(486, b"Reason: SIP;cause=600\r\n"), 17);
        assert_eq!(of(200, b""), 16);
        for odd in [
            "Reason: Q.850\r\n",
            "Reason: Q.850;cause=\r\n",
            "Reason: Q.850;cause=0\r\n",
            "Reason: Q.850;cause=999999999\r\n",
            "Reason: Q.850;text=\"\r\nX: cause=3\r\n",
        ] {
            assert_eq!(of(404, odd.as_bytes()), 1, "{odd}");
        }
    }

    #[test]
    fn codes_are_mapped_as_rfc_3398_says() {
        let table = [
            (400, 41),
            (401, 21),
            (402, 21),
            (403, 21),
            (404, 1),
            (405, 63),
            (406, 79),
            (407, 21),
            (408, 102),
            (410, 22),
            (413, 127),
            (414, 127),
            (415, 79),
            (416, 127),
            (420, 127),
            (421, 127),
            (423, 127),
            (480, 18),
            (481, 41),
            (482, 25),
            (483, 25),
            (484, 28),
            (485, 1),
            (486, 17),
            (488, 31),
            (500, 41),
            (501, 79),
            (502, 38),
            (503, 41),
            (504, 102),
            (505, 127),
            (513, 127),
            (600, 17),
            (603, 21),
            (604, 1),
            (606, 31),
        ];
        for (code, cause) in table {
            assert_eq!(of(code, b""), cause, "{code}");
        }
    }
}
