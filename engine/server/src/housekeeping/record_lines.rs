//! The record of a call as a line of text: a JSON object, or the columns of a CSV file (RFC 4180).

use std::time::SystemTime;

use serde::Serialize;
use shard::{CallRecord, LegRecord, StreamRecord};
use stack::Time;

use super::stamp::rfc3339;
use crate::config::RecordFormat;
use crate::peers::PeerTable;

/// The engine's clock and the wall's, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) wall: SystemTime,
    pub(super) engine: Time,
}

impl Clocks {
    /// What the wall clock showed then, as it goes now.
    fn at(&self, time: Time) -> String {
        let wall = match time <= self.engine {
            true => self.wall - self.engine.duration_since(time),
            false => self.wall + time.duration_since(self.engine),
        };
        rfc3339(wall)
    }
}

/// What stands at the begin of each file.
pub(super) fn head(format: RecordFormat) -> String {
    match format {
        RecordFormat::Json => String::new(),
        RecordFormat::Csv => format!("{}\r\n", COLUMNS.join(",")),
    }
}

/// Appends the line of a record.
pub(super) fn write(
    out: &mut Vec<u8>,
    format: RecordFormat,
    record: &CallRecord,
    clocks: &Clocks,
    peers: &PeerTable,
) {
    let line = Line::of(record, clocks, peers);
    match format {
        RecordFormat::Json => {
            // A value of strings and numbers, into memory: neither can fail.
            let _ = serde_json::to_writer(&mut *out, &line);
            out.push(b'\n');
        }
        RecordFormat::Csv => {
            let columns = line.columns().map(|column| quoted(&column));
            out.extend_from_slice(columns.join(",").as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    setup: String,
    ring: Option<String>,
    answer: Option<String>,
    end: String,
    /// From the answer to the end.
    duration_ms: u64,
    ended_by: &'static str,
    reason: &'a str,
    code: u16,
    cause: u8,
    route: &'a str,
    why: &'a str,
    transfers: u32,
    caller: Leg<'a>,
    callee: Option<Leg<'a>>,
    media: Vec<Stream>,
}

#[derive(Default, Serialize)]
struct Leg<'a> {
    call_id: &'a str,
    from: &'a str,
    to: &'a str,
    request_uri: &'a str,
    address: Option<String>,
    peer: Option<&'a str>,
}

#[derive(Serialize)]
struct Stream {
    line: usize,
    caller: Direction,
    callee: Direction,
}

/// What one party sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Direction {
    packets: u64,
    bytes: u64,
    lost: u64,
    jitter_ms: f32,
    mos: Option<f32>,
}

impl From<&media::Reception> for Direction {
    fn from(reception: &media::Reception) -> Direction {
        Direction {
            packets: reception.packets,
            bytes: reception.bytes,
            lost: reception.lost,
            jitter_ms: hundredths(reception.jitter_ms),
            mos: reception.mos.map(hundredths),
        }
    }
}

/// More digits would say more than was measured.
fn hundredths(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

impl<'a> Line<'a> {
    fn of(record: &'a CallRecord, clocks: &Clocks, peers: &'a PeerTable) -> Line<'a> {
        let duration = |answered| record.ended.duration_since(answered).as_millis() as u64;
        Line {
            id: &record.id,
            setup: clocks.at(record.began),
            ring: record.rang.map(|time| clocks.at(time)),
            answer: record.answered.map(|time| clocks.at(time)),
            end: clocks.at(record.ended),
            duration_ms: record.answered.map_or(0, duration),
            ended_by: record.ended_by.name(),
            reason: &record.reason,
            code: record.code,
            cause: record.cause,
            route: &record.route,
            why: &record.why,
            transfers: record.transfers,
            caller: Leg::of(&record.caller, peers),
            callee: record.callee.as_ref().map(|leg| Leg::of(leg, peers)),
            media: record.media.iter().map(Stream::of).collect(),
        }
    }

    fn columns(&self) -> [String; COLUMNS.len()] {
        let text = |value: &str| value.to_owned();
        let maybe = |value: &Option<String>| value.clone().unwrap_or_default();
        let nobody = Leg::default();
        let (caller, callee) = (&self.caller, self.callee.as_ref().unwrap_or(&nobody));
        let [by_caller, by_callee] = self.directions();
        let [heard, said] = [by_caller, by_callee].map(Direction::columns);
        let [caller_packets, caller_lost, caller_jitter, caller_mos] = heard;
        let [callee_packets, callee_lost, callee_jitter, callee_mos] = said;
        [
            text(self.id),
            text(&self.setup),
            maybe(&self.ring),
            maybe(&self.answer),
            text(&self.end),
            self.duration_ms.to_string(),
            text(self.ended_by),
            text(self.reason),
            self.code.to_string(),
            self.cause.to_string(),
            text(self.route),
            text(self.why),
            self.transfers.to_string(),
            text(caller.call_id),
            text(caller.from),
            text(caller.to),
            text(caller.request_uri),
            maybe(&caller.address),
            text(caller.peer.unwrap_or_default()),
            text(callee.call_id),
            text(callee.from),
            text(callee.to),
            text(callee.request_uri),
            maybe(&callee.address),
            text(callee.peer.unwrap_or_default()),
            self.media.len().to_string(),
            caller_packets,
            caller_lost,
            caller_jitter,
            caller_mos,
            callee_packets,
            callee_lost,
            callee_jitter,
            callee_mos,
        ]
    }

    /// All streams together: packets and losses are added, of jitter and quality the worst counts.
    fn directions(&self) -> [Direction; 2] {
        let mut both = [Direction::default(); 2];
        for stream in &self.media {
            both = [both[0].with(&stream.caller), both[1].with(&stream.callee)];
        }
        both
    }
}

impl Direction {
    fn with(self, other: &Direction) -> Direction {
        let worse = |one: f32, other: f32| one.min(other);
        Direction {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            lost: self.lost + other.lost,
            jitter_ms: self.jitter_ms.max(other.jitter_ms),
            mos: match (self.mos, other.mos) {
                (Some(one), Some(other)) => Some(worse(one, other)),
                (one, other) => one.or(other),
            },
        }
    }

    fn columns(self) -> [String; 4] {
        [
            self.packets.to_string(),
            self.lost.to_string(),
            self.jitter_ms.to_string(),
            self.mos.map_or_else(String::new, |mos| mos.to_string()),
        ]
    }
}

impl<'a> Leg<'a> {
    fn of(leg: &'a LegRecord, peers: &'a PeerTable) -> Leg<'a> {
        Leg {
            call_id: &leg.call_id,
            from: &leg.from,
            to: &leg.to,
            request_uri: &leg.request_uri,
            address: leg.address.map(|address| address.to_string()),
            peer: leg.address.and_then(|address| peers.name(address.ip())),
        }
    }
}

impl Stream {
    fn of(stream: &StreamRecord) -> Stream {
        Stream {
            line: stream.line,
            caller: Direction::from(&stream.summary.from_caller),
            callee: Direction::from(&stream.summary.from_callee),
        }
    }
}

/// The columns of a CSV file.
const COLUMNS: [&str; 34] = [
    "id",
    "setup",
    "ring",
    "answer",
    "end",
    "duration_ms",
    "ended_by",
    "reason",
    "code",
    "cause",
    "route",
    "why",
    "transfers",
    "caller_call_id",
    "caller_from",
    "caller_to",
    "caller_request_uri",
    "caller_address",
    "caller_peer",
    "callee_call_id",
    "callee_from",
    "callee_to",
    "callee_request_uri",
    "callee_address",
    "callee_peer",
    "streams",
    "caller_packets",
    "caller_lost",
    "caller_jitter_ms",
    "caller_mos",
    "callee_packets",
    "callee_lost",
    "callee_jitter_ms",
    "callee_mos",
];

/// A field of a CSV file. RFC 4180 2: one with a quote, a comma or a line end stands in quotes, in which each
/// quote is doubled.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use shard::EndedBy;

    fn leg(call_id: &str, from: &str) -> LegRecord {
        LegRecord {
            call_id: call_id.to_owned(),
            from: from.to_owned(),
            to: "<sip:100@b>".to_owned(),
            request_uri: "sip:100@b".to_owned(),
            address: "192.0.2.7:5060".parse().ok(),
        }
    }

    fn second(second: u64) -> Time {
        Time::from_nanos(second * 1_000_000_000)
    }

    fn record() -> CallRecord {
        let reception = media::Reception {
            packets: 50,
            bytes: 8_600,
            lost: 1,
            jitter_ms: 1.234_5,
            mos: Some(4.321),
            ..media::Reception::default()
        };
        CallRecord {
            id: "0".repeat(32),
            caller: leg("one", "\"Al, \"\" B\" <sip:al@a>;tag=1"),
            callee: Some(leg("two", "<sip:al@b>")),
            route: "^1".to_owned(),
            why: "record 0".to_owned(),
            began: second(10),
            rang: Some(second(11)),
            answered: Some(second(12)),
            ended: second(15),
            ended_by: EndedBy::Callee,
            reason: "line\nend".to_owned(),
            code: 200,
            cause: 16,
            transfers: 0,
            media: vec![StreamRecord {
                line: 0,
                summary: media::Summary {
                    from_caller: reception,
                    ..media::Summary::default()
                },
            }],
        }
    }

    fn written(format: RecordFormat, record: &CallRecord) -> String {
        let clocks = Clocks {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_020),
            engine: second(20),
        };
        let mut out = Vec::new();
        write(&mut out, format, record, &clocks, &PeerTable::new(&[]));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_record_is_one_json_object_a_line() {
        let text = written(RecordFormat::Json, &record());
        assert_eq!(
            (text.matches('\n').count(), text.ends_with("}\n")),
            (1, true)
        );
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["setup"], "2001-09-09T01:46:50.000Z");
        assert_eq!(json["end"], "2001-09-09T01:46:55.000Z");
        assert_eq!(
            (&json["duration_ms"], &json["cause"]),
            (&3_000.into(), &16.into())
        );
        assert_eq!(json["ended_by"], "callee");
        assert_eq!(json["caller"]["from"], "\"Al, \"\" B\" <sip:al@a>;tag=1");
        assert_eq!(json["media"][0]["caller"]["packets"], 50);
        assert!(json["media"][0]["callee"]["mos"].is_null());
        let refused = CallRecord {
            callee: None,
            rang: None,
            answered: None,
            ..record()
        };
        let json: serde_json::Value =
            serde_json::from_str(&written(RecordFormat::Json, &refused)).expect("JSON");
        assert!(json["callee"].is_null() && json["answer"].is_null());
        assert_eq!(json["duration_ms"], 0);
    }

    #[test]
    fn what_would_break_a_csv_line_stands_in_quotes() {
        let text = written(RecordFormat::Csv, &record());
        let fields = fields(text.strip_suffix("\r\n").expect("a line end"));
        assert_eq!(fields.len(), COLUMNS.len());
        let of = |name: &str| {
            let at = COLUMNS.iter().position(|column| *column == name);
            fields[at.expect("a column")].as_str()
        };
        assert_eq!(of("caller_from"), "\"Al, \"\" B\" <sip:al@a>;tag=1");
        assert_eq!(of("reason"), "line\nend");
        assert_eq!((of("duration_ms"), of("callee_call_id")), ("3000", "two"));
        assert_eq!((of("caller_jitter_ms"), of("caller_mos")), ("1.23", "4.32"));
        assert_eq!((of("callee_packets"), of("callee_mos")), ("0", ""));
    }

    /// The fields of one line, as a reader of RFC 4180 finds them.
    fn fields(line: &str) -> Vec<String> {
        let (mut fields, mut quoted) = (vec![String::new()], false);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let field = fields.last_mut().expect("a field");
            match (letter, quoted) {
                ('"', true) if letters.peek() == Some(&'"') => field.extend(letters.next()),
                ('"', _) => quoted = !quoted,
                (',', false) => fields.push(String::new()),
                (letter, _) => field.push(letter),
            }
        }
        fields
    }
}
