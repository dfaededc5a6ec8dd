//! What a REGISTER does to the bindings of an address-of-record (RFC 3261 10.3 steps 6 and 7): all that it asks for, or
//! nothing.

use super::{Binding, Edit, Edits, Refused, Update};

/// The bindings after the update; `None` when it changes nothing.
///
/// # Errors
/// `OutOfOrder` when a later REGISTER was here before, `TooManyContacts` when more than `contacts_max` would be left.
pub(super) fn apply(
    bindings: &[Binding],
    update: &Update,
    contacts_max: usize,
) -> Result<Option<Vec<Binding>>, Refused> {
    match &update.edits {
        Edits::Fetch => Ok(None),
        Edits::RemoveAll => {
            in_order(bindings.iter(), update)?;
            Ok((!bindings.is_empty()).then(Vec::new))
        }
        Edits::Contacts(edits) => edit(bindings, update, edits, contacts_max),
    }
}

fn edit(
    bindings: &[Binding],
    update: &Update,
    edits: &[Edit],
    contacts_max: usize,
) -> Result<Option<Vec<Binding>>, Refused> {
    // Judged by what was there before: of a contact that is named twice the last word counts.
    let named = |it: &&Binding| edits.iter().any(|edit| is_same(it, &edit.binding));
    in_order(bindings.iter().filter(named), update)?;
    let mut left = bindings.to_vec();
    let mut changed = false;
    for Edit { binding, remove } in edits {
        let before = left.len();
        left.retain(|it| !is_same(it, binding));
        changed |= left.len() < before || !remove;
        if !remove {
            left.push(binding.clone());
        }
    }
    // Whoever has more than are allowed now may still have fewer.
    if left.len() > contacts_max.max(bindings.len()) {
        return Err(Refused::TooManyContacts);
    }
    Ok(changed.then_some(left))
}

/// RFC 3261 10.3 steps 6 and 7: with the Call-ID of a binding the CSeq must be higher than the binding's.
fn in_order<'b>(
    mut bindings: impl Iterator<Item = &'b Binding>,
    update: &Update,
) -> Result<(), Refused> {
    let late = |it: &Binding| it.call_id == update.call_id && it.cseq >= update.cseq;
    match bindings.any(late) {
        true => Err(Refused::OutOfOrder),
        false => Ok(()),
    }
}

/// Whether a contact names this binding. RFC 5626 6: one with an instance and a reg-id does by these, whatever its URI
/// is; any other by its URI (RFC 3261 19.1.4), and it names no flow.
fn is_same(binding: &Binding, contact: &Binding) -> bool {
    match (flow_of(binding), flow_of(contact)) {
        (None, None) => wire::equivalent(&binding.contact, &contact.contact),
        (held, named) => held == named,
    }
}

fn flow_of(binding: &Binding) -> Option<(&[u8], u32)> {
    Some((binding.instance.as_deref()?, binding.reg_id?))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{binding, update};
    use super::*;

    fn contacts(bindings: &[Binding]) -> Vec<String> {
        let text = |it: &Binding| String::from_utf8_lossy(&it.contact).into_owned();
        bindings.iter().map(text).collect()
    }

    fn applied(bindings: &[Binding], update: &Update) -> Vec<String> {
        let after = apply(bindings, update, 3).expect("in order");
        contacts(&after.expect("a change"))
    }

    fn flow(contact: &str, instance: &str, reg_id: Option<u32>) -> Binding {
        Binding {
            instance: Some(instance.as_bytes().into()),
            reg_id,
            ..binding(contact)
        }
    }

    fn one(binding: Binding, cseq: u32) -> Update {
        let edit = Edit {
            binding,
            remove: false,
        };
        Update {
            edits: Edits::Contacts(vec![edit]),
            ..update("a", ("call", cseq), &[])
        }
    }

    #[test]
    fn contacts_are_added_refreshed_and_removed() {
        let held = [binding("sip:a@1"), binding("sip:a@2")];
        let refresh = update("a", ("call", 2), &[("sip:a@1;x=1", 9)]);
        assert_eq!(applied(&held, &refresh), ["sip:a@2", "sip:a@1;x=1"]);
        let both = update("a", ("call", 2), &[("sip:a@3", 9), ("sip:a@2", 0)]);
        assert_eq!(applied(&held, &both), ["sip:a@1", "sip:a@3"]);
        let unknown = update("a", ("call", 2), &[("sip:a@9", 0)]);
        assert_eq!(apply(&held, &unknown, 3), Ok(None));
    }

    #[test]
    fn one_late_contact_fails_them_all() {
        let held = [binding("sip:a@1"), binding("sip:a@2")];
        let late = update("a", ("call", 1), &[("sip:a@3", 9), ("sip:a@2", 9)]);
        assert_eq!(apply(&held, &late, 3), Err(Refused::OutOfOrder));
        // A contact of its own, and another Call-ID, are no question of order.
        let new = update("a", ("call", 1), &[("sip:a@3", 9)]);
        assert_eq!(applied(&held, &new), ["sip:a@1", "sip:a@2", "sip:a@3"]);
        let other = update("a", ("other", 1), &[("sip:a@1", 0)]);
        assert_eq!(applied(&held, &other), ["sip:a@2"]);
    }

    #[test]
    fn a_contact_that_is_named_twice_counts_once() {
        let twice = update("a", ("call", 2), &[("sip:a@1", 5), ("sip:a@1", 9)]);
        let after = apply(&[binding("sip:a@1")], &twice, 1).unwrap().unwrap();
        assert_eq!(contacts(&after), ["sip:a@1"]);
        assert_eq!(after[0].expires, super::super::samples::at(9));
    }

    #[test]
    fn all_are_removed_by_a_star_that_is_in_order() {
        let held = [binding("sip:a@1"), binding("sip:a@2")];
        let star = |call_id, cseq| Update {
            edits: Edits::RemoveAll,
            ..update("a", (call_id, cseq), &[])
        };
        assert_eq!(apply(&held, &star("call", 2), 3), Ok(Some(Vec::new())));
        assert_eq!(apply(&held, &star("other", 1), 3), Ok(Some(Vec::new())));
        assert_eq!(apply(&held, &star("call", 1), 3), Err(Refused::OutOfOrder));
        assert_eq!(apply(&[], &star("call", 1), 3), Ok(None));
    }

    #[test]
    fn there_are_no_more_contacts_than_allowed() {
        let held = [binding("sip:a@1"), binding("sip:a@2")];
        let third = update("a", ("call", 2), &[("sip:a@3", 9)]);
        assert_eq!(apply(&held, &third, 2), Err(Refused::TooManyContacts));
        let swap = update("a", ("call", 2), &[("sip:a@3", 9), ("sip:a@1", 0)]);
        assert_eq!(contacts(&apply(&held, &swap, 1).unwrap().unwrap()).len(), 2);
    }

    #[test]
    fn a_flow_is_known_by_its_instance_and_number() {
        let held = [flow("sip:a@1", "i", Some(1)), binding("sip:a@1")];
        let moved = one(flow("sip:a@9", "i", Some(1)), 2);
        assert_eq!(applied(&held, &moved), ["sip:a@1", "sip:a@9"]);
        let second = one(flow("sip:a@1", "i", Some(2)), 1);
        assert_eq!(applied(&held, &second).len(), 3);
        // RFC 5626 6: an instance alone is no flow.
        let alone = one(flow("sip:a@1", "i", None), 2);
        let after = apply(&held, &alone, 3).unwrap().unwrap();
        assert_eq!((after[0].reg_id, after[1].reg_id), (Some(1), None));
        assert_eq!(after.len(), 2);
    }
}
