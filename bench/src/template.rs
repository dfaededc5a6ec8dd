//! Messages prepared once and printed many times: constant text with fixed-width fields (the call's token, its number) patched
//! after the copy, and slots for what only the peer knows (request URI, routes, To).

/// Digits of a printed token.
pub(crate) const TOKEN_DIGITS: usize = 16;

/// A call's place in its slab and which use of that place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Token {
    /// Sixteen lower-case hex digits: slot, then generation.
    pub(crate) fn digits(self) -> [u8; TOKEN_DIGITS] {
        let value = (u64::from(self.slot) << 32) | u64::from(self.generation);
        let mut digits = [0; TOKEN_DIGITS];
        for (i, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(value >> (60 - 4 * i)) as usize & 15];
        }
        digits
    }

    /// The token that `prefix` and sixteen digits spell at the start of `text`.
    pub(crate) fn find(text: &[u8], prefix: &[u8]) -> Option<Token> {
        let digits = text.strip_prefix(prefix)?.get(..TOKEN_DIGITS)?;
        let value = digits.iter().try_fold(0u64, |value, &digit| {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some((value << 4) | u64::from(nibble))
        })?;
        Some(Token {
            slot: (value >> 32) as u32,
            generation: value as u32,
        })
    }
}

/// What is put into a template.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a> {
    pub(crate) token: [u8; TOKEN_DIGITS],
    /// The call's number, whose last digits are the user part.
    pub(crate) number: u64,
    pub(crate) uri: &'a [u8],
    /// Whole Route lines.
    pub(crate) routes: &'a [u8],
    /// Value of the To header.
    pub(crate) to: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Token,
    Number { digits: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Splice {
    Uri,
    Routes,
    To,
}

/// A stretch of text with its fields; a splice follows it.
#[derive(Clone, Debug, Default)]
struct Piece {
    text: Vec<u8>,
    fields: Vec<(usize, Field)>,
    splice: Option<Splice>,
}

/// A message to print. Written with `{token}`, `{uri}`, `{routes}`, `{to}`, and `{#…#}` for the number in as many digits as `#`.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Compiles a pattern; a brace that opens none of the known fields is plain text.
    pub(crate) fn new(pattern: &str) -> Template {
        let mut pieces = vec![Piece::default()];
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let piece = pieces.last_mut().expect("never empty");
            piece.text.extend_from_slice(before.as_bytes());
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            match name {
                "uri" => piece.splice = Some(Splice::Uri),
                "routes" => piece.splice = Some(Splice::Routes),
                "to" => piece.splice = Some(Splice::To),
                _ => piece.add_field(name),
            }
            if piece.splice.is_some() {
                pieces.push(Piece::default());
            }
            rest = tail;
        }
        pieces
            .last_mut()
            .expect("never empty")
            .text
            .extend_from_slice(rest.as_bytes());
        Template { pieces }
    }

    /// Appends the message.
    pub(crate) fn print(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let start = out.len();
            out.extend_from_slice(&piece.text);
            for &(at, field) in &piece.fields {
                patch(&mut out[start + at..], field, values);
            }
            match piece.splice {
                Some(Splice::Uri) => out.extend_from_slice(values.uri),
                Some(Splice::Routes) => out.extend_from_slice(values.routes),
                Some(Splice::To) => out.extend_from_slice(values.to),
                None => {}
            }
        }
    }
}

impl Piece {
    fn add_field(&mut self, name: &str) {
        let field = match name {
            "token" => Field::Token,
            _ if !name.is_empty() && name.bytes().all(|b| b == b'#') => {
                Field::Number { digits: name.len() }
            }
            _ => {
                return self
                    .text
                    .extend_from_slice(format!("{{{name}}}").as_bytes());
            }
        };
        let width = match field {
            Field::Token => TOKEN_DIGITS,
            Field::Number { digits } => digits,
        };
        self.fields.push((self.text.len(), field));
        self.text.extend(std::iter::repeat_n(b'0', width));
    }
}

fn patch(place: &mut [u8], field: Field, values: &Values<'_>) {
    match field {
        Field::Token => place[..TOKEN_DIGITS].copy_from_slice(&values.token),
        Field::Number { digits } => {
            let mut number = values.number;
            for digit in place[..digits].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
    }
}

/// A user pattern such as `1555#######` as template text: each run of `#` becomes a number field of its width.
pub(crate) fn user_field(pattern: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in pattern.chars() {
        match (c == '#', inside) {
            (true, false) => text.push('{'),
            (false, true) => text.push('}'),
            _ => {}
        }
        inside = c == '#';
        text.push(c);
    }
    if inside {
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token {
        slot: 0x12,
        generation: 0xabcd,
    };

    fn printed(pattern: &str, values: &Values<'_>) -> String {
        let mut out = b">".to_vec();
        Template::new(pattern).print(values, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_patched_and_splices_spliced() {
        let values = Values {
            token: TOKEN.digits(),
            number: 1234,
            uri: b"sip:x",
            routes: b"Route: r\r\n",
            to: b"<sip:t>",
        };
        assert_eq!(
            printed("A {uri} {token}\r\n{routes}To: {to} {##}{######}.", &values),
            ">A sip:x 000000120000abcd\r\nRoute: r\r\nTo: <sip:t> 34001234."
        );
    }

    #[test]
    fn printing_again_leaves_nothing_of_the_last_call() {
        let template = Template::new("{token}/{####}");
        let mut out = Vec::new();
        let full = Values {
            token: [b'f'; 16],
            number: 9999,
            ..Values::default()
        };
        template.print(&full, &mut out);
        out.clear();
        template.print(
            &Values {
                token: TOKEN.digits(),
                number: 7,
                ..full
            },
            &mut out,
        );
        assert_eq!(out, b"000000120000abcd/0007");
    }

    #[test]
    fn unknown_braces_are_text() {
        assert_eq!(printed("{x}{}", &Values::default()), ">{x}{}");
    }

    #[test]
    fn user_patterns_become_fields() {
        assert_eq!(user_field("1555####"), "1555{####}");
        assert_eq!(user_field("#a##b"), "{#}a{##}b");
        assert_eq!(user_field("bob"), "bob");
    }

    #[test]
    fn foreign_text_is_no_token() {
        assert_eq!(Token::find(b"run000000120000abcd@x", b"run"), Some(TOKEN));
        assert_eq!(Token::find(b"nur000000120000abcd", b"run"), None);
        assert_eq!(Token::find(b"run000000120000abc", b"run"), None);
        assert_eq!(Token::find(b"run000000120000abcX", b"run"), None);
    }

    proptest! {
        #[test]
        fn tokens_survive_printing(slot: u32, generation: u32) {
            let token = Token { slot, generation };
            prop_assert_eq!(Token::find(&token.digits(), b""), Some(token));
        }
    }
}
