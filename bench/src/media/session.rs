//! How the calls come to their relay's ports: told in advance (the floor), by SIP through the router, or by rtpengine's control
//! protocol. Afterwards all of them are a list of addresses to send to.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::io::interrupted;
use crate::load::{Load, LoadOptions};
use crate::media::ng::{Client, Words};
use crate::media::relay::Layout;
use crate::media::sdp::{self, Remote};
use crate::schedule::Schedule;
use crate::tally::Tally;

/// The last call may take this long to be answered, or to end.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Pause between two looks at the SIP sockets while calls are built up and ended.
const PAUSE: Duration = Duration::from_micros(200);

/// Where one party of a call sends, and on which of its lanes it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) remote: Remote,
    pub(crate) lane: usize,
}

/// Routes of the callers and of the callees, as many of each.
pub(crate) type Routes = [Vec<Route>; 2];

/// What keeps the calls up.
pub(crate) enum Session {
    /// Nothing.
    Floor,
    /// Their dialogs.
    Sip(Box<Load>, f64),
    /// rtpengine's memory of them.
    Rtpengine(Client, usize),
}

/// The calls over the floor.
pub(crate) fn over_floor(layout: &Layout) -> (Session, Routes) {
    let route = |party: usize| {
        let routes = (0..layout.calls).map(|call| Route {
            remote: layout.remotes(call)[party],
            lane: usize::from(call),
        });
        routes.collect()
    };
    (Session::Floor, [route(0), route(1)])
}

/// Sets calls up by SIP, `rate` a second.
///
/// # Errors
/// Not every call was answered with a stream for both sides.
pub(crate) fn by_sip(
    options: &LoadOptions,
    calls: u64,
    rate: f64,
) -> io::Result<(Session, Routes)> {
    let mut load = Box::new(Load::open(options)?);
    let mut starts = Schedule::new(load.now_ns(), rate, calls);
    let deadline_ns = load.now_ns() + (calls as f64 / rate * 1e9) as u64 + PATIENCE_NS;
    let is_up = |tally: &Tally| tally.answered + tally.failed >= calls;
    while !interrupted() && !is_up(&load.counted.tally) && load.now_ns() < deadline_ns {
        load.turn(&mut starts, &mut Schedule::none())?;
        std::thread::sleep(PAUSE);
    }
    let routes = load.heard().map(|heard| {
        let route = |heard: &sdp::Heard| Route {
            remote: heard.remote,
            lane: heard.socket,
        };
        heard.iter().map(route).collect::<Vec<_>>()
    });
    if routes.iter().any(|routes| routes.len() as u64 != calls) {
        let (answered, offered, tally) = (routes[0].len(), routes[1].len(), &load.counted.tally);
        return Err(io::Error::other(format!(
            "of {calls} calls {offered} reached the callee with a stream and {answered} were answered with one; failures: {:?}",
            tally.failures
        )));
    }
    Ok((Session::Sip(load, rate), routes))
}

/// Sets calls up by rtpengine's control protocol; `media` are the RTP addresses of callers and callees.
pub(crate) fn by_ng(
    server: SocketAddr,
    calls: usize,
    media: &[Vec<SocketAddr>; 2],
) -> io::Result<(Session, Routes)> {
    let mut client = Client::new(server)?;
    let mut routes = [Vec::with_capacity(calls), Vec::with_capacity(calls)];
    for number in 0..calls {
        let call = call_name(number);
        // An offer comes from the caller and gives the callee's port; the answer the other way.
        for (party, command) in ["offer", "answer"].into_iter().enumerate() {
            let addresses = &media[party];
            let local = addresses.get(number % addresses.len().max(1));
            let sdp = sdp::print(*local.ok_or_else(|| io::Error::other("no media address"))?);
            let words = Words {
                command,
                call: &call,
                sdp: &sdp,
            };
            let answer = client.ask(&words)?;
            let remote = answer.get("sdp").and_then(sdp::read);
            let remote = remote.ok_or_else(|| io::Error::other("rtpengine names no port"))?;
            routes[1 - party].push(Route {
                remote,
                lane: number,
            });
        }
    }
    Ok((Session::Rtpengine(client, calls), routes))
}

/// Whether every packet would go to one of the relay's media ports. A server that leaves the parties' own addresses in their
/// descriptions relays nothing, and would look very cheap.
pub(crate) fn goes_through(routes: &Routes, ports: &RangeInclusive<u16>) -> bool {
    let mut remotes = routes.iter().flatten().map(|route| route.remote);
    remotes.all(|remote| {
        [remote.rtp, remote.rtcp]
            .iter()
            .all(|address| ports.contains(&address.port()))
    })
}

fn call_name(number: usize) -> String {
    format!("bench-{}-{number}", std::process::id())
}

impl Session {
    /// Answers what the server says about the calls meanwhile.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        if let Session::Sip(load, _) = self {
            load.turn(&mut Schedule::none(), &mut Schedule::none())?;
        }
        Ok(())
    }

    /// Ends every call: how many did not end as they should.
    pub(crate) fn end(self) -> io::Result<u64> {
        match self {
            Session::Floor => Ok(0),
            Session::Sip(load, rate) => end_dialogs(*load, rate),
            Session::Rtpengine(mut client, calls) => {
                for number in 0..calls {
                    let call = call_name(number);
                    let words = Words {
                        command: "delete",
                        call: &call,
                        sdp: "",
                    };
                    client.ask(&words)?;
                }
                Ok(0)
            }
        }
    }
}

fn end_dialogs(mut load: Load, rate: f64) -> io::Result<u64> {
    let total = load.live() as u64;
    let mut releases = Schedule::new(load.now_ns(), rate, total);
    let deadline_ns = load.now_ns() + (total as f64 / rate * 1e9) as u64 + PATIENCE_NS;
    while load.live() > 0 && load.now_ns() < deadline_ns {
        load.turn(&mut Schedule::none(), &mut releases)?;
        std::thread::sleep(PAUSE);
    }
    load.abandon();
    Ok(load.counted.tally.failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Hold;

    #[test]
    fn caller_and_callee_without_a_server_hear_of_each_others_media() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let callee = std::net::UdpSocket::bind(address(0)).unwrap();
        let target = callee.local_addr().unwrap();
        drop(callee);
        let media = [vec![address(6_000), address(6_002)], vec![address(7_000)]];
        let options = LoadOptions {
            target,
            callers: 2,
            callees: vec![target],
            local: target.ip(),
            user: "1###".into(),
            hold: Hold::UntilReleased,
            segment: false,
            tick: Duration::ZERO,
            calls_max: 100,
            warmup: Duration::ZERO,
            media,
        };
        let (mut session, routes) = by_sip(&options, 10, 10_000.0).unwrap();
        session.serve().unwrap();
        assert!(routes[0].iter().all(|r| r.remote.rtp == address(7_000)));
        let mut offered: Vec<u16> = routes[1].iter().map(|r| r.remote.rtp.port()).collect();
        offered.sort_unstable();
        assert_eq!(offered, [[6_000; 5], [6_002; 5]].concat());
        assert_eq!(session.end().unwrap(), 0);
    }

    #[test]
    fn media_that_goes_past_the_relay_is_seen() {
        let route = |rtp: u16, rtcp: u16| Route {
            remote: Remote {
                rtp: SocketAddr::from(([127, 0, 0, 1], rtp)),
                rtcp: SocketAddr::from(([127, 0, 0, 1], rtcp)),
            },
            lane: 0,
        };
        let through = |callee| goes_through(&[vec![route(10, 11)], vec![callee]], &(10..=19));
        assert!(through(route(12, 13)));
        assert!(!through(route(40, 41)));
        assert!(!through(route(18, 41)));
    }

    #[test]
    fn calls_that_nobody_answers_are_an_error() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        // A server that is there and says nothing: its queue takes the INVITEs.
        let silent = std::net::UdpSocket::bind(address(0)).unwrap();
        let mut load = Load::open(&LoadOptions {
            target: silent.local_addr().unwrap(),
            callers: 1,
            callees: vec![address(0)],
            local: address(0).ip(),
            user: "1###".into(),
            hold: Hold::UntilReleased,
            segment: false,
            tick: Duration::ZERO,
            calls_max: 100,
            warmup: Duration::ZERO,
            media: [vec![address(6_000)], vec![address(7_000)]],
        })
        .unwrap();
        let now_ns = load.now_ns();
        let mut starts = Schedule::new(now_ns, 1e9, 3);
        load.turn(&mut starts, &mut Schedule::none()).unwrap();
        assert!(load.heard().iter().all(|heard| heard.is_empty()));
        assert_eq!(load.live(), 3);
    }
}
