//! Everything that can be wrong with a received message: one variant per reason, each with the
//! reason phrase its 400 carries and the label its counter has. The peer is at fault in every one
//! of them; those that say too long or too many also depend on our limits.

macro_rules! errors {
    ($($(#[doc = $doc:literal])*
        $variant:ident, $code:literal, $name:literal, $reason:literal;)*) => {
        /// Why a message, or a value in it, cannot be read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum ParseError {
            $($(#[doc = $doc])* #[error($reason)] $variant,)*
        }

        impl ParseError {
            /// Every variant, in order of declaration: the rows of a table of counters.
            pub const ALL: &'static [ParseError] = &[$(ParseError::$variant,)*];

            /// The reason phrase of the response that refuses the message.
            pub fn reason(self) -> &'static str {
                match self { $(ParseError::$variant => $reason,)* }
            }

            /// The counter label, in snake case.
            pub fn name(self) -> &'static str {
                match self { $(ParseError::$variant => $name,)* }
            }

            /// The status code of the response that refuses the message: 400 but for the few
            /// reasons with a code of their own.
            pub fn code(self) -> u16 {
                match self { $(ParseError::$variant => $code,)* }
            }
        }
    };
}

errors! {
    /// Nothing but line ends: a keep-alive (RFC 5626 4.4.1), not a message.
    Empty, 400, "empty", "Empty Message";
    /// More than 65,535 bytes.
    TooLong, 513, "too_long", "Message Too Large";
    /// The start line is longer than the limit.
    StartLineTooLong, 414, "start_line_too_long", "Request-URI Too Long";
    /// One header, with its folds, is longer than the limit.
    HeaderTooLong, 513, "header_too_long", "Header Too Long";
    /// More header lines than the limit.
    TooManyHeaders, 513, "too_many_headers", "Too Many Headers";
    /// Not `Method SP Request-URI SP SIP-Version` nor a status line (RFC 3261 7.1, 7.2).
    BadStartLine, 400, "bad_start_line", "Malformed Start Line";
    /// The Request-URI is none, or is one a request may not carry (RFC 3261 19.1.1).
    BadRequestUri, 400, "bad_request_uri", "Malformed Request-URI";
    /// The version is not SIP/2.0.
    BadVersion, 505, "bad_version", "Version Not Supported";
    /// The status code is not three digits between 100 and 699.
    BadStatusCode, 400, "bad_status_code", "Malformed Status Code";
    /// A CR without LF or an LF without CR.
    BareLineEnd, 400, "bare_line_end", "Bare CR or LF";
    /// The message ends before the blank line that ends its headers.
    Unterminated, 400, "unterminated", "Missing Blank Line After Headers";
    /// A header line has no colon.
    HeaderWithoutColon, 400, "header_without_colon", "Header Without Colon";
    /// What stands before the colon is not a token.
    BadHeaderName, 400, "bad_header_name", "Malformed Header Name";
    /// Content-Length is not a number.
    BadContentLength, 400, "bad_content_length", "Malformed Content-Length Header";
    /// Two Content-Length lines that disagree.
    ConflictingContentLength, 400, "conflicting_content_length",
        "Conflicting Content-Length Headers";
    /// The datagram ends before Content-Length bytes of body (RFC 3261 18.3).
    TruncatedBody, 400, "truncated_body", "Body Shorter Than Content-Length";
    /// No Via.
    MissingVia, 400, "missing_via", "Missing Via Header";
    /// No From.
    MissingFrom, 400, "missing_from", "Missing From Header";
    /// No To.
    MissingTo, 400, "missing_to", "Missing To Header";
    /// No Call-ID.
    MissingCallId, 400, "missing_call_id", "Missing Call-ID Header";
    /// No CSeq.
    MissingCSeq, 400, "missing_cseq", "Missing CSeq Header";
    /// Two From lines.
    DuplicateFrom, 400, "duplicate_from", "Duplicate From Header";
    /// Two To lines.
    DuplicateTo, 400, "duplicate_to", "Duplicate To Header";
    /// Two Call-ID lines.
    DuplicateCallId, 400, "duplicate_call_id", "Duplicate Call-ID Header";
    /// Two CSeq lines.
    DuplicateCSeq, 400, "duplicate_cseq", "Duplicate CSeq Header";
    /// Two Max-Forwards lines.
    DuplicateMaxForwards, 400, "duplicate_max_forwards", "Duplicate Max-Forwards Header";
    /// The first Via cannot be read.
    BadVia, 400, "bad_via", "Malformed Via Header";
    /// From cannot be read.
    BadFrom, 400, "bad_from", "Malformed From Header";
    /// To cannot be read.
    BadTo, 400, "bad_to", "Malformed To Header";
    /// The first Contact cannot be read.
    BadContact, 400, "bad_contact", "Malformed Contact Header";
    /// Call-ID is empty or has white space inside.
    BadCallId, 400, "bad_call_id", "Malformed Call-ID Header";
    /// CSeq is not a number below 2^31 and a method.
    BadCSeq, 400, "bad_cseq", "Malformed CSeq Header";
    /// The CSeq of a request names another method than its start line.
    CSeqMismatch, 400, "cseq_mismatch", "CSeq Method Mismatch";
    /// Max-Forwards is not a number from 0 to 255.
    BadMaxForwards, 400, "bad_max_forwards", "Malformed Max-Forwards Header";
    /// RAck is not two numbers and a method.
    BadRAck, 400, "bad_rack", "Malformed RAck Header";
    /// Digest credentials that are no list of parameters, or lack one.
    BadCredentials, 400, "bad_credentials", "Malformed Credentials";
    /// A name-addr or addr-spec outside From, To and Contact cannot be read.
    BadAddress, 400, "bad_address", "Malformed Address";
    /// A URI cannot be read.
    BadUri, 400, "bad_uri", "Malformed URI";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_distinct_snake_case_and_phrases_fit_a_status_line() {
        let names: HashSet<_> = ParseError::ALL.iter().map(|error| error.name()).collect();
        assert_eq!(names.len(), ParseError::ALL.len());
        for error in ParseError::ALL {
            assert!(
                error
                    .name()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{error:?}"
            );
            assert!(
                error
                    .reason()
                    .bytes()
                    .all(|b| b.is_ascii_graphic() || b == b' '),
                "{error:?}"
            );
            assert!((400..600).contains(&error.code()), "{error:?}");
            assert_eq!(error.to_string(), error.reason());
        }
    }
}
