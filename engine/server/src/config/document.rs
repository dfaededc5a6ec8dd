//! A TOML text read into a Rust value with every mistake found, not only the first. A key whose value
//! cannot be read is noted, set aside, and the rest is read again. What the keys mean stands in
//! `schema`; nothing here knows them.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::Fault;

/// A parsed text that remembers where each key stands.
pub(crate) struct Document<'t> {
    root: Spanned<DeTable<'t>>,
}

/// One step from a table or an array to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl<'t> Document<'t> {
    /// Parses the text; its syntax errors when it has any.
    pub(crate) fn parse(text: &'t str) -> Result<Document<'t>, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        match errors.is_empty() {
            true => Ok(Document { root }),
            false => Err(errors.iter().map(syntax_fault).collect()),
        }
    }

    /// Reads the text as a `T`, with every key that does not fit. Only without faults is the `T` what
    /// the operator meant.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self) -> (T, Vec<Fault>) {
        let mut rest = self.root.clone();
        let mut faults = Vec::new();
        let mut set_aside: Vec<String> = Vec::new();
        loop {
            let error = match T::deserialize(toml::de::Deserializer::from(rest.clone())) {
                Ok(value) => return (value, faults),
                Err(error) => error,
            };
            let place = error
                .span()
                .and_then(|span| locate_in_table(rest.get_ref(), &span));
            let original = error
                .span()
                .and_then(|span| locate_in_table(self.root.get_ref(), &span));
            let key = original.as_deref().map(name_of).unwrap_or_default();
            // A key that was set aside is missing now, which is no new mistake.
            let known = |name: &String| set_aside.contains(&join(&key, name));
            if !missing_field(error.message()).as_ref().is_some_and(known) {
                let message = in_plain_words(error.message());
                faults.push(Fault {
                    span: error.span(),
                    key: key.clone(),
                    message,
                });
            }
            set_aside.push(key);
            match place {
                Some(place) => remove(rest.get_mut(), &place),
                None => return (T::default(), faults),
            }
        }
    }

    /// Where a key like `listen[0].address` stands, or else the nearest table around it.
    pub(crate) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.find(key).map(|(span, _)| span)
    }

    /// Where the value of a key stands; `None` when the text does not have that very key.
    pub(crate) fn span_of_value(&self, key: &str) -> Option<Range<usize>> {
        self.find(key)
            .filter(|(_, exact)| *exact)
            .map(|(span, _)| span)
    }

    /// The place of a key or of what is around it, and whether it is the key's own.
    fn find(&self, key: &str) -> Option<(Range<usize>, bool)> {
        let mut found = None;
        let mut steps = steps_of(key).into_iter();
        let Some(Step::Key(first)) = steps.next() else {
            return None;
        };
        let mut value = self.root.get_ref().get(first.as_str());
        while let Some(here) = value {
            value = match steps.next() {
                Some(Step::Key(key)) => here.get_ref().get(key.as_str()),
                Some(Step::Index(index)) => here.get_ref().get(index),
                None => return Some((here.span(), true)),
            };
            found = Some((here.span(), false));
        }
        found
    }
}

fn syntax_fault(error: &toml::de::Error) -> Fault {
    let message = format!("this is not TOML: {}", error.message().replace('\n', ", "));
    Fault {
        span: error.span(),
        key: String::new(),
        message,
    }
}

/// The key `span` points at: the one written there, or the innermost whose value holds it. The span
/// of a `[table]` is its header only, so children are looked at before their parent.
fn locate_in_table(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let step = |key: &Spanned<DeString<'_>>| Step::Key(key.get_ref().to_string());
    if let Some((key, _)) = table.iter().find(|(key, _)| holds(&key.span(), span)) {
        return Some(vec![step(key)]);
    }
    table
        .iter()
        .find_map(|(key, value)| locate_in_value(value, span, step(key)))
}

fn locate_in_value(
    value: &Spanned<DeValue<'_>>,
    span: &Range<usize>,
    step: Step,
) -> Option<Vec<Step>> {
    let inner = match value.get_ref() {
        DeValue::Table(table) => locate_in_table(table, span),
        DeValue::Array(array) => (array.iter().enumerate())
            .find_map(|(index, value)| locate_in_value(value, span, Step::Index(index))),
        _ => None,
    };
    let here = || holds(&value.span(), span).then(Vec::new);
    inner.or_else(here).map(|mut steps| {
        steps.insert(0, step);
        steps
    })
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Removes what `place` leads to. An array element's place is closed up.
fn remove(table: &mut DeTable<'_>, place: &[Step]) {
    let Some((Step::Key(key), rest)) = place.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.remove(key.as_str());
    } else if let Some(value) = table.get_mut(key.as_str()) {
        remove_from_value(value.get_mut(), rest);
    }
}

fn remove_from_value(value: &mut DeValue<'_>, place: &[Step]) {
    match (value, place) {
        (DeValue::Table(table), _) => remove(table, place),
        (DeValue::Array(array), [Step::Index(index)]) if *index < array.len() => {
            let rest = array.clone().into_iter().enumerate();
            *array = rest
                .filter(|(at, _)| at != index)
                .map(|(_, value)| value)
                .collect();
        }
        (DeValue::Array(array), [Step::Index(index), rest @ ..]) => {
            if let Some(value) = array.get_mut(*index) {
                remove_from_value(value.get_mut(), rest);
            }
        }
        _ => {}
    }
}

fn name_of(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |name, step| match step {
        Step::Key(key) => join(&name, key),
        Step::Index(index) => format!("{name}[{index}]"),
    })
}

fn join(parent: &str, key: &str) -> String {
    match parent {
        "" => key.to_owned(),
        parent => format!("{parent}.{key}"),
    }
}

fn steps_of(key: &str) -> Vec<Step> {
    key.split(['.', '['])
        .map(
            |part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
                Some(index) => Step::Index(index),
                None => Step::Key(part.to_owned()),
            },
        )
        .collect()
}

fn missing_field(message: &str) -> Option<String> {
    let name = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some(name.to_owned())
}

/// serde names Rust types; an operator is told what to write.
fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected a string", "expected a text in quotes"),
        ("expected path string", "expected a text in quotes"),
        ("expected a sequence", "expected a list in [ ]"),
        ("expected string or table", "expected a text in quotes"),
        ("unknown field ", "unknown key "),
        ("unknown variant ", "unknown word "),
        ("missing field ", "missing key "),
    ];
    WORDS.iter().fold(message.to_owned(), |text, (from, to)| {
        text.replace(from, to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Root {
        number: u8,
        list: Vec<Item>,
        inner: Inner,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        word: String,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        name: String,
        class: u8,
    }

    fn read(text: &str) -> (Root, Vec<(String, String)>) {
        let document = Document::parse(text).expect("TOML");
        let (root, faults) = document.read::<Root>();
        let shown = |fault: Fault| {
            let place = fault
                .span
                .map(|span| text[span].to_owned())
                .unwrap_or_default();
            (format!("{} @ {place}", fault.key), fault.message)
        };
        (root, faults.into_iter().map(shown).collect())
    }

    #[test]
    fn a_good_text_is_read_whole() {
        let (root, faults) =
            read("number = 1\n[inner]\nword = 'w'\n[[list]]\nname = 'n'\nclass = 2");
        assert_eq!(faults, []);
        assert_eq!(
            root.list,
            [Item {
                name: "n".into(),
                class: 2
            }]
        );
        assert_eq!((root.number, root.inner.word.as_str()), (1, "w"));
    }

    #[test]
    fn every_mistake_is_found_in_one_reading() {
        let text = "number = 300\nnumbr = 1\n[inner]\nword = 1\n[[list]]\nname = 'n'\nclass = 'x'\n\
                    [[list]]\nname = 'm'\n[[list]]\nclass = 1\nname = 1\n";
        let (_, faults) = read(text);
        let found: Vec<String> = faults
            .iter()
            .map(|(place, message)| format!("{place}: {message}"))
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        inner.word @ 1: invalid type: integer `1`, expected a text in quotes
        list[0].class @ 'x': invalid type: string "x", expected a whole number from 0 to 255
        list[1] @ [[list]]: missing key `class`
        list[2].name @ 1: invalid type: integer `1`, expected a text in quotes
        number @ 300: invalid value: integer `300`, expected a whole number from 0 to 255
        numbr @ numbr: unknown key `numbr`, expected one of `number`, `list`, `inner`
        "#);
    }

    #[test]
    fn an_unknown_table_is_one_mistake_however_deep() {
        let (_, faults) = read("[strange.table.below]\nx = 1\n");
        let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["strange @ strange"]);
    }

    #[test]
    fn a_key_is_found_or_what_is_around_it() {
        let text = "number = 1\n[[list]]\nname = 'a'\n[[list]]\nname = 'b'\n";
        let document = Document::parse(text).expect("TOML");
        let at = |key: &str| document.span_of(key).map(|span| (span.start, &text[span]));
        assert_eq!(at("number"), Some((9, "1")));
        assert_eq!(at("list[1].name"), Some((47, "'b'")));
        assert_eq!(at("list[1].class"), Some((31, "[[list]]")));
        assert_eq!(at("absent"), None);
        let value = |key: &str| document.span_of_value(key).map(|span| &text[span]);
        assert_eq!(value("list[1].name"), Some("'b'"));
        assert_eq!(value("list[1].class"), None);
        assert_eq!(value("list[2].name"), None);
    }
}
