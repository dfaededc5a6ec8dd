//! INVITEs that name a dialog which is not there, or is not to be replaced; Target-Dialog; our Contact.

use crate::world::{A, B, C, Line, World, one};

const SEVEN: &str = "sip:7@127.0.0.1";
const EIGHT: &str = "sip:8@127.0.0.1";

fn code(world: &mut World, call_id: &str, more: &str) -> String {
    let sent = world.invite(B, call_id, SEVEN, more);
    let last = sent.last().expect("an answer").clone();
    assert_eq!(last.to.to_string(), B, "{last:?}");
    last.kind().to_owned()
}

#[test]
fn a_dialog_that_is_not_ours_or_not_there_is_481() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", EIGHT);
    let good = a_c.replaces();
    let forged = |from: &str, to: &str| good.replace(from, to);
    for (n, value) in [
        "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff".to_owned(),
        forged("1-b;", "1-c;"),
        forged(&format!("from-tag={}", a_c.local_tag()), "from-tag=guess"),
        forged("to-tag=tpr01", "to-tag=tpr00"),
        forged("to-tag=tpr01", "to-tag=tpr02"),
        forged("to-tag=tpr01000000", "to-tag=tpr01000009"),
    ]
    .iter()
    .enumerate()
    {
        let more = format!("Replaces: {value}\r\n");
        assert_eq!(code(&mut world, &format!("0-{n}"), &more), "481", "{value}");
    }
    assert_eq!(world.sum(|it| it.dialogs_not_found), 6);
    world.hang_up(&mut c);
    world.assert_idle();
}

#[test]
fn what_names_a_dialog_badly_is_400() {
    let mut world = World::new(1);
    let (mut a_c, _) = world.connect(A, "0-b", EIGHT);
    let good = a_c.replaces();
    for (n, more) in [
        format!("Replaces: {good}\r\nReplaces: {good}\r\n"),
        format!("Replaces: {good}, {good}\r\n"),
        format!("Replaces: {good}\r\nJoin: {good}\r\n"),
        format!("Join: {good}\r\nJoin: {good}\r\n"),
        "Replaces: 0-b;to-tag=x\r\n".to_owned(),
        "Join: ;to-tag=x;from-tag=y\r\n".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(code(&mut world, &format!("0-{n}"), more), "400", "{more}");
    }
    // RFC 3891 3: in no other request than an INVITE.
    let more = format!("Replaces: {good}\r\n");
    one(&world.request(&mut a_c, "INFO", &more), "400");
    one(&world.outside("OPTIONS", B, "0-x", SEVEN, &more), "400");
    world.hang_up(&mut a_c);
    world.assert_idle();
}

#[test]
fn a_confirmed_dialog_is_486_when_only_an_early_one_was_meant() {
    let mut world = World::new(1);
    let (mut a_c, _) = world.connect(A, "0-b", EIGHT);
    let more = format!("Replaces: {};early-only\r\n", a_c.replaces());
    assert_eq!(code(&mut world, "0-c", &more), "486");
    world.hang_up(&mut a_c);
    world.assert_idle();
}

#[test]
fn a_dialog_that_is_just_over_is_603() {
    let mut world = World::new(1);
    let (mut a_c, _) = world.connect(A, "0-b", EIGHT);
    let bye = one(&world.request(&mut a_c, "BYE", ""), "BYE");
    let more = format!("Replaces: {}\r\n", a_c.replaces());
    assert_eq!(code(&mut world, "0-c", &more), "603");
    world.answer(&bye, "200 OK", "");
    assert_eq!(code(&mut world, "0-d", &more), "481", "nobody remembers it");
    world.assert_idle();
}

#[test]
fn an_early_dialog_is_replaced_at_the_one_who_began_it_and_nowhere_else() {
    let mut world = World::new(1);
    let invite = one(&world.invite(A, "0-a", EIGHT, ""), "INVITE");
    let ringing = one(&world.answer(&invite, "180 Ringing", "ring"), "180");
    // To A the router is the callee: RFC 3891 3 has it answer 481.
    let a = Line::of_caller(&ringing);
    let more = format!("Replaces: {}\r\n", a.replaces());
    assert_eq!(code(&mut world, "0-b", &more), "481");
    // C rings, and somebody else picks up: A replaces its own INVITE.
    let c = Line::of_callee(&invite, "ring");
    let more = format!("Replaces: {};early-only\r\n", c.replaces());
    let picked = one(&world.invite(B, "0-c", SEVEN, &more), "INVITE");
    assert_eq!(picked.to.to_string(), A);
    let (to, from) = (a.local_tag(), a.remote_tag());
    let expected = format!("0-a;to-tag={to};from-tag={from};early-only");
    assert_eq!(picked.value("Replaces"), expected);
    let (_, mut fresh) = world.pick_up(&picked);
    let over = one(&world.answer(&invite, "486 Busy", "ring"), "486");
    assert_eq!(over.to.to_string(), A);
    world.hang_up(&mut fresh);
    world.assert_idle();
}

#[test]
fn our_contact_leads_to_the_other_end_and_a_target_dialog_is_mapped() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", EIGHT);
    let (to, from) = (a_c.remote_tag(), a_c.local_tag());
    let good = format!("1-b;local-tag={to};remote-tag={from}");
    let own = format!(
        "{};local-tag={};remote-tag={}",
        c.call_id,
        c.local_tag(),
        c.remote_tag()
    );
    for (n, (uri, more, to, expected)) in [
        (a_c.target.as_str(), String::new(), C, ""),
        (&a_c.target, format!("Target-Dialog: {good}\r\n"), C, &own),
        (SEVEN, format!("Target-Dialog: {good}\r\n"), C, &own),
        // RFC 4538 4: one that names none is ignored.
        (SEVEN, format!("Target-Dialog: x{good}\r\n"), B, ""),
        (
            SEVEN,
            "Target-Dialog: x;local-tag=1;remote-tag=2\r\n".to_owned(),
            B,
            "",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let invite = one(&world.invite(B, &format!("0-{n}"), uri, &more), "INVITE");
        assert_eq!(invite.to.to_string(), to, "{uri} {more}");
        assert_eq!(invite.value("Target-Dialog"), expected, "{uri} {more}");
        world.answer(&invite, "488 No", "x");
        world.seconds(40);
    }
    world.hang_up(&mut c);
    let gone = world.invite(B, "0-gone", &a_c.target, "");
    assert_eq!(gone.last().expect("an answer").kind(), "404");
    world.assert_idle();
}
