//! The routing DB as a whole: file order against a plain loop, every error and warning, expansions,
//! explanations, size.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn table(json: &str) -> Arc<Table> {
    Arc::new(Table::parse(json).unwrap_or_else(|errors| panic!("{errors}")))
}

/// A DB of patterns and new users.
fn routes(routes: &[(&str, &str)]) -> Arc<Table> {
    let record = |&(pattern, user): &(&str, &str)| json!({"userpartPattern": pattern, "routingRecord": {"outRuriUserpart": user}});
    table(&json!(routes.iter().map(record).collect::<Vec<_>>()).to_string())
}

fn errors(json: &str) -> String {
    Table::parse(json).unwrap_err().to_string()
}

fn warnings(json: &str) -> String {
    let table = Table::parse(json).unwrap();
    table
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The record found and the user that leaves.
fn route(matcher: &mut Matcher, user: &str) -> Option<(usize, String)> {
    let mut route = matcher.find(user)?;
    let mut out = Vec::new();
    let changed = route.write_user(user, &mut out);
    assert!(changed || out.is_empty());
    let out = String::from_utf8(out).unwrap();
    Some((route.index, if changed { out } else { user.to_owned() }))
}

const EVERY_FIELD: &str = r#"[
  {
    "userpartPattern": "^0(\\d+)$",
    "routingRecord": {
      "noAnswerTimeout": 30,
      "no18xTimeout": 2.5,
      "maxCallDuration": 3600,
      "outRuriUserpart": "0049$1",
      "outRuriHostport": "gw.example:5070",
      "outCallFlow": "TransformEarlyToFinal",
      "disallowSimilar18x": true,
      "disallowDifferent18x": true,
      "steerMedia": true
    }
  },
  {
    "USERPARTPATTERN": "",
    "routingrecord": {"NoAnswerTimeout": 0, "no18xTimeout": -1, "maxCallDuration": null}
  }
]"#;

#[test]
fn every_field_is_read_and_has_a_default() {
    let table = table(EVERY_FIELD);
    assert_eq!(table.len(), 2);
    assert_eq!(table.warnings(), []);
    insta::assert_snapshot!(format!("{:#?}", table.record(0).unwrap()), @r#"
    Record {
        pattern: "^0(\\d+)$",
        no_answer: Some(
            30s,
        ),
        no_18x: Some(
            2.5s,
        ),
        max_duration: Some(
            3600s,
        ),
        out_user: Template(
            [
                Text(
                    "0049",
                ),
                Group(
                    1,
                ),
            ],
        ),
        target: Name {
            host: "gw.example",
            port: Some(
                5070,
            ),
        },
        flow: TransformEarlyToFinal,
        disallow_similar_18x: true,
        disallow_different_18x: true,
        steer_media: true,
        proxied: None,
    }
    "#);
    assert_eq!(table.record(1), Some(&Record::default()));
}

#[test]
fn an_empty_table_finds_nothing() {
    for table in [Table::empty(), Table::parse("[]").unwrap()] {
        assert!(table.is_empty());
        assert!(Matcher::new(Arc::new(table)).find("1").is_none());
    }
}

#[test]
fn shards_can_share_a_table() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Table>();
    moved::<Matcher>();
}

#[test]
fn the_first_record_in_file_order_wins_whatever_holds_it() {
    let table = routes(&[
        ("55$", "suffix"),
        ("^4930", "prefix"),
        ("^49301255$", "literal"),
        ("^49", ""),
        (r"^\d{3,4}$", "short"),
        ("30.*7", "free"),
    ]);
    let matcher = &mut Matcher::new(table);
    for (user, found) in [
        ("49301255", Some((0, "suffix"))),
        ("4930125", Some((1, "prefix"))),
        ("4989", Some((3, "4989"))),
        ("115", Some((4, "short"))),
        ("130007", Some((5, "free"))),
        ("130008", None),
        ("", None),
    ] {
        let expected = found.map(|(index, user)| (index, user.to_owned()));
        assert_eq!(route(matcher, user), expected, "{user}");
    }
}

#[test]
fn users_beyond_ascii_are_matched_by_character() {
    let table = routes(&[
        ("^.{3}$", "three"),
        ("^ü(.*)ß$", "<$1".trim_matches('<')),
        ("ö", "$0"),
    ]);
    let matcher = &mut Matcher::new(table);
    assert_eq!(route(matcher, "äöü"), Some((0, "three".into())));
    assert_eq!(route(matcher, "üäéß"), Some((1, "äé".into())));
    assert_eq!(route(matcher, "ääääö"), Some((2, "ö".into())));
    assert_eq!(route(matcher, "日本語日"), None);
}

#[test]
fn escapes_are_matched_as_received() {
    let table = routes(&[(r"^\+49", "plus"), ("^%2B49", "escaped")]);
    let matcher = &mut Matcher::new(table);
    assert_eq!(route(matcher, "%2B491"), Some((1, "escaped".into())));
    assert_eq!(route(matcher, "+491"), Some((0, "plus".into())));
}

#[test]
fn groups_expand_in_every_kind_of_pattern() {
    let table = routes(&[
        (r"^00(\d{2})(\d+)$", "+$1-${2}0"),
        (r"^(\d{1,2})(\d{1,3})#$", "$2.$1"),
        (r"(?P<area>7\d)(x?)", "$area[$2]$$$0"),
        (r"^(\d+)\*(\d+)$", "$2*$1"),
    ]);
    let matcher = &mut Matcher::new(table);
    for (user, out) in [
        ("00491234", "+49-12340"),
        ("123#", "3.12"),
        ("1718", "71[]$71"),
        ("a75xb", "75[x]$75x"),
        ("1*22", "22*1"),
    ] {
        assert_eq!(
            route(matcher, user).map(|(_, out)| out).as_deref(),
            Some(out),
            "{user}"
        );
    }
}

#[test]
fn a_file_that_is_no_array_of_records_is_refused() {
    let found: Vec<String> = [
        "",
        "{}",
        "[1, {\"userpartPattern\": }]",
        "[\n  {\"a\": 1},\n]",
        "[] x",
        "[\"\\x\"]",
    ]
    .map(errors)
    .into();
    insta::assert_snapshot!(found.join("\n"), @"
    line 1, column 1: not JSON: EOF while parsing a value
    line 1, column 1: the file is not an array of records
    line 1, column 25: not JSON: expected value
    line 3, column 1: not JSON: trailing comma
    line 1, column 4: not JSON: trailing characters
    line 1, column 4: not JSON: invalid escape
    ");
}

#[test]
fn every_error_names_record_place_and_field() {
    let json = r#"[
  {"userpartPattern": "^49", "routingRecord": {"noAnswerTimeout": "30", "no18xTimeout": true}},
  {"userpartPattern": "^(49", "routingRecord": {"outRuriUserpart": "$1"}},
  {"userpartPattern": 49, "routingRecord": []},
  5,
  {"userpartPattern": "^(1)", "routingRecord": {"outRuriUserpart": "$1x", "outRuriHostport": "host:0"}},
  {"userpartPattern": "^1", "routingRecord": {"outRuriUserpart": "$1", "outRuriHostport": 5060}},
  {"userpartPattern": "^2", "routingRecord": {"outCallFlow": "transparent", "steerMedia": "yes"}},
  {"userpartPattern": "^3", "routingRecord": {"maxCallDuration": 1e300, "disallowSimilar18x": 1}},
  {"userpartPattern": "((a{50}){50}){50}$",
   "routingRecord": {"outRuriHostport": "300.1.1.1", "disallowDifferent18x": null}}
]"#;
    insta::assert_snapshot!(errors(json), @r#"
    record 0, line 2, column 67: routingRecord.noAnswerTimeout: "30" is a time that is not a number; allowed: seconds, whole or fractional, without quotes, 0 or less for off
    record 0, line 2, column 89: routingRecord.no18xTimeout: true is a time that is not a number; allowed: seconds, whole or fractional, without quotes, 0 or less for off
    record 1, line 3, column 23: userpartPattern: not a regular expression: unclosed group (at character 2)
    record 2, line 4, column 23: userpartPattern: 49 is not a string
    record 2, line 4, column 44: routingRecord: not an object
    record 3, line 5, column 3: not an object
    record 4, line 6, column 68: routingRecord.outRuriUserpart: $1x is read as a group named `1x`; write ${1}x
    record 4, line 6, column 94: routingRecord.outRuriHostport: "host:0": the port is not a number from 1 to 65535
    record 5, line 7, column 66: routingRecord.outRuriUserpart: $1: the pattern has no groups
    record 5, line 7, column 91: routingRecord.outRuriHostport: 5060 is not a string
    record 6, line 8, column 62: routingRecord.outCallFlow: unknown call flow "transparent"; allowed: Transparent, TransformEarlyToFinal, EchoResponder
    record 6, line 8, column 91: routingRecord.steerMedia: "yes" is not true or false
    record 7, line 9, column 66: routingRecord.maxCallDuration: 1e300: more than 31536000 seconds; 0 or less is off
    record 7, line 9, column 95: routingRecord.disallowSimilar18x: 1 is not true or false
    record 8, line 11, column 41: routingRecord.outRuriHostport: "300.1.1.1": not an IPv4 address; a name does not end in a number
    record 8, line 10, column 23: userpartPattern: too large: more than 1048576 bytes when compiled
    "#);
}

#[test]
fn sizes_are_limited() {
    let limits = Limits {
        records_max: 1,
        pattern_bytes_max: 4,
        out_bytes_max: 3,
        ..Limits::default()
    };
    let two = "[{}, {}]";
    let long = r#"[{"userpartPattern": "^1234", "routingRecord": {"outCallFlow": "1234"}}]"#;
    let found = [two, long].map(|json| Table::parse_within(json, &limits).unwrap_err().to_string());
    insta::assert_snapshot!(found.join("\n"), @"
    line 1, column 1: 2 records; at most 1
    record 0, line 1, column 22: userpartPattern: 5 bytes; at most 4
    record 0, line 1, column 64: routingRecord.outCallFlow: 4 bytes; at most 3
    ");
}

#[test]
fn only_the_first_errors_are_told() {
    let json = json!(vec![json!({"userpartPattern": 1}); 30]).to_string();
    let errors = Table::parse(&json).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (20, 10));
    assert!(errors.to_string().ends_with("\n... and 10 more"));
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let json = r#"[
  {"userpartPatern": "^49", "routingRecord": {"noanswertimeout": 1, "noAnswerTimeout": 2}},
  {"userpartPattern": "^49(\\d*)"},
  {"userpartPattern": "^49.*", "routingRecord": {"timeout": 3}}
]"#;
    insta::assert_snapshot!(warnings(json), @r#"
    record 0, line 2, column 22: unknown field "userpartPatern" is ignored; known: userpartPattern, routingRecord
    record 0, line 2, column 3: no userpartPattern: it matches every user
    record 0, line 2, column 88: routingRecord.noAnswerTimeout: given twice; the last one counts
    record 1, line 3, column 3: no routingRecord: the call goes back, unchanged
    record 2, line 4, column 61: routingRecord: unknown field "timeout" is ignored; known: noAnswerTimeout, no18xTimeout, maxCallDuration, outRuriUserpart, outRuriHostport, outCallFlow, disallowSimilar18x, disallowDifferent18x, steerMedia, mode, targets, recurse
    record 2, line 4, column 3: never reached: record 1 has the same pattern
    "#);
    let first = table(json).record(0).unwrap().no_answer;
    assert_eq!(
        first.map(|time| time.as_secs()),
        Some(2),
        "the last one counts"
    );
}

#[test]
fn an_explanation_tells_the_winner_and_what_else_matches() {
    let json = r#"[
  {"userpartPattern": "^5"},
  {"userpartPattern": "^0049(\\d+)$", "routingRecord": {"noAnswerTimeout": 20, "no18xTimeout": 2.5,
   "outRuriUserpart": "0$1", "outRuriHostport": "[2001:db8::1]:5070", "steerMedia": true}},
  {"userpartPattern": "30$"},
  {"userpartPattern": "^0049(\\d+)$"},
  {"userpartPattern": ""}
]"#;
    let table = table(json);
    insta::assert_snapshot!(explain(&table, "00493030"), @r"
    00493030: record 1
      pattern       ^0049(\d+)$
      found in the  trie of literals and prefixes
      user          03030
      host          [2001:db8::1]:5070
      flow          Transparent
      times         no 18x 2.5 s, no answer 20 s, longest call off
      switches      steerMedia
      also matches  record 2, 30$
      also matches  record 3, ^0049(\d+)$
      also matches  record 4, (empty: every user)
    ");
    insta::assert_snapshot!(explain(&table, "130"), @"
    130: record 2
      pattern       30$
      found in the  automaton of regular expressions
      user          130
      host          back to where the call came from
      flow          Transparent
      times         no 18x off, no answer off, longest call off
      switches      none
      also matches  record 4, (empty: every user)
    ");
    insta::assert_snapshot!(explain(&Arc::new(Table::empty()), "130"), @"130: no match -> 404");
}

#[test]
fn a_call_to_the_echo_goes_nowhere() {
    let json = r#"[{"userpartPattern": "^8$", "routingRecord": {"outCallFlow": "EchoResponder"}}]"#;
    let explained = explain(&table(json), "8").to_string();
    assert!(
        explained.contains("host          none: the router answers"),
        "{explained}"
    );
}

const PROXIED: &str = r#"[
  {"userpartPattern": "^5(\\d+)$", "routingRecord": {"mode": "proxy", "noAnswerTimeout": 20, "targets": [
    {"outRuriHostport": "10.0.0.2", "q": 0.5},
    {"outRuriHostport": "10.0.0.1:5070", "outRuriUserpart": "$1"}]}},
  {"userpartPattern": "^6", "routingRecord": {"mode": "proxy", "outRuriHostport": "pbx", "recurse": true}},
  {"userpartPattern": "^7", "routingRecord": {"mode": "b2bua", "outRuriHostport": "pbx"}}
]"#;

#[test]
fn a_proxied_route_names_its_targets_in_their_order() {
    let table = table(PROXIED);
    assert!(table.has_proxied());
    let explained = |user| explain(&table, user).to_string();
    insta::assert_snapshot!(explained("5123"), @r"
    5123: record 0
      pattern       ^5(\d+)$
      found in the  trie of literals and prefixes
      mode          proxy
      target        123 at 10.0.0.1:5070, q 1
      target        5123 at 10.0.0.2, q 0.5
      flow          Transparent
      times         no 18x off, no answer 20 s, longest call off
      switches      none
    ");
    assert!(explained("6").contains("mode          proxy, follows redirections\n"));
    assert!(explained("6").contains("target        6 at pbx, q 1\n"));
    assert_eq!(
        table.record(2).and_then(|record| record.proxied.as_ref()),
        None
    );
}

#[test]
fn what_a_proxy_cannot_do_is_refused() {
    let json = r#"[
  {"routingRecord": {"mode": "stateless"}},
  {"routingRecord": {"mode": "proxy", "steerMedia": true, "maxCallDuration": 9, "outCallFlow": "EchoResponder"}},
  {"routingRecord": {"mode": "proxy", "outRuriHostport": "h", "targets": [{"outRuriHostport": "h"}]}},
  {"routingRecord": {"mode": "proxy", "targets": []}},
  {"routingRecord": {"mode": "proxy", "targets": {"outRuriHostport": "h"}}},
  {"routingRecord": {"mode": "proxy", "targets": [{"q": 2}, 5]}},
  {"routingRecord": {"targets": [{"outRuriHostport": "h"}]}},
  {"routingRecord": {"recurse": true}},
  {"routingRecord": {"recurse": false, "outRuriHostport": "h"}}
]"#;
    insta::assert_snapshot!(errors(json), @r#"
    record 0, line 2, column 30: routingRecord.mode: unknown mode "stateless"; allowed: b2bua, proxy
    record 1, line 3, column 21: routingRecord: not with "mode": "proxy", which does not end calls: outCallFlow, maxCallDuration, steerMedia
    record 2, line 4, column 74: routingRecord.targets: either targets or outRuriHostport and outRuriUserpart
    record 3, line 5, column 50: routingRecord.targets: an array of 1 to 16 targets is wanted
    record 4, line 6, column 50: routingRecord.targets: an array of 1 to 16 targets is wanted
    record 5, line 7, column 51: routingRecord.targets: a target has an outRuriHostport
    record 5, line 7, column 57: routingRecord.q: a preference is a number from 0 to 1
    record 5, line 7, column 61: routingRecord.targets: not an object
    record 5, line 7, column 61: routingRecord.targets: a target has an outRuriHostport
    record 6, line 8, column 33: routingRecord.targets: only with "mode": "proxy"
    record 7, line 9, column 33: routingRecord.recurse: only with "mode": "proxy"
    "#);
}

#[test]
fn an_explanation_lists_ten_further_records() {
    let patterns: Vec<_> = (0..15)
        .map(|n| ("^1", if n % 2 == 0 { "" } else { "2" }))
        .collect();
    let explanation = explain(&routes(&patterns), "1");
    assert_eq!(
        explanation
            .later
            .iter()
            .map(|(n, _)| *n)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    );
    assert_eq!(explanation.more, 4);
    assert!(explanation.to_string().ends_with("also matches  4 more"));
}

#[test]
fn the_example_files_are_read_without_a_warning() {
    let small = table(include_str!("../../../../config/rdb/small.json"));
    let example = table(include_str!("../../../../config/rdb/example.json"));
    let proxy = table(include_str!("../../../../config/rdb/proxy.json"));
    assert!(
        [&small, &example, &proxy]
            .iter()
            .all(|table| table.warnings().is_empty())
    );
    assert!(proxy.has_proxied() && !example.has_proxied());
    assert!(small.len() < example.len());
    assert!(
        Matcher::new(example).find("anybody").is_some(),
        "the example routes every user"
    );
}

/// A large dial plan: every literal leads to its own record unless an earlier record catches it.
#[test]
fn a_hundred_thousand_records_are_found() {
    let record = |n: usize| {
        let pattern = match n % 100 {
            0 => format!("(^|x){n:06}77$"),
            1 => format!("^8{n:06}"),
            _ => format!("^4{n:06}00$"),
        };
        json!({"userpartPattern": pattern, "routingRecord": {"outRuriHostport": "10.0.0.1"}})
    };
    let json = json!((0..100_000).map(record).collect::<Vec<_>>()).to_string();
    let matcher = &mut Matcher::new(table(&json));
    for n in (0..100_000).step_by(777) {
        let user = match n % 100 {
            0 => format!("x{n:06}77"),
            1 => format!("8{n:06}123"),
            _ => format!("4{n:06}00"),
        };
        let found = matcher.find(&user).map(|route| (route.index, route.found));
        let by = if n % 100 == 0 {
            Found::Automaton
        } else {
            Found::Trie
        };
        assert_eq!(found, Some((n, by)), "{user}");
    }
    assert!(matcher.find("5").is_none());
}

/// A piece of a pattern: literals, sets and groups a dial plan is made of.
fn piece() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "1", "2", "3", "12", r"\+", r"\*", "#", "[0-9]", "[12]", "[^1]", ".", "ä", "a", "(12|1)",
        "(1|12|3)", "(2)", "([0-9])", r"(\+|00)", "(.)", "()", "(a|b3?)", r"\b",
    ]);
    let count = prop::sample::select(vec![
        "", "", "", "", "?", "*", "+", "{2}", "{1,3}", "{2,}", "??", "*?",
    ]);
    (atom, count).prop_map(|(atom, count)| match atom {
        "12" => format!("(?:12){count}"),
        r"\b" => r"\b".to_owned(),
        atom => format!("{atom}{count}"),
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let anchor = prop::sample::select(vec!["^", "^", "^", ""]);
    let end = prop::sample::select(vec!["$", "$", "", ".*", "(.*)$", "([0-9]*)"]);
    let body = prop::collection::vec(piece(), 0..5).prop_map(|pieces| pieces.concat());
    (anchor, body, end).prop_map(|(anchor, body, end)| format!("{anchor}{body}{end}"))
}

fn user() -> impl Strategy<Value = String> {
    "[0-3+*#aä]{0,8}"
}

/// The new user by the regex crate, group by group between bars.
fn groups_by_regex(regex: &regex::Regex, user: &str) -> String {
    let captures = regex.captures(user).unwrap();
    let text = |n| {
        captures
            .get(n)
            .map_or("", |group: regex::Match<'_>| group.as_str())
    };
    (0..captures.len())
        .map(|n| format!("{}|", text(n)))
        .collect()
}

proptest! {
    /// The table answers what a plain loop over the patterns answers: record, groups, and every
    /// other match.
    #[test]
    fn the_table_agrees_with_a_plain_loop(
        patterns in prop::collection::vec(pattern(), 1..12),
        users in prop::collection::vec(user(), 1..12),
        cache_bytes_max in prop::sample::select(vec![0, 1 << 20]),
        automaton_bytes_max in prop::sample::select(vec![1, 1 << 20]),
    ) {
        // The dialect's `\b` is ASCII, the reference's is not.
        let reference = |pattern: &String| pattern.replace(r"\b", r"(?-u:\b)");
        let regexes: Vec<_> =
            patterns.iter().map(|p| regex::Regex::new(&reference(p)).unwrap()).collect();
        let record = |(pattern, regex): (&String, &regex::Regex)| {
            let template: String = (0..regex.captures_len()).map(|n| format!("${{{n}}}|")).collect();
            json!({"userpartPattern": pattern, "routingRecord": {"outRuriUserpart": template}})
        };
        let json = json!(patterns.iter().zip(&regexes).map(record).collect::<Vec<_>>());
        let limits = Limits { cache_bytes_max, automaton_bytes_max, ..Limits::default() };
        let table = Table::parse_within(&json.to_string(), &limits).unwrap();
        let mut matcher = Matcher::new(Arc::new(table));
        for user in &users {
            let matching: Vec<usize> =
                (0..regexes.len()).filter(|&n| regexes[n].is_match(user)).collect();
            let expected = matching.first().map(|&n| (n, groups_by_regex(&regexes[n], user)));
            prop_assert_eq!(route(&mut matcher, user), expected, "{:?} on {:?}", patterns, user);
            prop_assert_eq!(matcher.all(user), matching, "{:?} on {:?}", patterns, user);
        }
    }

    /// No text is too strange to be read or refused.
    #[test]
    fn any_pattern_is_read_or_refused(pattern in r"[\[\]\\(){}?*+^$|&~,:<>QEBbdDwsxp\-0-9aä]{0,16}") {
        let json = json!([{"userpartPattern": pattern}]).to_string();
        if let Ok(table) = Table::parse(&json) {
            Matcher::new(Arc::new(table)).find("12aä");
        }
    }
}
