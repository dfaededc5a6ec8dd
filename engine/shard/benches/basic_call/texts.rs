//! The seven messages of the ends, as softphones and trunks write them.

use super::End;
use super::template::Field;

/// One message, and what is read of the first datagram that goes to `reader` because of it.
pub(super) struct Text {
    pub(super) from: End,
    pub(super) head: &'static str,
    pub(super) body: &'static str,
    pub(super) reader: End,
    pub(super) reads: &'static [(Field, &'static str)],
}

const fn text(from: End, head: &'static str, body: &'static str) -> Text {
    Text {
        from,
        head,
        body,
        reader: from,
        reads: &[],
    }
}

pub(super) const STEPS: [Text; 7] = [
    Text {
        reader: End::Callee,
        reads: &[
            (Field::Branch, ";branch="),
            (Field::CallId, "Call-ID: "),
            (Field::CalleeTag, ";tag="),
        ],
        ..text(End::Caller, INVITE, OFFER)
    },
    text(End::Callee, TRYING, ""),
    Text {
        reader: End::Caller,
        reads: &[(Field::CallerTag, "192.0.2.1:5060>;tag=")],
        ..text(End::Callee, RINGING, "")
    },
    text(End::Callee, ANSWER, SDP_ANSWER),
    text(End::Caller, ACK, ""),
    Text {
        reader: End::Callee,
        reads: &[(Field::Branch, ";branch=")],
        ..text(End::Caller, BYE, "")
    },
    text(End::Callee, BYE_ANSWER, ""),
];

const OFFER: &str = "v=0
o=alice 53655765 2353687637 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 49170 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
";

const SDP_ANSWER: &str = "v=0
o=gw 2890844526 2890844526 IN IP4 198.51.100.7
s=-
c=IN IP4 198.51.100.7
t=0 0
m=audio 30000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
";

const INVITE: &str = "INVITE sip:+12015550123@192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{serial}-1-0;rport
Max-Forwards: 70
From: \"Alice\" <sip:alice@192.0.2.10:5060>;tag=1c{serial}
To: <sip:+12015550123@192.0.2.1:5060>
Call-ID: {serial}@192.0.2.10
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.10:5060>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE
User-Agent: softphone 1.0 (desk; build 4711) with a name of some length, no matter
Supported: timer, replaces, 100rel
Content-Type: application/sdp
";

const TRYING: &str = "SIP/2.0 100 Trying
Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch={branch}
From: \"Alice\" <sip:alice@192.0.2.1:5060>;tag={callee_tag}
To: <sip:+12015550123@198.51.100.7:5060>
Call-ID: {call_id}
CSeq: 1 INVITE
";

const RINGING: &str = "SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch={branch}
From: \"Alice\" <sip:alice@192.0.2.1:5060>;tag={callee_tag}
To: <sip:+12015550123@198.51.100.7:5060>;tag=gw{serial}
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:+12015550123@198.51.100.7:5060>
Server: gateway 2.1
";

const ANSWER: &str = "SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch={branch}
From: \"Alice\" <sip:alice@192.0.2.1:5060>;tag={callee_tag}
To: <sip:+12015550123@198.51.100.7:5060>;tag=gw{serial}
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:+12015550123@198.51.100.7:5060>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE
Server: gateway 2.1
Supported: timer
Content-Type: application/sdp
";

const ACK: &str = "ACK sip:{caller_tag}@192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{serial}-1-5;rport
Max-Forwards: 70
From: \"Alice\" <sip:alice@192.0.2.10:5060>;tag=1c{serial}
To: <sip:+12015550123@192.0.2.1:5060>;tag={caller_tag}
Call-ID: {serial}@192.0.2.10
CSeq: 1 ACK
Contact: <sip:alice@192.0.2.10:5060>
";

const BYE: &str = "BYE sip:{caller_tag}@192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{serial}-1-7;rport
Max-Forwards: 70
From: \"Alice\" <sip:alice@192.0.2.10:5060>;tag=1c{serial}
To: <sip:+12015550123@192.0.2.1:5060>;tag={caller_tag}
Call-ID: {serial}@192.0.2.10
CSeq: 2 BYE
User-Agent: softphone 1.0 (desk; build 4711) with a name of some length, no matter
";

const BYE_ANSWER: &str = "SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch={branch}
From: \"Alice\" <sip:alice@192.0.2.1:5060>;tag={callee_tag}
To: <sip:+12015550123@198.51.100.7:5060>;tag=gw{serial}
Call-ID: {call_id}
CSeq: 2 BYE
Server: gateway 2.1
";
