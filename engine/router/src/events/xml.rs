//! Text as it may stand in an XML document.

/// Prints text for an element's content or an attribute in double quotes. What XML 1.0 has no room for is left out.
pub(super) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for letter in String::from_utf8_lossy(text).chars() {
        match letter {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Prints ` name="value"`.
pub(super) fn attribute(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(out, value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        let mut out = Vec::new();
        attribute(&mut out, "uri", "sip:a&b\"<c>\0\u{fffe}é".as_bytes());
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            " uri=\"sip:a&amp;b&quot;&lt;c&gt;é\""
        );
    }
}
