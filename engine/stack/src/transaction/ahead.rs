//! Reading ahead of the timers: a transaction that ends has lain untouched for half a minute, and its
//! parts are nowhere near the core. Those of many are fetched at once, so that the core waits for memory
//! once and not for each. Nothing here changes anything.

use std::hint::black_box;

use smallvec::SmallVec;

use super::Transactions;
use super::alarms::AHEAD;
use crate::Time;

impl<U: Copy> Transactions<U> {
    /// When the next timer due at `now` heads a long queue: reads the transactions that it and those
    /// behind it name, and then what those point to. Each of the two rounds is free of dependencies.
    pub(super) fn read_ahead(&mut self, now: Time) {
        let mut servers = SmallVec::<[(u32, u64); AHEAD]>::new();
        let mut acks = SmallVec::<[u32; AHEAD]>::new();
        for alarm in self.alarms.look_ahead(now) {
            let id = alarm.id();
            if alarm.wake().is_client() {
                acks.extend(self.clients.glance(id));
            } else {
                servers.extend(self.servers.glance(id).map(|hash| (id.slot, hash)));
            }
        }
        let mut found = 0;
        for (slot, hash) in servers {
            found += usize::from(self.servers.is_listed(slot, hash));
        }
        for slot in acks {
            found += usize::from(self.acks.at(slot).is_some());
        }
        black_box(found);
    }
}
