//! The numbers that order requests: CSeq (RFC 3261 20.16) and RAck (RFC 3262 7.2).

use crate::error::ParseError;
use crate::lex::{is_token, number, split_word, trim};
use crate::method::Method;

/// A CSeq value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method as written.
    pub token: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// Reads a CSeq value.
    ///
    /// # Errors
    /// `BadCSeq`: not a number and a token, or the number is 2^31 or more (RFC 3261 8.1.1.5).
    pub fn parse(value: &'a [u8]) -> Result<CSeq<'a>, ParseError> {
        let (digits, token) = split_word(trim(value));
        let number = number(digits).filter(|&number| number < 1 << 31);
        match number {
            Some(number) if is_token(token) => Ok(CSeq {
                number,
                method: Method::parse(token),
                token,
            }),
            _ => Err(ParseError::BadCSeq),
        }
    }
}

/// A RAck value: the provisional response a PRACK acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of that response.
    pub response: u32,
    /// The number of its CSeq.
    pub cseq: u32,
    /// The method of its CSeq.
    pub method: &'a [u8],
}

impl<'a> RAck<'a> {
    /// Reads a RAck value.
    ///
    /// # Errors
    /// `BadRAck`: not two numbers of 32 bits and a token.
    pub fn parse(value: &'a [u8]) -> Result<RAck<'a>, ParseError> {
        let (response, rest) = split_word(trim(value));
        let (cseq, method) = split_word(rest);
        match (number(response), number(cseq)) {
            (Some(response), Some(cseq)) if is_token(method) => Ok(RAck {
                response,
                cseq,
                method,
            }),
            _ => Err(ParseError::BadRAck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq() {
        let cseq = CSeq::parse(b"0009\r\n  INVITE").unwrap();
        assert_eq!(
            (cseq.number, cseq.method, cseq.token),
            (9, Method::Invite, &b"INVITE"[..])
        );
        let cseq = CSeq::parse(b"2147483647 Invite").unwrap();
        assert_eq!((cseq.number, cseq.method), (i32::MAX as u32, Method::Other));
        for bad in [
            "",
            "1",
            "INVITE",
            "INVITE 1",
            "2147483648 ACK",
            "-1 ACK",
            "1 A B",
            "1, 2 ACK",
        ] {
            assert_eq!(
                CSeq::parse(bad.as_bytes()),
                Err(ParseError::BadCSeq),
                "{bad}"
            );
        }
    }

    #[test]
    fn rack() {
        let rack = RAck::parse(b"776656 1\t INVITE ").unwrap();
        assert_eq!(
            rack,
            RAck {
                response: 776_656,
                cseq: 1,
                method: b"INVITE"
            }
        );
        for bad in [
            "",
            "1",
            "1 2",
            "1 INVITE 2",
            "4294967296 1 INVITE",
            "1 2 INVITE x",
        ] {
            assert_eq!(
                RAck::parse(bad.as_bytes()),
                Err(ParseError::BadRAck),
                "{bad}"
            );
        }
    }
}
