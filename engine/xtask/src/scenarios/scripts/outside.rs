//! Requests outside calls that sipp cannot play: several notifiers of one SUBSCRIBE, silence, and what is said
//! when the router ends.

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// How long a subscription may take to expire.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than 64*T1 where a script waits for it.
const SILENCE: Duration = Duration::from_secs(3);
const EVENT: &str = "Event: presence\r\n";

/// A subscription that its notifier has granted and not yet notified of.
struct Subscribed {
    subscriber: Agent,
    notifier: Agent,
    asked: Request,
    /// The SUBSCRIBE as the notifier has it.
    seen: Message,
    granted: Message,
}

fn subscribe(stage: &Stage<'_>, expires: u32) -> Result<Subscribed, Failure> {
    let (subscriber, notifier) = (stage.caller()?, stage.callee()?);
    let expires = format!("Expires: {expires}\r\n");
    let asked = Request {
        extra: format!("{EVENT}{expires}"),
        ..subscriber.request("SUBSCRIBE", stage.number())
    };
    subscriber.send(&asked)?;
    let seen = notifier.expect_request("SUBSCRIBE")?;
    notifier.answer_with(&seen, 200, CALLEE_TAG, &expires, "")?;
    let granted = subscriber.expect_answer(&asked, 200)?;
    Ok(Subscribed {
        subscriber,
        notifier,
        asked,
        seen,
        granted,
    })
}

impl Subscribed {
    /// A NOTIFY of this agent under this tag.
    fn notify(&self, notifier: &Agent, tag: &str, state: &str) -> Request {
        Request {
            extra: format!("{EVENT}Subscription-State: {state}\r\n"),
            ..notifier.back_in_dialog("NOTIFY", &self.seen, tag)
        }
    }

    /// Such a NOTIFY reaches the subscriber, and its answer the notifier.
    fn notified(&self, notifier: &Agent, tag: &str, state: &str) -> Result<Message, Failure> {
        let notify = self.notify(notifier, tag, state);
        notifier.send(&notify)?;
        let heard = self.subscriber.expect("NOTIFY", |m| {
            m.request_method() == Some("NOTIFY") && m.header("Subscription-State") == state
        })?;
        self.subscriber.answer(&heard, 200, "", "")?;
        notifier.expect_answer(&notify, 200)?;
        Ok(heard)
    }
}

/// A SUBSCRIBE that somebody behind the router forks: each notifier is a dialog of its own to the subscriber,
/// who refreshes the one it wants.
pub(super) fn subscribe_forked(stage: &Stage<'_>) -> Result<(), Failure> {
    let it = subscribe(stage, 600)?;
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 24));
    let fork = Agent::bind("fork", address, stage.router.address)?;
    let first = it.notified(&it.notifier, CALLEE_TAG, "active;expires=600")?;
    let second = it.notified(&fork, "fork-tag", "active;expires=601")?;
    check(first.tag("From") == it.granted.tag("To"), || {
        "the answer and its notifier's NOTIFY are not of one dialog".into()
    })?;
    check(first.tag("From") != second.tag("From"), || {
        "two notifiers in one dialog".into()
    })?;
    let refresh = Request {
        uri: second.target().to_owned(),
        to: second.header("From").to_owned(),
        branch: format!("{}-refresh", it.asked.branch),
        cseq: it.asked.cseq + 1,
        ..it.asked.clone()
    };
    it.subscriber.send(&refresh)?;
    let seen = fork.expect_request("SUBSCRIBE")?;
    check(seen.tag("To") == "fork-tag", || {
        format!("the refresh is of {:?}", seen.header("To"))
    })?;
    fork.answer_with(&seen, 200, "", "Expires: 600\r\n", "")?;
    it.subscriber.expect_answer(&refresh, 200).map(drop)
}

/// Nobody refreshes: a while after what was granted the NOTIFYs get 481.
pub(super) fn subscription_expires(stage: &Stage<'_>) -> Result<(), Failure> {
    let it = subscribe(stage, 1)?;
    it.notified(&it.notifier, CALLEE_TAG, "active;expires=1")?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let notify = it.notify(&it.notifier, CALLEE_TAG, "active");
        it.notifier.send(&notify)?;
        if let Some(heard) = it.subscriber.receive(Duration::from_millis(200))? {
            it.subscriber.answer(&heard, 200, "", "")?;
        }
        if it.notifier.expect_final(&notify)?.code() == Some(481) {
            return Ok(());
        }
    }
    Err(Failure::Timeout("the end of a subscription".into()))
}

/// RFC 4320 4.2: who waits in vain for the answer to a MESSAGE is not told 408. The next one passes.
pub(super) fn message_unanswered(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    caller.send(&caller.request("MESSAGE", stage.number()))?;
    let lost = callee.expect_request("MESSAGE")?;
    let until = Instant::now() + SILENCE;
    while let Some(heard) = caller.receive(until.saturating_duration_since(Instant::now()))? {
        check(heard.code() == Some(100), || {
            format!("heard {:?}", heard.start)
        })?;
    }
    let next = caller.request("MESSAGE", stage.number());
    caller.send(&next)?;
    let seen = callee.expect("the second MESSAGE", |m| {
        m.request_method() == Some("MESSAGE") && m.branch() != lost.branch()
    })?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&next, 200).map(drop)
}

/// A subscription does not hold up the router's end; both of its ends are told.
pub(super) fn subscription_ends_with_router(stage: &Stage<'_>) -> Result<(), Failure> {
    let it = subscribe(stage, 600)?;
    it.notified(&it.notifier, CALLEE_TAG, "active;expires=600")?;
    stage.router.terminate();
    let last = it.subscriber.expect_request("NOTIFY")?;
    let state = last.header("Subscription-State");
    check(state == "terminated;reason=deactivated", || {
        format!("the last NOTIFY says {state:?}")
    })?;
    let unsubscribed = it.notifier.expect_next("SUBSCRIBE", &it.seen)?;
    check(unsubscribed.header("Expires") == "0", || {
        format!("Expires: {}", unsubscribed.header("Expires"))
    })
}
