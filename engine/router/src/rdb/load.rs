//! From the file to records: every field read and checked, all errors collected with their places.

use super::compile::{Compiled, Compiler};
use super::error::{Remark, Remarks, position};
use super::proxied::{BRANCHES_MAX, Branch, Proxied, Q_MAX, beyond_a_proxy, is_proxy, q};
use super::record::{CallFlow, Record, time};
use super::target::Target;
use super::template::OutUser;
use super::{Limits, RdbErrors, dialect, json};
use regex_syntax::hir::Hir;
use serde_json::value::RawValue;
use std::time::Duration;

const PATTERN: &str = "userpartPattern";
const ROUTING: &str = "routingRecord";
const NO_ANSWER: &str = "routingRecord.noAnswerTimeout";
const NO_18X: &str = "routingRecord.no18xTimeout";
const MAX_DURATION: &str = "routingRecord.maxCallDuration";
const OUT_USER: &str = "routingRecord.outRuriUserpart";
const OUT_HOST: &str = "routingRecord.outRuriHostport";
const FLOW: &str = "routingRecord.outCallFlow";
const SIMILAR: &str = "routingRecord.disallowSimilar18x";
const DIFFERENT: &str = "routingRecord.disallowDifferent18x";
const STEER_MEDIA: &str = "routingRecord.steerMedia";
const MODE: &str = "routingRecord.mode";
const TARGETS: &str = "routingRecord.targets";
const RECURSE: &str = "routingRecord.recurse";
const Q: &str = "routingRecord.q";

/// What a file holds.
pub(super) struct Loaded {
    pub(super) records: Vec<Record>,
    pub(super) compiled: Compiled,
    pub(super) warnings: Remarks,
}

/// Reads a whole DB.
pub(super) fn load(json: &str, limits: &Limits) -> Result<Loaded, RdbErrors> {
    let elements = json::elements(json).map_err(|error| refused(syntax_error(&error)))?;
    let mut loader = Loader {
        json,
        limits,
        errors: Remarks::default(),
        warnings: Remarks::default(),
    };
    if elements.len() > limits.records_max {
        let message = format!("{} records; at most {}", elements.len(), limits.records_max);
        return Err(refused(loader.remark(&Place::file(), message)));
    }
    let mut compiler = Compiler::new(limits);
    let records = elements.iter().enumerate();
    let records = records
        .map(|(n, value)| loader.record(n, value, &mut compiler))
        .collect();
    if !loader.errors.shown.is_empty() {
        return Err(RdbErrors {
            errors: loader.errors.shown,
            more: loader.errors.more,
        });
    }
    let compiled = compiler.finish();
    let compiled = compiled.map_err(|message| refused(loader.remark(&Place::file(), message)))?;
    loader.warn_of_doubles(&compiled, &elements);
    Ok(Loaded {
        records,
        compiled,
        warnings: loader.warnings,
    })
}

fn refused(error: Remark) -> RdbErrors {
    RdbErrors {
        errors: vec![error],
        more: 0,
    }
}

fn syntax_error(error: &serde_json::Error) -> Remark {
    let message = if error.is_data() {
        "the file is not an array of records".to_owned()
    } else {
        let text = error.to_string();
        format!(
            "not JSON: {}",
            text.split(" at line ").next().unwrap_or(&text)
        )
    };
    let (line, column) = (error.line().max(1), error.column().max(1));
    Remark {
        record: None,
        line,
        column,
        field: String::new(),
        message,
    }
}

/// Where a remark belongs.
#[derive(Clone, Copy)]
struct Place<'j> {
    record: Option<usize>,
    field: &'j str,
    /// The start of the file when there is none.
    value: Option<&'j RawValue>,
}

impl<'j> Place<'j> {
    fn file() -> Place<'j> {
        Place {
            record: None,
            field: "",
            value: None,
        }
    }

    fn record(number: usize, value: &'j RawValue) -> Place<'j> {
        Place {
            record: Some(number),
            field: "",
            value: Some(value),
        }
    }

    /// Whether it is the value of a switch that is off.
    fn is_false(&self) -> bool {
        self.value.is_some_and(|value| value.get() == "false")
    }

    fn field(self, field: &'j str, value: &'j RawValue) -> Place<'j> {
        Place {
            field,
            value: Some(value),
            ..self
        }
    }
}

struct Loader<'j> {
    json: &'j str,
    limits: &'j Limits,
    errors: Remarks,
    warnings: Remarks,
}

impl<'j> Loader<'j> {
    /// Reads one record; what is wrong with it is remarked and read as if it were missing.
    fn record(&mut self, number: usize, value: &'j RawValue, compiler: &mut Compiler) -> Record {
        let place = Place::record(number, value);
        let [pattern, routing] = self.pick(place, [PATTERN, ROUTING]);
        let pattern_place = Place {
            field: PATTERN,
            value: pattern.or(Some(value)),
            ..place
        };
        let (pattern, hir) = self.pattern(place, pattern);
        let routing = match routing {
            Some(routing) => place.field(ROUTING, routing),
            None => {
                self.warn(&place, || {
                    "no routingRecord: the call goes back, unchanged".to_owned()
                });
                place
            }
        };
        let mut record = self.routing(routing, hir.as_ref());
        record.pattern = pattern.unwrap_or_default();
        if let Some(hir) = hir {
            let added = compiler.add(hir, record.needs_groups());
            added.unwrap_or_else(|message| self.error(&pattern_place, message));
        }
        record
    }

    fn pattern(
        &mut self,
        place: Place<'j>,
        value: Option<&'j RawValue>,
    ) -> (Option<String>, Option<Hir>) {
        let Some(value) = value else {
            self.warn(&place, || {
                "no userpartPattern: it matches every user".to_owned()
            });
            return (None, Some(Hir::empty()));
        };
        let place = place.field(PATTERN, value);
        let Some(pattern) = self.text(&place, self.limits.pattern_bytes_max) else {
            return (None, None);
        };
        let hir = dialect::parse(&pattern)
            .map_err(|message| self.error(&place, format!("not a regular expression: {message}")))
            .ok();
        (Some(pattern), hir)
    }

    /// Reads the object at `place`, or nothing if the record has none.
    fn routing(&mut self, place: Place<'j>, hir: Option<&Hir>) -> Record {
        if place.field.is_empty() {
            return Record::default();
        }
        let fields = [
            NO_ANSWER,
            NO_18X,
            MAX_DURATION,
            OUT_USER,
            OUT_HOST,
            FLOW,
            SIMILAR,
            DIFFERENT,
            STEER_MEDIA,
            MODE,
            TARGETS,
            RECURSE,
        ];
        let values = self.pick(place, fields);
        let at = |n: usize| values[n].map(|value| place.field(fields[n], value));
        let mut record = Record {
            pattern: String::new(),
            no_answer: self.time(at(0)),
            no_18x: self.time(at(1)),
            max_duration: self.time(at(2)),
            out_user: self.out_user(at(3), hir),
            target: self.target(at(4)),
            flow: self.parsed(at(5), CallFlow::parse),
            disallow_similar_18x: self.flag(at(6)),
            disallow_different_18x: self.flag(at(7)),
            steer_media: self.flag(at(8)),
            proxied: None,
        };
        let (targets, recurse) = (at(10), at(11));
        if self.parsed(at(9), is_proxy) {
            self.proxied(&mut record, place, targets, recurse, hir);
        } else if let Some(place) = targets.or(recurse.filter(|place| !place.is_false())) {
            self.error(&place, "only with \"mode\": \"proxy\"".to_owned());
        }
        record
    }

    /// What the record of a proxied route has beside the others.
    fn proxied(
        &mut self,
        record: &mut Record,
        place: Place<'j>,
        targets: Option<Place<'j>>,
        recurse: Option<Place<'j>>,
        hir: Option<&Hir>,
    ) {
        let refused = beyond_a_proxy(record);
        if !refused.is_empty() {
            let fields = refused.join(", ");
            let message =
                format!("not with \"mode\": \"proxy\", which does not end calls: {fields}");
            self.error(&place, message);
        }
        let has_own = record.target != Target::Back || record.out_user != OutUser::Keep;
        let branches = match targets {
            Some(targets) if has_own => {
                let message = "either targets or outRuriHostport and outRuriUserpart".to_owned();
                return self.error(&targets, message);
            }
            Some(targets) => self.targets(targets, hir),
            None => vec![Branch {
                target: record.target.clone(),
                out_user: record.out_user.clone(),
                q: Q_MAX,
            }],
        };
        let recurse = self.flag(recurse);
        record.proxied = Some(Box::new(Proxied::new(branches, recurse)));
    }

    fn targets(&mut self, place: Place<'j>, hir: Option<&Hir>) -> Vec<Branch> {
        let elements = place.value.map(|value| json::elements(value.get()));
        let elements = match elements {
            Some(Ok(elements)) if (1..=BRANCHES_MAX).contains(&elements.len()) => elements,
            _ => {
                let message = format!("an array of 1 to {BRANCHES_MAX} targets is wanted");
                self.error(&place, message);
                return Vec::new();
            }
        };
        let element = |value| self.branch(place.field(TARGETS, value), hir);
        elements.into_iter().map(element).collect()
    }

    fn branch(&mut self, place: Place<'j>, hir: Option<&Hir>) -> Branch {
        let fields = [OUT_USER, OUT_HOST, Q];
        let [user, host, preference] = self.pick(place, fields);
        let at = |field, value: Option<_>| value.map(|value| place.field(field, value));
        if host.is_none() {
            self.error(&place, "a target has an outRuriHostport".to_owned());
        }
        Branch {
            out_user: self.out_user(at(OUT_USER, user), hir),
            target: self.target(at(OUT_HOST, host)),
            q: at(Q, preference).map_or(Q_MAX, |place| self.preference(&place)),
        }
    }

    fn preference(&mut self, place: &Place<'j>) -> u16 {
        let value = place.value.map_or("", RawValue::get).parse();
        let read = value.map_err(|_| "not a number".to_owned()).and_then(q);
        read.unwrap_or_else(|message| {
            self.error(place, message);
            Q_MAX
        })
    }

    fn target(&mut self, place: Option<Place<'j>>) -> Target {
        self.parsed(place, |text| {
            Target::parse(text).map_err(|error| format!("{text:?}: {error}"))
        })
    }

    /// The values of the named fields; the last one if a field is given twice, none if it is null.
    fn pick<const N: usize>(
        &mut self,
        place: Place<'j>,
        paths: [&'static str; N],
    ) -> [Option<&'j RawValue>; N] {
        let mut values = [None; N];
        let Some(fields) = place.value.and_then(json::fields) else {
            self.error(&place, "not an object".to_owned());
            return values;
        };
        for (name, value) in fields {
            let known = paths
                .iter()
                .position(|path| last_name(path).eq_ignore_ascii_case(&name));
            let at = place.field(known.map_or(place.field, |n| paths[n]), value);
            match known {
                None => self.warn(&at, || unknown_field(&name, &paths)),
                Some(n) if values[n].is_some() => {
                    self.warn(&at, || "given twice; the last one counts".to_owned());
                    values[n] = Some(value);
                }
                Some(n) => values[n] = Some(value),
            }
        }
        values.map(|value| value.filter(|value| !json::is_null(value)))
    }

    fn time(&mut self, place: Option<Place<'j>>) -> Option<Duration> {
        let place = place?;
        let value = place.value?;
        let seconds: Result<f64, _> = value.get().parse();
        let time = match seconds {
            Ok(seconds) => time(seconds).map_err(|m| format!("{}: {m}", json::shown(value))),
            Err(_) => Err(format!(
                "{} is a time that is not a number; allowed: seconds, whole or fractional, \
                 without quotes, 0 or less for off",
                json::shown(value)
            )),
        };
        time.unwrap_or_else(|message| {
            self.error(&place, message);
            None
        })
    }

    fn flag(&mut self, place: Option<Place<'j>>) -> bool {
        let Some((place, value)) = place.and_then(|place| Some((place, place.value?))) else {
            return false;
        };
        value.get().parse().unwrap_or_else(|_| {
            self.error(
                &place,
                format!("{} is not true or false", json::shown(value)),
            );
            false
        })
    }

    /// The groups of a pattern that is wrong itself are not known, so its template is not read.
    fn out_user(&mut self, place: Option<Place<'j>>, hir: Option<&Hir>) -> OutUser {
        let Some(hir) = hir else { return OutUser::Keep };
        self.parsed(place, |text| {
            OutUser::parse(text, &dialect::group_names(hir))
        })
    }

    fn parsed<T: Default>(
        &mut self,
        place: Option<Place<'j>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Some(place) = place else {
            return T::default();
        };
        let Some(text) = self.text(&place, self.limits.out_bytes_max) else {
            return T::default();
        };
        parse(&text).unwrap_or_else(|message| {
            self.error(&place, message);
            T::default()
        })
    }

    fn text(&mut self, place: &Place<'j>, bytes_max: usize) -> Option<String> {
        let value = place.value?;
        match serde_json::from_str::<String>(value.get()) {
            Ok(text) if text.len() > bytes_max => {
                self.error(place, format!("{} bytes; at most {bytes_max}", text.len()));
            }
            Ok(text) => return Some(text),
            Err(_) => self.error(place, format!("{} is not a string", json::shown(value))),
        }
        None
    }

    fn warn_of_doubles(&mut self, compiled: &Compiled, elements: &[&'j RawValue]) {
        for &(record, first) in &compiled.doubles {
            let place = Place::record(record as usize, elements[record as usize]);
            self.warn(&place, || {
                format!("never reached: record {first} has the same pattern")
            });
        }
    }

    fn error(&mut self, place: &Place<'_>, message: String) {
        self.errors.add(|| remark(self.json, place, message));
    }

    fn warn(&mut self, place: &Place<'_>, message: impl FnOnce() -> String) {
        self.warnings.add(|| remark(self.json, place, message()));
    }

    fn remark(&self, place: &Place<'_>, message: String) -> Remark {
        remark(self.json, place, message)
    }
}

fn remark(json: &str, place: &Place<'_>, message: String) -> Remark {
    let offset = place.value.map_or(0, |value| json::offset(json, value));
    let (line, column) = position(json, offset);
    Remark {
        record: place.record,
        line,
        column,
        field: place.field.to_owned(),
        message,
    }
}

fn last_name(path: &str) -> &str {
    path.strip_prefix("routingRecord.").unwrap_or(path)
}

fn unknown_field(name: &str, paths: &[&'static str]) -> String {
    let known: Vec<_> = paths.iter().map(|path| last_name(path)).collect();
    format!(
        "unknown field {name:?} is ignored; known: {}",
        known.join(", ")
    )
}
