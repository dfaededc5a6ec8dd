//! A run as a table, for people and for machines: percentiles merged and by source, and the intervals
//! that stand out; and two runs side by side.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::error::MergeError;
use crate::outliers::{self, Outlier};
use crate::percentiles::Percentiles;
use crate::run::Run;
use crate::units::{grouped, human};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub metric: String,
    /// Whose it is; `None`: of all merged.
    pub source: Option<String>,
    /// The percentiles.
    #[serde(flatten)]
    pub percentiles: Percentiles,
}

/// The figures of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run's name.
    pub name: String,
    /// Its begin, seconds since 1970.
    pub start_unix_s: f64,
    /// Its length, seconds.
    pub seconds: f64,
    /// Lines that were read.
    pub intervals: usize,
    /// Percentiles by metric: merged, then by source where there are several.
    pub rows: Vec<Row>,
    /// What stands out.
    pub outliers: Vec<Outlier>,
}

impl Report {
    /// The figures of a run.
    ///
    /// # Errors
    /// [`MergeError`]
    pub fn of(run: &Run) -> Result<Report, MergeError> {
        let mut report = Report {
            name: run.name.clone(),
            start_unix_s: run.start.as_secs_f64(),
            seconds: run.length.as_secs_f64(),
            intervals: run.intervals.len(),
            rows: Vec::new(),
            outliers: Vec::new(),
        };
        for metric in run.metrics() {
            let sources = run.sources(metric);
            report.rows.push(row(run, metric, None)?);
            if sources.len() > 1 {
                for source in sources {
                    report.rows.push(row(run, metric, Some(source))?);
                }
            }
            report.outliers.extend(outliers::of_metric(run, metric)?);
        }
        Ok(report)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let seconds = self.seconds;
        let mut text = format!(
            "{}: {seconds:.0} s, {} intervals\n",
            self.name, self.intervals
        );
        let mut table = table(&["metric", "of", "count"]);
        for row in &self.rows {
            let mut cells = heading(row);
            cells.push(grouped(row.percentiles.count));
            cells.extend(row.percentiles.values().map(human));
            table.add_row(cells);
        }
        align(&mut table, 2);
        let _ = writeln!(text, "{}", trimmed(&table));
        text + &self.outliers_text()
    }

    fn outliers_text(&self) -> String {
        if self.outliers.is_empty() {
            return "no interval stands out\n".to_owned();
        }
        let mut text = format!("intervals that stand out ({}):\n", outliers::RULE);
        for one in &self.outliers {
            let (value, usual) = (human(one.value_ns), human(one.usual_ns));
            let _ = writeln!(
                text,
                "  at {:>7.0} s  {:<20} {:<3} {value:>9}, usually {usual}",
                one.at_s, one.metric, one.what
            );
        }
        text
    }
}

fn row(run: &Run, metric: &str, source: Option<&str>) -> Result<Row, MergeError> {
    Ok(Row {
        metric: metric.to_owned(),
        source: source.map(str::to_owned),
        percentiles: Percentiles::of(&run.merged(metric, source)?),
    })
}

/// Two runs and how the second relates to the first.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The first run.
    pub a: Report,
    /// The second.
    pub b: Report,
    /// Second by first, for every line that both have.
    pub ratios: Vec<Ratio>,
}

/// How one line of the second run relates to that of the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// What was measured.
    pub metric: String,
    /// Whose it is; `None`: of all merged.
    pub source: Option<String>,
    /// Of p50, p90, p99, p99.9, p99.99 and the maximum; `None` where the first is zero.
    pub ratios: [Option<f64>; 6],
}

impl Comparison {
    /// Puts two runs side by side.
    pub fn of(a: Report, b: Report) -> Comparison {
        let pair = |first: &Row| Some((first.clone(), b.twin(first)?.percentiles));
        let pairs: Vec<(Row, Percentiles)> = a.rows.iter().filter_map(pair).collect();
        let ratios = pairs.into_iter().map(|(first, second)| Ratio {
            ratios: divide(second.values(), first.percentiles.values()),
            metric: first.metric,
            source: first.source,
        });
        let ratios = ratios.collect();
        Comparison { a, b, ratios }
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (letter, report) in [("A", &self.a), ("B", &self.b)] {
            let (name, seconds) = (&report.name, report.seconds);
            let _ = writeln!(
                text,
                "{letter}: {name}: {seconds:.0} s, {} intervals",
                report.intervals
            );
        }
        let mut table = table(&["metric", "of", "run", "count"]);
        for row in &self.a.rows {
            table.add_row(line(heading(row), "A", &row.percentiles));
            if let Some(twin) = self.b.twin(row) {
                table.add_row(line(Vec::new(), "B", &twin.percentiles));
            }
            if let Some(ratio) = self.ratio(row) {
                table.add_row(ratio.cells());
            }
        }
        for row in self.b.rows.iter().filter(|row| self.a.twin(row).is_none()) {
            table.add_row(line(heading(row), "B", &row.percentiles));
        }
        align(&mut table, 3);
        let _ = writeln!(text, "{}", trimmed(&table));
        text
    }

    fn ratio(&self, row: &Row) -> Option<&Ratio> {
        let same = |one: &&Ratio| one.metric == row.metric && one.source == row.source;
        self.ratios.iter().find(same)
    }
}

impl Report {
    /// The line of the same metric and source.
    fn twin(&self, row: &Row) -> Option<&Row> {
        let same = |one: &&Row| one.metric == row.metric && one.source == row.source;
        self.rows.iter().find(same)
    }
}

impl Ratio {
    fn cells(&self) -> Vec<String> {
        let blank = ["", "", "B/A", ""].map(str::to_owned);
        let ratios = self.ratios.iter().map(|ratio| match ratio {
            Some(ratio) => format!("x {ratio:.2}"),
            None => "-".to_owned(),
        });
        blank.into_iter().chain(ratios).collect()
    }
}

fn divide(second: [u64; 6], first: [u64; 6]) -> [Option<f64>; 6] {
    std::array::from_fn(|at| (first[at] > 0).then(|| second[at] as f64 / first[at] as f64))
}

fn heading(row: &Row) -> Vec<String> {
    let of = row.source.clone().unwrap_or_else(|| "all".to_owned());
    vec![row.metric.clone(), of]
}

fn line(heading: Vec<String>, run: &str, percentiles: &Percentiles) -> Vec<String> {
    let mut cells = heading;
    cells.resize(2, String::new());
    cells.push(run.to_owned());
    cells.push(grouped(percentiles.count));
    cells.extend(percentiles.values().map(human));
    cells
}

fn table(first: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(first.iter().chain(&Percentiles::TITLES));
    table
}

/// Numbers to the right: the columns from `first` on.
fn align(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Without the blanks at the ends of lines.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{interval, run};

    fn example(name: &str, factor: u64) -> Run {
        let values: Vec<u64> = (1..=1_000).map(|us| us * factor).collect();
        let mut intervals = Vec::new();
        for second in 0..10 {
            intervals.push(interval("s0", "turn", 10 * second, &values));
            intervals.push(interval("s1", "turn", 10 * second, &values[..500]));
            intervals.push(interval(
                "s0",
                "invite_in_to_out",
                10 * second,
                &[20 * factor],
            ));
        }
        intervals.push(interval("s0", "turn", 100, &[90_000]));
        run(name, intervals)
    }

    #[test]
    fn the_table_of_a_run() {
        insta::assert_snapshot!(Report::of(&example("night.hlog", 1)).unwrap().to_text(), @r#"
        night.hlog: 110 s, 31 intervals
         metric            of    count      p50      p90      p99    p99.9   p99.99      max
         invite_in_to_out  all      10  20.0 us  20.0 us  20.0 us  20.0 us  20.0 us  20.0 us
         turn              all  15,001   376 us   851 us   986 us   999 us  1.00 ms  90.0 ms
         turn              s0   10,001   501 us   901 us   991 us  1.00 ms  1.00 ms  90.0 ms
         turn              s1    5,000   250 us   450 us   495 us   500 us   500 us   500 us
        intervals that stand out (p99 or max above twice the median of all intervals and above it by 6 deviations (1.4826 MAD)):
          at     100 s  turn                 max   90.0 ms, usually 1.00 ms
        "#);
    }

    #[test]
    fn two_runs_side_by_side() {
        let report = |name, factor| Report::of(&example(name, factor)).unwrap();
        let comparison = Comparison::of(report("before.hlog", 1), report("after.hlog", 2));
        insta::assert_snapshot!(comparison.to_text(), @r#"
        A: before.hlog: 110 s, 31 intervals
        B: after.hlog: 110 s, 31 intervals
         metric            of   run   count      p50      p90      p99    p99.9   p99.99      max
         invite_in_to_out  all  A        10  20.0 us  20.0 us  20.0 us  20.0 us  20.0 us  20.0 us
                                B        10  40.1 us  40.1 us  40.1 us  40.1 us  40.1 us  40.1 us
                                B/A           x 2.00   x 2.00   x 2.00   x 2.00   x 2.00   x 2.00
         turn              all  A    15,001   376 us   851 us   986 us   999 us  1.00 ms  90.0 ms
                                B    15,001   752 us  1.70 ms  1.97 ms  2.00 ms  2.00 ms  90.0 ms
                                B/A           x 2.00   x 2.00   x 2.00   x 2.00   x 2.00   x 1.00
         turn              s0   A    10,001   501 us   901 us   991 us  1.00 ms  1.00 ms  90.0 ms
                                B    10,001  1.00 ms  1.80 ms  1.98 ms  2.00 ms  2.00 ms  90.0 ms
                                B/A           x 2.00   x 2.00   x 2.00   x 2.00   x 2.00   x 1.00
         turn              s1   A     5,000   250 us   450 us   495 us   500 us   500 us   500 us
                                B     5,000   500 us   900 us   990 us  1.00 ms  1.00 ms  1.00 ms
                                B/A           x 2.00   x 2.00   x 2.00   x 2.00   x 2.00   x 2.00
        "#);
    }

    #[test]
    fn what_only_one_run_has_is_shown_without_a_ratio() {
        let of = |metric| Report::of(&run("r", vec![interval("s0", metric, 0, &[5])])).unwrap();
        let comparison = Comparison::of(of("turn"), of("setup"));
        assert!(comparison.ratios.is_empty());
        let text = comparison.to_text();
        assert!(
            text.contains("turn") && text.contains("setup") && !text.contains("B/A"),
            "{text}"
        );
    }
}
