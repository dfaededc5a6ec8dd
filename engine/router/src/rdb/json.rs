//! JSON with places: arrays and objects cut into values that still point into the file.
//!
//! Nothing here knows the fields of a record.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The elements of the array that the file is.
pub(super) fn elements(json: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::from_str(json)
}

/// The fields of an object in file order. `None`: it is not an object.
pub(super) fn fields(value: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Fields<'_>>(value.get())
        .ok()
        .map(|fields| fields.0)
}

/// Byte offset in the file of a value that was cut from it.
pub(super) fn offset(json: &str, value: &RawValue) -> usize {
    (value.get().as_ptr() as usize).saturating_sub(json.as_ptr() as usize)
}

/// Whether the value is `null`, which in Go leaves a field as it was.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// The value as text for a message, cut when long.
pub(super) fn shown(value: &RawValue) -> String {
    const SHOWN_MAX: usize = 40;
    let text = value.get();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // As many as a record has.
        let mut fields = Vec::with_capacity(9);
        while let Some((Key(name), value)) = map.next_entry()? {
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place() {
        let json = r#"[ {"a": 1, "b\n" : "x" } , null ]"#;
        let elements = elements(json).unwrap();
        assert_eq!(offset(json, elements[0]), 2);
        assert!(is_null(elements[1]) && fields(elements[1]).is_none());
        let fields = fields(elements[0]).unwrap();
        assert_eq!(fields[1].0, "b\n");
        assert_eq!(&json[offset(json, fields[1].1)..][..3], "\"x\"");
    }

    #[test]
    fn long_values_are_cut() {
        let json = format!("[\"{}\"]", "ä".repeat(100));
        assert_eq!(shown(elements(&json).unwrap()[0]).chars().count(), 43);
    }
}
