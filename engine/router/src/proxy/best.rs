//! The choice of the one final response that goes back when no branch succeeded (RFC 3261 16.7 steps 6
//! and 7).

use stack::pool::Block;
use stack::{Outbox, ServerId, Time};
use wire::HeaderName;
use wire::print::Policy;

use super::back::Heard;
use super::{CHALLENGED, RESPONSE};
use crate::call::Refusal;
use crate::core::Core;

/// The best final response so far.
#[derive(Debug, Default)]
pub(super) struct Best {
    held: Option<(u16, Held)>,
    /// The challenges of every 401 and 407, complete header lines.
    challenges: Vec<u8>,
}

/// What goes back when nothing better comes.
#[derive(Debug)]
enum Held {
    /// A response that came, as it is passed back.
    Theirs(Block),
    /// An answer of ours.
    Ours(Refusal),
}

impl Best {
    /// A branch ended without a response, or with one that is not passed on.
    pub(super) fn consider_own(&mut self, core: &mut Core, code: u16, cancelled: bool) {
        let refusal = Refusal::code(told(code));
        self.consider_unsent(core, code, refusal, cancelled);
    }

    /// A branch did not begin, or has ended, for a reason that counts as `code` and is told so.
    pub(super) fn consider_unsent(
        &mut self,
        core: &mut Core,
        code: u16,
        refusal: Refusal,
        cancelled: bool,
    ) {
        if self.is_better(code, cancelled) {
            self.hold(core, code, Held::Ours(refusal));
        }
    }

    /// A branch got this final response.
    pub(super) fn consider(&mut self, core: &mut Core, heard: Heard<'_, '_>, cancelled: bool) {
        let policy = match heard.code() {
            503 => return self.consider_own(core, 503, cancelled),
            401 | 407 => &CHALLENGED,
            _ => &RESPONSE,
        };
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            if matches!(heard.code(), 401 | 407) {
                self.challenges.extend(heard.lines(name).flatten());
            }
        }
        self.consider_as(core, heard, policy, b"", cancelled);
    }

    /// The same with other headers: those that `policy` lets pass, and `extra`.
    pub(super) fn consider_as(
        &mut self,
        core: &mut Core,
        heard: Heard<'_, '_>,
        policy: &Policy,
        extra: &[u8],
        cancelled: bool,
    ) {
        let code = heard.code();
        if self.is_better(code, cancelled) {
            let mut text = core.scratch();
            heard.print(core, &mut text, policy, extra);
            let block = core.pool.store(&text);
            core.return_scratch(text);
            self.hold(core, code, Held::Theirs(block));
        }
    }

    fn is_better(&self, code: u16, cancelled: bool) -> bool {
        let held = self.held.as_ref();
        held.is_none_or(|(held, _)| rank(code, cancelled) < rank(*held, cancelled))
    }

    fn hold(&mut self, core: &mut Core, code: u16, held: Held) {
        self.release(core);
        self.held = Some((code, held));
    }

    /// What the client is told when no branch has ever begun.
    pub(super) fn into_refusal(self, core: &mut Core) -> Refusal {
        match self.held {
            Some((_, Held::Ours(refusal))) => refusal,
            Some((code, Held::Theirs(text))) => {
                core.pool.release(text);
                Refusal::code(code)
            }
            None => Refusal::code(408),
        }
    }

    /// Sends it.
    pub(super) fn send(&mut self, core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
        match self.held.take() {
            Some((code, Held::Theirs(text))) => {
                self.forward(core, now, server, code, text.as_slice(), out);
                core.pool.release(text);
            }
            Some((_, Held::Ours(refusal))) if !refusal.phrase.is_empty() => {
                core.refuse_with(now, server, &refusal, out);
            }
            Some((_, Held::Ours(refusal))) => {
                core.refuse(now, server, refusal.code, &refusal.extra, out);
            }
            None => core.refuse(now, server, 408, b"", out),
        }
    }

    /// The challenges of the others stand behind its status line.
    fn forward(
        &self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        code: u16,
        text: &[u8],
        out: &mut Outbox,
    ) {
        let line = text.iter().position(|&byte| byte == b'\n');
        let (status, rest) = text
            .split_at_checked(line.map_or(0, |end| end + 1))
            .unwrap_or((text, b""));
        let print = |out: &mut Vec<u8>| {
            out.extend_from_slice(status);
            if matches!(code, 401 | 407) {
                out.extend_from_slice(&self.challenges);
            }
            out.extend_from_slice(rest);
        };
        core.transactions.forward(now, server, code, print, out);
    }

    /// Gives back what it holds.
    pub(super) fn release(&mut self, core: &mut Core) {
        if let Some((_, Held::Theirs(text))) = self.held.take() {
            core.pool.release(text);
        }
    }
}

/// RFC 3261 16.7 step 6: a 503 is not passed on, it would speak of us.
pub(super) fn told(code: u16) -> u16 {
    match code {
        503 => 500,
        code => code,
    }
}

/// The place of a code: the lower the better. RFC 3261 16.7 step 6: a 6xx before all, then the lowest class,
/// in it what tells how to ask again. What only says that one branch was not reached comes last.
/// `cancelled`: by the client, who waits for the 487.
fn rank(code: u16, cancelled: bool) -> u16 {
    let within = match code {
        487 if cancelled => 0,
        401 | 407 | 415 | 420 | 484 => 1,
        404 | 410 | 480 | 604 => 3,
        408 | 487 | 503 => 4,
        _ => 2,
    };
    let class = match code / 100 {
        6 => 0,
        class => class,
    };
    10 * class + within
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_of(codes: &[u16], cancelled: bool) -> u16 {
        let mut codes: Vec<u16> = codes.to_vec();
        codes.sort_by_key(|code| rank(*code, cancelled));
        codes.first().copied().unwrap_or_default()
    }

    #[test]
    fn the_lowest_class_wins_and_a_6xx_wins_over_all() {
        for (codes, best) in [
            (&[404, 302, 503][..], 302),
            (&[503, 500], 500),
            (&[302, 603], 603),
            (&[404, 486], 486),
            (&[408, 404], 404),
            (&[486, 407], 407),
            (&[486, 484], 484),
            (&[500, 408], 408),
            (&[487, 486], 486),
        ] {
            assert_eq!(best_of(codes, false), best, "{codes:?}");
        }
        assert_eq!(best_of(&[486, 487, 407], true), 487);
    }
}
