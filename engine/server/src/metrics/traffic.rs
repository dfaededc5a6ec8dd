//! The tables of SIP messages by kind and direction, and of media streams that have ended.

use super::{Metric, count, kind};

const REQUESTS_IN: &str = "SIP requests received, retransmissions among them, by method.";
const REQUESTS_OUT: &str = "SIP requests sent, retransmissions among them, by method.";
const RESPONSES_IN: &str =
    "SIP responses received, retransmissions among them, by class of status.";
const RESPONSES_OUT: &str = "SIP responses sent, retransmissions among them, by class of status.";

macro_rules! requests {
    ($name:literal, $help:ident, $direction:ident, $method:ident, $label:literal) => {
        kind($name, ("method", $label), $help, |s| {
            s.shard.traffic.$direction.requests[wire::Method::$method as usize]
        })
    };
    ($name:literal, $help:ident, $direction:ident) => {
        [
            requests!($name, $help, $direction, Invite, "INVITE"),
            requests!($name, $help, $direction, Ack, "ACK"),
            requests!($name, $help, $direction, Bye, "BYE"),
            requests!($name, $help, $direction, Cancel, "CANCEL"),
            requests!($name, $help, $direction, Options, "OPTIONS"),
            requests!($name, $help, $direction, Register, "REGISTER"),
            requests!($name, $help, $direction, Prack, "PRACK"),
            requests!($name, $help, $direction, Update, "UPDATE"),
            requests!($name, $help, $direction, Info, "INFO"),
            requests!($name, $help, $direction, Message, "MESSAGE"),
            requests!($name, $help, $direction, Subscribe, "SUBSCRIBE"),
            requests!($name, $help, $direction, Notify, "NOTIFY"),
            requests!($name, $help, $direction, Refer, "REFER"),
            requests!($name, $help, $direction, Publish, "PUBLISH"),
            requests!($name, $help, $direction, Other, "other"),
        ]
    };
}

macro_rules! responses {
    ($name:literal, $help:ident, $direction:ident, $class:literal, $label:literal) => {
        kind($name, ("class", $label), $help, |s| {
            s.shard.traffic.$direction.responses[$class]
        })
    };
    ($name:literal, $help:ident, $direction:ident) => {
        [
            responses!($name, $help, $direction, 0, "1xx"),
            responses!($name, $help, $direction, 1, "2xx"),
            responses!($name, $help, $direction, 2, "3xx"),
            responses!($name, $help, $direction, 3, "4xx"),
            responses!($name, $help, $direction, 4, "5xx"),
            responses!($name, $help, $direction, 5, "6xx"),
        ]
    };
}

/// What only grows.
pub(super) const COUNTERS: [&[Metric]; 5] = [
    &requests!("tipring_sip_requests_received_total", REQUESTS_IN, received),
    &requests!("tipring_sip_requests_sent_total", REQUESTS_OUT, sent),
    &responses!(
        "tipring_sip_responses_received_total",
        RESPONSES_IN,
        received
    ),
    &responses!("tipring_sip_responses_sent_total", RESPONSES_OUT, sent),
    &[
        count(
            "tipring_media_ended_packets_total",
            "RTP and udptl packets received on streams that have ended since.",
            |s| s.shard.streams_ended.packets,
        ),
        count(
            "tipring_media_ended_lost_total",
            "Packets that never came on those, by sequence numbers.",
            |s| s.shard.streams_ended.lost,
        ),
        count(
            "tipring_media_ended_directions_total",
            "Directions of streams that have ended and had packets: two for an ordinary call.",
            |s| s.shard.streams_ended.directions,
        ),
        count(
            "tipring_media_ended_jitter_microseconds_total",
            "The greatest interarrival jitter of each of those, added up: divided by their number it is the mean.",
            |s| s.shard.streams_ended.jitter_max_us,
        ),
    ],
];
