//! The proxy with one target: what is inside a dialog, what makes none, loops, timer C.

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::sip::Message;

/// Record-Route lines of a request, for its answer.
pub(super) fn recorded(request: &Message) -> String {
    let line = |value| format!("Record-Route: {value}\r\n");
    request.all("Record-Route").map(line).collect()
}

/// A request of the caller in the dialog of `answer`, on the route set it made (RFC 3261 12.1.2).
pub(super) fn in_dialog(
    caller: &Agent,
    method: &'static str,
    invite: &Request,
    answer: &Message,
) -> Request {
    let mut routes: Vec<&str> = answer.all("Record-Route").collect();
    routes.reverse();
    let extra = routes.iter().map(|it| format!("Route: {it}\r\n"));
    Request {
        extra: extra.collect(),
        ..caller.in_dialog(method, invite, answer)
    }
}

/// The caller's ACK for a 2xx.
pub(super) fn acknowledge(
    caller: &Agent,
    invite: &Request,
    answer: &Message,
) -> Result<(), Failure> {
    caller.send(&Request {
        cseq: invite.cseq,
        ..in_dialog(caller, "ACK", invite, answer)
    })
}

/// The caller hangs up through the proxy.
pub(super) fn hang_up(
    (caller, callee): (&Agent, &Agent),
    invite: &Request,
    answer: &Message,
) -> Result<(), Failure> {
    let bye = in_dialog(caller, "BYE", invite, answer);
    caller.send(&bye)?;
    let seen = callee.expect_request("BYE")?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// A call that the callee answers; the INVITE and its 200.
fn connect(
    stage: &Stage<'_>,
    (caller, callee): (&Agent, &Agent),
) -> Result<(Request, Message), Failure> {
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    callee.answer_with(&seen, 200, CALLEE_TAG, &recorded(&seen), crate::agent::SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    acknowledge(caller, &invite, &answer)?;
    callee.expect_request("ACK")?;
    Ok((invite, answer))
}

/// A pager message crosses without a dialog.
pub(super) fn message(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let message = caller.request("MESSAGE", stage.number());
    caller.send(&message)?;
    let seen = callee.expect_request("MESSAGE")?;
    check(seen.all("Via").count() == 2, || {
        format!("not the Vias of a proxied request: {:?}", seen.headers)
    })?;
    check(seen.header("Call-ID") == message.call_id, || {
        "another Call-ID".into()
    })?;
    callee.answer(&seen, 202, CALLEE_TAG, "")?;
    let answer = caller.expect_answer(&message, 202)?;
    check(answer.all("Via").count() == 1, || {
        "our Via is still there".into()
    })
}

/// PRACK goes from end to end: the proxy is in the path of the early dialog.
pub(super) fn prack(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = Request {
        extra: "Supported: 100rel\r\n".into(),
        ..caller.invite(stage.number())
    };
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    let extra = format!("{}Require: 100rel\r\nRSeq: 17\r\n", recorded(&seen));
    callee.answer_with(&seen, 183, CALLEE_TAG, &extra, crate::agent::SDP)?;
    let early = caller.expect_provisional(&invite, 183)?;
    let mut prack = in_dialog(&caller, "PRACK", &invite, &early);
    prack.extra += "RAck: 17 1 INVITE\r\n";
    caller.send(&prack)?;
    let acknowledged = callee.expect_request("PRACK")?;
    check(acknowledged.header("RAck") == "17 1 INVITE", || {
        format!("RAck {:?}", acknowledged.header("RAck"))
    })?;
    callee.answer(&acknowledged, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&prack, 200)?;
    callee.answer_with(&seen, 200, CALLEE_TAG, &recorded(&seen), "")?;
    let answer = caller.expect_answer(&invite, 200)?;
    acknowledge(&caller, &invite, &answer)?;
    callee.expect_request("ACK")?;
    hang_up((&caller, &callee), &invite, &answer)
}

/// A strict router before us put us into the Request-URI; one behind us wants to be there.
pub(super) fn strict_route(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let (invite, answer) = connect(stage, (&caller, &callee))?;
    let own = answer.header("Record-Route").to_owned();
    let target = answer.target().to_owned();
    let info = Request {
        uri: own.trim_matches(['<', '>']).to_owned(),
        extra: format!("Route: <{target}>\r\n"),
        ..caller.in_dialog("INFO", &invite, &answer)
    };
    caller.send(&info)?;
    let seen = callee.expect_request("INFO")?;
    check(
        seen.uri() == target && seen.header("Route").is_empty(),
        || format!("{} with Route {:?}", seen.start, seen.header("Route")),
    )?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&info, 200)?;
    // The callee is the strict router now: the target behind it is the last Route.
    let bye = Request {
        uri: "sip:beyond@192.0.2.99".into(),
        extra: format!("Route: {own}, <{target}>\r\n"),
        ..caller.in_dialog("BYE", &invite, &answer)
    };
    caller.send(&bye)?;
    let seen = callee.expect_request("BYE")?;
    check(seen.uri() == target, || seen.start.clone())?;
    check(seen.header("Route") == "<sip:beyond@192.0.2.99>", || {
        format!("Route {:?}", seen.header("Route"))
    })?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// The callee sends the INVITE back as it got it: a loop.
pub(super) fn looped(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    let vias = seen.all("Via").map(|via| format!("Via: {via}\r\n"));
    let back = Request {
        extra: vias.collect(),
        from: seen.header("From").to_owned(),
        to: seen.header("To").to_owned(),
        call_id: seen.header("Call-ID").to_owned(),
        ..callee.invite(stage.number())
    };
    callee.send(&back)?;
    let refused = callee.expect_answer(&back, 482)?;
    callee.acknowledge(&back, &refused)?;
    callee.answer(&seen, 486, CALLEE_TAG, "")?;
    let busy = caller.expect_answer(&invite, 486)?;
    caller.acknowledge(&invite, &busy)
}

/// Timer C: who rings for ever is cancelled.
pub(super) fn timer_c(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    callee.answer(&seen, 180, CALLEE_TAG, "")?;
    let cancel = callee.expect_request("CANCEL")?;
    callee.answer(&cancel, 200, CALLEE_TAG, "")?;
    callee.answer(&seen, 487, CALLEE_TAG, "")?;
    let timed_out = caller.expect_answer(&invite, 408)?;
    caller.acknowledge(&invite, &timed_out)
}

/// The router is killed and started again: the call it has never kept goes on, and what a stranger makes of the
/// Route does not.
pub(super) fn survives_restart(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let (invite, answer) = connect(stage, (&caller, &callee))?;
    stage.router.kill_and_restart()?;
    let info = in_dialog(&caller, "INFO", &invite, &answer);
    caller.send(&info)?;
    let seen = callee.expect_request("INFO")?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&info, 200)?;
    let mut foreign = in_dialog(&caller, "INFO", &invite, &answer);
    foreign.call_id = format!("not-{}", foreign.call_id);
    caller.send(&foreign)?;
    caller.expect_answer(&foreign, 481)?;
    hang_up((&caller, &callee), &invite, &answer)
}

/// Another key is put before the one in use: calls that began with the old one go on, as those with the new
/// one do; without the old one only the latter.
pub(super) fn keys_rotate(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let file = stage.directory.join("keys");
    let machine = || Failure::machine("the file of keys");
    let old = std::fs::read_to_string(&file).map_err(machine())?;
    let new = "0123456789abcdef0123456789abcdef";
    let reload = |keys: String| {
        std::fs::write(&file, keys).map_err(machine())?;
        stage
            .router
            .reload(&stage.scenario.rdb(stage.callee).to_string())
    };
    let first = connect(stage, (&caller, &callee))?;
    let second = connect(stage, (&caller, &callee))?;
    reload(format!("{new}\n{old}"))?;
    let third = connect(stage, (&caller, &callee))?;
    hang_up((&caller, &callee), &first.0, &first.1)?;
    reload(format!("{new}\n"))?;
    hang_up((&caller, &callee), &third.0, &third.1)?;
    let bye = in_dialog(&caller, "BYE", &second.0, &second.1);
    caller.send(&bye)?;
    caller.expect_answer(&bye, 481).map(drop)
}

/// The callee is a stranger: it is not told who calls, nor believed who it is. What a proxy cannot hide is
/// refused when it is critical.
pub(super) fn id_before_strangers(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let asserted = "P-Asserted-Identity: <sip:+4930123@carrier.example>\r\n";
    let invite = Request {
        extra: format!("{asserted}Privacy: id\r\nProxy-Require: privacy\r\n"),
        ..caller.invite(stage.number())
    };
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    for hidden in ["P-Asserted-Identity", "Privacy", "Proxy-Require"] {
        let found = seen.header(hidden);
        check(found.is_empty(), || format!("{hidden} is {found:?}"))?;
    }
    callee.answer_with(&seen, 486, CALLEE_TAG, asserted, "")?;
    callee.expect_request("ACK")?;
    let answer = caller.expect_answer(&invite, 486)?;
    let found = answer.header("P-Asserted-Identity");
    check(found.is_empty(), || format!("a stranger's {found:?}"))?;
    caller.acknowledge(&invite, &answer)?;
    let message = Request {
        extra: "Privacy: user;critical\r\n".into(),
        ..caller.request("MESSAGE", stage.number())
    };
    caller.send(&message)?;
    caller.expect_answer(&message, 500).map(drop)
}

/// The callee's server asks for nothing more: calls and messages get 503 here, what is inside a call passes.
pub(super) fn withheld(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let mut seen = callee.expect_request("INVITE")?;
    let offer = ";oc;oc-algo=\"loss\"";
    let load = ";oc=100;oc-algo=\"loss\";oc-validity=10000;oc-seq=1.0";
    let vias = seen.headers.iter_mut().filter(|(name, _)| name == "Via");
    let mut asked = false;
    for (_, via) in vias {
        asked |= via.contains(offer);
        *via = via.replace(offer, load);
    }
    check(asked, || "the INVITE does not ask".into())?;
    callee.answer_with(&seen, 200, CALLEE_TAG, &recorded(&seen), crate::agent::SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    acknowledge(&caller, &invite, &answer)?;
    callee.expect_request("ACK")?;
    let message = caller.request("MESSAGE", stage.number());
    caller.send(&message)?;
    let refused = caller.expect_answer(&message, 503)?;
    check(refused.header("Retry-After").is_empty(), || {
        "RFC 7339 5.10: no Retry-After".into()
    })?;
    hang_up((&caller, &callee), &invite, &answer)
}
