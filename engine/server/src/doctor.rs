//! `tipring doctor`: what this machine allows, as a table with what to do about each. The findings are
//! the reactor's; only their layout is here.

use comfy_table::{Cell, Color, ContentArrangement, Table};
use reactor::probe::{Finding, Severity};

/// Without a terminal, for a file or a pipe: wide enough for most findings on one line.
const WIDTH: u16 = 140;

/// The findings as a table.
pub(crate) fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    table.set_header(["", "what", "found", "wanted", "what to do"]);
    for finding in findings {
        let (word, colour) = match finding.severity {
            Severity::Ok => ("ok", Color::Green),
            Severity::Warn => ("warn", Color::Yellow),
            Severity::Fail => ("FAIL", Color::Red),
        };
        table.add_row(vec![
            Cell::new(word).fg(colour),
            Cell::new(finding.topic),
            Cell::new(&finding.found),
            Cell::new(&finding.wanted),
            Cell::new(finding.advice),
        ]);
    }
    table.to_string()
}

/// One sentence on the whole.
pub(crate) fn verdict(findings: &[Finding]) -> String {
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    match (count(Severity::Fail), count(Severity::Warn)) {
        (0, 0) => "Everything is as wanted.".to_owned(),
        (0, warnings) => format!("tipring runs here; {warnings} could be better."),
        (failures, _) => format!("tipring cannot run here: {failures} to be mended first."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(topic: &'static str, severity: Severity) -> Finding {
        let advice = if severity == Severity::Ok {
            ""
        } else {
            "mend it"
        };
        Finding {
            topic,
            found: "this".into(),
            wanted: "that".into(),
            severity,
            advice,
        }
    }

    #[test]
    fn each_finding_is_a_row_with_its_advice() {
        let text = table(&[
            finding("kernel", Severity::Ok),
            finding("memlock", Severity::Fail),
        ]);
        let row = |topic: &str| {
            text.lines()
                .find(|line| line.contains(topic))
                .map(str::to_owned)
        };
        assert!(row("kernel").is_some_and(|row| row.contains("ok") && !row.contains("mend")));
        assert!(row("memlock").is_some_and(|row| row.contains("FAIL") && row.contains("mend it")));
    }

    #[test]
    fn the_verdict_names_the_worst() {
        let (ok, warn) = (finding("a", Severity::Ok), finding("b", Severity::Warn));
        let fail = finding("c", Severity::Fail);
        assert_eq!(
            verdict(std::slice::from_ref(&ok)),
            "Everything is as wanted."
        );
        assert!(verdict(&[ok, warn.clone()]).starts_with("tipring runs here; 1 "));
        assert!(verdict(&[warn, fail]).starts_with("tipring cannot run here: 1 "));
    }
}
