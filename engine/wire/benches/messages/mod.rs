//! The messages the benchmarks read and print.

/// An INVITE with a session description as softphones and trunks send it, 734 bytes.
pub(crate) fn invite() -> Vec<u8> {
    let body = "v=0\r\n\
        o=alice 53655765 2353687637 IN IP4 192.0.2.10\r\n\
        s=-\r\n\
        c=IN IP4 192.0.2.10\r\n\
        t=0 0\r\n\
        m=audio 49170 RTP/AVP 0 8 101\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=sendrecv\r\n";
    let text = format!(
        "INVITE sip:+12015550123@192.0.2.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1-0;rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@192.0.2.10:5060>;tag=1c1234567\r\n\
         To: <sip:+12015550123@192.0.2.1:5060>\r\n\
         Call-ID: 1-17284@192.0.2.10\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:alice@192.0.2.10:5060>\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\n\
         User-Agent: softphone 1.0 (desk; build 4711) with a name of some length, no matter\r\n\
         Supported: timer, replaces, 100rel\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\
         \r\n\
         {body}",
        body.len()
    );
    text.into_bytes()
}
