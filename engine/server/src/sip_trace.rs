//! `--sip-trace`: every message that comes in or goes out, on stderr. For a lab, not for load: it
//! writes while the shard waits.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which way a message went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// Writes one message with a line above it: time, shard, direction, peer, length.
pub(crate) fn write(shard: u8, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
    let text = render(SystemTime::now(), shard, direction, peer, bytes);
    // One write call a message, so that two shards' messages do not mix. A closed stderr is no
    // reason to stop carrying calls.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn render(
    now: SystemTime,
    shard: u8,
    direction: Direction,
    peer: SocketAddr,
    bytes: &[u8],
) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs() % 86_400, since.subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let arrow = match direction {
        Direction::In => "<-",
        Direction::Out => "->",
    };
    let length = bytes.len();
    let body = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}.{micros:06} shard {shard} {arrow} {peer} \
         {length} bytes\n{}\n\n",
        body.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_message_is_shown_with_its_way() {
        let now = UNIX_EPOCH + Duration::from_micros(86_400_000_000 * 3 + 45_296_000_789);
        let peer = "192.0.2.1:5060".parse().unwrap();
        let text = render(
            now,
            1,
            Direction::In,
            peer,
            b"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n\r\n",
        );
        insta::assert_snapshot!(text, @r"
        12:34:56.000789 shard 1 <- 192.0.2.1:5060 32 bytes
        OPTIONS sip:a SIP/2.0
        To: b
        ");
    }
}
