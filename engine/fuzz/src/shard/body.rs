//! Bodies: session descriptions that offer, answer, hold and refuse, and what is none.

use crate::choices::Choices;

/// Content-Type and body.
pub(super) type Body = (&'static str, Vec<u8>);

const NONE: Body = ("", Vec::new());

/// A body or none.
pub(super) fn body(choices: &mut Choices<'_>) -> Body {
    match choices.below(6) {
        0 | 1 => NONE,
        5 => odd(choices),
        _ => ("application/sdp", description(choices).into_bytes()),
    }
}

/// Media addresses of peers; the media datagrams of a world come from the same hosts.
pub(super) const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "fd00::2", "0.0.0.0"];
/// The ports peers ask for media on.
pub(super) const PORTS: [u16; 4] = [4000, 4002, 0, 4010];

fn description(choices: &mut Choices<'_>) -> String {
    let host = choices.of(&HOSTS).unwrap_or("10.0.0.1");
    let family = if host.contains(':') { 6 } else { 4 };
    let version = choices.below(3);
    let mut text = format!(
        "v=0\r\no=- 1 {version} IN IP{family} {host}\r\ns=-\r\nc=IN IP{family} {host}\r\nt=0 0\r\n"
    );
    for _ in 0..=choices.below(3) {
        text += line(choices.byte());
        text = text.replacen("PORT", &choices.of(&PORTS).unwrap_or(4000).to_string(), 1);
        text += attributes(choices.byte());
    }
    text
}

fn line(which: u8) -> &'static str {
    match which % 5 {
        0 | 1 => "m=audio PORT RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        2 => "m=video PORT RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n",
        3 => "m=image PORT udptl t38\r\n",
        _ => "m=audio PORT UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=fingerprint:sha-1 00\r\n",
    }
}

fn attributes(which: u8) -> &'static str {
    match which % 8 {
        0..=2 => "",
        3 => "a=sendonly\r\n",
        4 => "a=recvonly\r\n",
        5 => "a=inactive\r\n",
        6 => "a=rtcp:4011 IN IP4 10.0.0.1\r\na=rtcp-mux\r\n",
        _ => "c=IN IP4 10.0.0.2\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n",
    }
}

fn odd(choices: &mut Choices<'_>) -> Body {
    let part = |choices: &mut Choices<'_>| description(choices);
    match choices.below(5) {
        0 => ("application/sdp", choices.bytes(40).to_vec()),
        1 => {
            let text = format!(
                "--b\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--b--\r\n",
                part(choices)
            );
            ("multipart/mixed;boundary=b", text.into_bytes())
        }
        2 => (
            "message/sipfrag;version=2.0",
            b"SIP/2.0 100 Trying\r\n".to_vec(),
        ),
        3 => (
            "application/dtmf-relay",
            b"Signal=5\r\nDuration=160\r\n".to_vec(),
        ),
        _ => {
            // Cut off, or with a byte changed: almost a description.
            let mut text = description(choices).into_bytes();
            let at = usize::from(choices.byte()) % text.len().max(1);
            match choices.byte() {
                0 => text.truncate(at),
                byte => text.get_mut(at).into_iter().for_each(|place| *place = byte),
            }
            ("application/sdp", text)
        }
    }
}
