//! Ready messages with holes of fixed width.

/// What differs from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Of the ends' own making: in their branches, tags and Call-IDs.
    Serial,
    /// The shard's branch towards the callee.
    Branch,
    /// The shard's Call-ID towards the callee.
    CallId,
    /// The shard's tag towards the caller.
    CallerTag,
    /// The shard's tag towards the callee.
    CalleeTag,
}

const FIELDS: [(Field, &str); 5] = [
    (Field::Serial, "{serial}"),
    (Field::Branch, "{branch}"),
    (Field::CallId, "{call_id}"),
    (Field::CallerTag, "{caller_tag}"),
    (Field::CalleeTag, "{callee_tag}"),
];

/// The values of one call. The widths are those of [`stack::Token`]'s text forms.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    serial: [u8; 12],
    branch: [u8; 42],
    call_id: [u8; 36],
    caller_tag: [u8; 35],
    callee_tag: [u8; 35],
}

impl Fields {
    pub(crate) fn new(serial: u64) -> Fields {
        let digit = |at: usize| b"0123456789abcdef"[(serial >> (44 - 4 * at)) as usize & 15];
        Fields {
            serial: std::array::from_fn(digit),
            branch: [b'0'; 42],
            call_id: [b'0'; 36],
            caller_tag: [b'0'; 35],
            callee_tag: [b'0'; 35],
        }
    }

    fn get(&self, field: Field) -> &[u8] {
        match field {
            Field::Serial => &self.serial,
            Field::Branch => &self.branch,
            Field::CallId => &self.call_id,
            Field::CallerTag => &self.caller_tag,
            Field::CalleeTag => &self.callee_tag,
        }
    }

    pub(crate) fn get_mut(&mut self, field: Field) -> &mut [u8] {
        match field {
            Field::Serial => &mut self.serial,
            Field::Branch => &mut self.branch,
            Field::CallId => &mut self.call_id,
            Field::CallerTag => &mut self.caller_tag,
            Field::CalleeTag => &mut self.callee_tag,
        }
    }
}

/// A message in which the holes are overwritten for each call.
pub(crate) struct Template {
    text: Vec<u8>,
    holes: Vec<(Field, usize)>,
}

impl Template {
    /// The message with this head, whose lines end in LF and whose holes are field names in braces, a
    /// Content-Length and this body.
    pub(crate) fn new(head: &str, body: &str) -> Template {
        let length = format!("Content-Length: {}\n\n", body.replace('\n', "\r\n").len());
        let mut rest = format!("{head}{length}{body}").replace('\n', "\r\n");
        let (mut text, mut holes) = (Vec::new(), Vec::new());
        let blank = Fields::new(0);
        while let Some(start) = rest.find('{') {
            let (field, name) = FIELDS
                .into_iter()
                .find(|(_, name)| rest[start..].starts_with(name))
                .expect("the name of a field");
            text.extend_from_slice(&rest.as_bytes()[..start]);
            holes.push((field, text.len()));
            text.extend_from_slice(blank.get(field));
            rest.replace_range(..start + name.len(), "");
        }
        text.extend_from_slice(rest.as_bytes());
        Template { text, holes }
    }

    /// The message of this call.
    pub(crate) fn fill(&mut self, fields: &Fields) -> &[u8] {
        for &(field, start) in &self.holes {
            let value = fields.get(field);
            self.text[start..][..value.len()].copy_from_slice(value);
        }
        &self.text
    }
}
