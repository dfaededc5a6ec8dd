//! Whether two session descriptions say the same. Their meaning is not read here.

use wire::Message;

/// The session description of a message that holds one, taken out of a multipart.
pub(super) fn session_of<'a>(message: &Message<'a>) -> &'a [u8] {
    message.session_description().unwrap_or(message.body())
}

/// The same but for the o= line: a new version of a session that has not changed is none.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    lines(one).eq(lines(other))
}

fn lines(session: &[u8]) -> impl Iterator<Item = &[u8]> {
    session
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .filter(|line| !line.is_empty() && !line.starts_with(b"o="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_origin_and_line_ends_may_differ() {
        let one = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 1 RTP/AVP 8\r\n";
        for same in [
            "v=0\no=- 1 2 IN IP4 h\ns=-\nm=audio 1 RTP/AVP 8",
            "v=0\r\no=x 7 7 IN IP4 i\r\ns=-\r\nm=audio 1 RTP/AVP 8\r\n\r\n",
        ] {
            assert!(is_same(one, same.as_bytes()), "{same}");
        }
        for other in [
            "",
            "v=0\r\ns=-\r\nm=audio 3 RTP/AVP 8\r\n",
            "v=0\r\ns=-\r\nm=audio 1 RTP/AVP 8\r\na=sendonly\r\n",
        ] {
            assert!(!is_same(one, other.as_bytes()), "{other}");
        }
    }
}
