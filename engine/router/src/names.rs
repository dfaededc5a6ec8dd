//! Host names and their addresses, as the resolver told them: a small cache with waiting lists. A name
//! is asked for once, however many calls wait for it. Looking names up is the server's business.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use stack::Time;

/// An answer is remembered at least this long, so that a name with a TTL of 0 is not asked for by
/// every call, and at most the second value, so that a wrong TTL cannot pin an address for days.
const REMEMBERED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// A failed look-up is not repeated before this time (RFC 2308 allows far more).
const FAILURE_REMEMBERED: Duration = Duration::from_secs(3);

type Addresses = SmallVec<[IpAddr; 2]>;

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It has this address: the first in the resolver's order.
    Found(IpAddr),
    /// The resolver has no address for it.
    Failed,
    /// The resolver has been asked; whoever waits will be told.
    Asked,
    /// The table is full of names that are still waited for.
    Full,
}

#[derive(Debug)]
enum State<W> {
    Asked(Vec<W>),
    Known(Addresses, Time),
}

/// The cache. `W` is what waits for a name.
#[derive(Debug)]
pub(crate) struct Names<W> {
    names: HashMap<String, State<W>, FixedState>,
    questions: VecDeque<String>,
    limit: usize,
}

impl<W> Names<W> {
    pub(crate) fn new(seed: u64, limit: usize) -> Names<W> {
        let names = HashMap::with_hasher(FixedState::with_seed(seed));
        Names {
            names,
            questions: VecDeque::new(),
            limit,
        }
    }

    /// The address of `host`; when it is not known, asks for it once. Follow [`Lookup::Asked`] with
    /// [`Names::wait`] to be told.
    pub(crate) fn find(&mut self, now: Time, host: &str) -> Lookup {
        match self.names.get(host) {
            Some(State::Asked(_)) => return Lookup::Asked,
            Some(State::Known(addresses, until)) if *until > now => {
                return addresses
                    .first()
                    .map_or(Lookup::Failed, |&address| Lookup::Found(address));
            }
            _ => {}
        }
        if self.names.len() >= self.limit && !self.forget_expired(now) {
            return Lookup::Full;
        }
        self.names.insert(host.to_owned(), State::Asked(Vec::new()));
        self.questions.push_back(host.to_owned());
        Lookup::Asked
    }

    /// Puts `waiter` on the list of a name that has been asked for.
    pub(crate) fn wait(&mut self, host: &str, waiter: W) {
        if let Some(State::Asked(waiters)) = self.names.get_mut(host) {
            waiters.push(waiter);
        }
    }

    /// The resolver's answer; returns who waited for it.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        host: &str,
        addresses: &[IpAddr],
        ttl: Duration,
    ) -> Vec<W> {
        let keep = if addresses.is_empty() {
            FAILURE_REMEMBERED
        } else {
            ttl.clamp(REMEMBERED.0, REMEMBERED.1)
        };
        let known = State::Known(Addresses::from_slice(addresses), now + keep);
        match self
            .names
            .get_mut(host)
            .map(|state| std::mem::replace(state, known))
        {
            Some(State::Asked(waiters)) => waiters,
            // An answer nobody asked for, or a second one: it was stored if the name is ours.
            _ => Vec::new(),
        }
    }

    /// The next name to look up.
    pub(crate) fn poll_question(&mut self) -> Option<String> {
        self.questions.pop_front()
    }

    fn forget_expired(&mut self, now: Time) -> bool {
        self.names
            .retain(|_, state| !matches!(state, State::Known(_, until) if *until <= now));
        if self.names.len() >= self.limit {
            // Still full: any remembered answer may go, it can be asked for again.
            self.names
                .retain(|_, state| matches!(state, State::Asked(_)));
        }
        self.names.len() < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9));

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_name_is_asked_for_once_and_told_to_all() {
        let mut names = Names::new(1, 10);
        assert_eq!(names.find(at(0), "a.example"), Lookup::Asked);
        names.wait("a.example", 1);
        assert_eq!(names.find(at(0), "a.example"), Lookup::Asked);
        names.wait("a.example", 2);
        assert_eq!(names.poll_question().as_deref(), Some("a.example"));
        assert_eq!(names.poll_question(), None);
        let told = names.answer(at(1), "a.example", &[ADDRESS], Duration::from_secs(60));
        assert_eq!(told, [1, 2]);
        assert_eq!(names.find(at(2), "a.example"), Lookup::Found(ADDRESS));
        assert_eq!(names.find(at(62), "a.example"), Lookup::Asked);
    }

    #[test]
    fn a_failure_is_remembered_for_a_short_time() {
        let mut names = Names::<()>::new(1, 10);
        names.find(at(0), "b.example");
        names.answer(at(0), "b.example", &[], Duration::from_secs(600));
        assert_eq!(names.find(at(1), "b.example"), Lookup::Failed);
        assert_eq!(names.find(at(4), "b.example"), Lookup::Asked);
    }

    #[test]
    fn at_the_limit_remembered_names_give_way_and_waited_for_ones_stay() {
        let mut names = Names::<()>::new(1, 2);
        names.find(at(0), "a.example");
        names.answer(at(0), "a.example", &[ADDRESS], Duration::from_secs(60));
        names.find(at(0), "b.example");
        assert_eq!(names.find(at(0), "c.example"), Lookup::Asked);
        assert_eq!(names.find(at(0), "d.example"), Lookup::Full);
    }
}
