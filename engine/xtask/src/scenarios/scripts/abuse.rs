//! Senders who ask too much or for the wrong things, and those beside them who must not notice.

use super::Stage;
use crate::agent::Agent;
use crate::failure::{Failure, check};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long is waited for an answer that may not come.
const WAIT: Duration = Duration::from_millis(300);
/// How long the shards have to tell each other of a ban.
const TOLD: Duration = Duration::from_millis(100);
/// Requests in a row none of which a test should need.
const MANY: usize = 60;
/// A number no routing record leads to.
const UNROUTED: &str = "999";

/// An agent at another address of the loopback network: another source.
fn agent_at(stage: &Stage<'_>, last: u8) -> Result<Agent, Failure> {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Agent::bind("stranger", ip, stage.router.address)
}

/// The code of the final answer to a new request; 0 when none comes.
fn ask(agent: &Agent, method: &'static str, user: &str, extra: &str) -> Result<u16, Failure> {
    let mut request = agent.request(method, user);
    request.extra = extra.to_owned();
    agent.send(&request)?;
    let answered = |m: &crate::sip::Message| m.branch() == request.branch && m.code() >= Some(200);
    while let Some(message) = agent.receive(WAIT)? {
        if answered(&message) {
            if method == "INVITE" {
                agent.acknowledge(&request, &message)?;
            }
            return Ok(message.code().unwrap_or_default());
        }
    }
    Ok(0)
}

fn expect_code(agent: &Agent, method: &'static str, extra: &str, code: u16) -> Result<(), Failure> {
    // OPTIONS without a user is for the router itself.
    let user = if method == "OPTIONS" { "" } else { UNROUTED };
    let got = ask(agent, method, user, extra)?;
    check(got == code, || {
        format!(
            "{method} of {} with {extra:?} got {got}, not {code}",
            agent.address
        )
    })
}

/// Calls numbers that lead nowhere until that is answered no more; returns how many were.
fn earn_ban(agent: &Agent, number: impl Fn(usize) -> String) -> Result<usize, Failure> {
    for tried in 0..MANY {
        match ask(agent, "INVITE", &number(tried), "")? {
            404 => {}
            0 => {
                std::thread::sleep(TOLD);
                return Ok(tried);
            }
            code => {
                return Err(Failure::Check(format!(
                    "{code} for a number that leads nowhere"
                )));
            }
        }
    }
    Err(Failure::Check(format!(
        "{MANY} numbers that lead nowhere brought no ban"
    )))
}

/// Beyond its rate a source's calls get 503, while its neighbour's are taken as ever.
pub(super) fn rate_limited(stage: &Stage<'_>) -> Result<(), Failure> {
    let (hasty, neighbour) = (agent_at(stage, 66)?, agent_at(stage, 67)?);
    let invites: Vec<_> = (0..MANY)
        .map(|_| hasty.request("INVITE", UNROUTED))
        .collect();
    invites.iter().try_for_each(|invite| hasty.send(invite))?;
    let mut codes = [0, 0];
    for _ in &invites {
        let answer = hasty.expect("an answer", |m| m.code() >= Some(200))?;
        match answer.code() {
            Some(404) => codes[0] += 1,
            Some(503) if !answer.header("Retry-After").is_empty() => codes[1] += 1,
            _ => return Err(Failure::Check(format!("got {:?}", answer.start))),
        }
    }
    check(codes[0] >= 3 && codes[1] > MANY / 2, || {
        format!("404 and 503: {codes:?}")
    })?;
    expect_code(&neighbour, "INVITE", "", 404)
}

/// A second ban lasts twice as long as the first, on every shard; the log tells.
pub(super) fn ban_grows(stage: &Stage<'_>) -> Result<(), Failure> {
    let (bad, neighbour) = (agent_at(stage, 66)?, agent_at(stage, 67)?);
    for _ in 0..2 {
        earn_ban(&bad, |_| UNROUTED.to_owned())?;
        // With different Call-IDs they reach different shards.
        for _ in 0..4 {
            expect_code(&bad, "OPTIONS", "", 0)?;
        }
        expect_code(&neighbour, "OPTIONS", "", 200)?;
        let over = (0..MANY).find_map(|_| match ask(&bad, "OPTIONS", "", "") {
            Ok(0) => None,
            other => Some(other),
        });
        check(matches!(over, Some(Ok(200))), || {
            format!("after the ban: {over:?}")
        })?;
    }
    let log = stage.log()?;
    for seconds in [3, 6] {
        let told = log.lines().any(|line| {
            line.contains("source banned")
                && line.contains("127.0.0.66/32")
                && line.contains(&format!("seconds={seconds} "))
        });
        check(told, || format!("no ban of {seconds} s in the log"))?;
    }
    Ok(())
}

/// What names itself like a scanner gets nothing; a telephone at the same address does.
pub(super) fn scanner_dropped(stage: &Stage<'_>) -> Result<(), Failure> {
    let agent = agent_at(stage, 66)?;
    expect_code(&agent, "OPTIONS", "User-Agent: friendly-scanner\r\n", 0)?;
    expect_code(&agent, "INVITE", "User-Agent: SIPVicious 0.3\r\n", 0)?;
    expect_code(&agent, "REGISTER", "User-Agent: sundayddr\r\n", 0)?;
    expect_code(&agent, "OPTIONS", "User-Agent: a telephone\r\n", 200)
}

/// What names itself like a scanner gets 603.
pub(super) fn scanner_declined(stage: &Stage<'_>) -> Result<(), Failure> {
    let agent = agent_at(stage, 66)?;
    expect_code(&agent, "OPTIONS", "User-Agent: friendly-scanner\r\n", 603)?;
    expect_code(&agent, "INVITE", "User-Agent: my-own-tool/1\r\n", 603)?;
    expect_code(&agent, "OPTIONS", "", 200)
}

/// Who calls many numbers in vain is banned, but the call it has goes on to its end; who calls one wrong
/// number again and again is not.
pub(super) fn number_probing(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let probed = earn_ban(&call.caller, |tried| format!("9{tried:03}"))?;
    check((3..20).contains(&probed), || {
        format!("{probed} numbers were tried")
    })?;
    let patient = agent_at(stage, 67)?;
    for _ in 0..20 {
        expect_code(&patient, "INVITE", "", 404)?;
    }
    call.hang_up()
}

/// Nothing is read from a denied network, but for the allowed one in it, which is never banned. A reload
/// opens what was closed.
pub(super) fn allow_deny(stage: &Stage<'_>) -> Result<(), Failure> {
    let (denied, allowed, other) = (
        agent_at(stage, 66)?,
        agent_at(stage, 67)?,
        agent_at(stage, 99)?,
    );
    expect_code(&denied, "OPTIONS", "", 0)?;
    for _ in 0..10 {
        expect_code(&allowed, "INVITE", "", 404)?;
    }
    earn_ban(&other, |_| UNROUTED.to_owned())?;
    let path = stage.directory.join("tipring.toml");
    let what = || format!("cannot change {}", path.display());
    let config = std::fs::read_to_string(&path).map_err(Failure::machine(what()))?;
    let open = config.replace("127.0.0.64/28", "198.51.100.0/28");
    check(open != config, || "the configuration denies nothing".into())?;
    std::fs::write(&path, open).map_err(Failure::machine(what()))?;
    stage
        .router
        .reload(&stage.scenario.rdb(stage.callee).to_string())?;
    expect_code(&denied, "OPTIONS", "", 200)
}
