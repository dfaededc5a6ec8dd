//! The axes: latency as its logarithm, with ticks at 1, 2 and 5; percentiles as the logarithm of one in
//! how many, so that 99, 99.9 and 99.99 % are equally far apart; time in a fitting unit.

use std::ops::Range;
use std::time::Duration;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::units::human;

/// An axis: what it spans and where its ticks are.
pub(super) struct Axis {
    pub(super) range: Range<f64>,
    pub(super) ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        pixels.0 + (f64::from(pixels.1 - pixels.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Where a latency is.
pub(super) fn latency_at(ns: u64) -> f64 {
    (ns.max(1) as f64).log10()
}

/// What a tick of the latency axis says.
pub(super) fn latency_label(at: &f64) -> String {
    let text = human(10f64.powf(*at).round() as u64);
    // A tick is a round number: "20.0 us" says no more than "20 us".
    match text.split_once(' ') {
        Some((value, unit)) if value.contains('.') => {
            format!(
                "{} {unit}",
                value.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

/// An axis for latencies between these, at least a decade.
pub(super) fn latencies(least_ns: u64, most_ns: u64) -> Axis {
    let (low, high) = (latency_at(least_ns), latency_at(most_ns));
    let (mut start, mut end) = (low.floor(), high);
    // A wide axis begins at a decade; a narrow one where its values do.
    if high - low < 2.0 {
        start = (low - 0.1).max(0.0);
        end = high.max(start + 1.0);
    }
    let range = start..end + 0.12;
    let decades = (start.floor() as i32)..=(range.end.ceil() as i32);
    let steps: &[f64] = if range.end - range.start > 5.0 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let ticks = decades.flat_map(|decade| {
        let of = |step: &f64| f64::from(decade) + step.log10();
        steps.iter().map(of).collect::<Vec<_>>()
    });
    let ticks = ticks.filter(|tick| range.contains(tick)).collect();
    Axis { range, ticks }
}

/// Where a quantile below 1 is.
pub(super) fn quantile_at(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-12).log10()
}

/// What a tick of the percentile axis says.
pub(super) fn quantile_label(at: &f64) -> String {
    let percent = 100.0 * (1.0 - 10f64.powf(-at));
    let digits = (at.ceil() as usize).saturating_sub(2);
    format!("{percent:.digits$}%")
}

/// An axis that shows one in `count`.
pub(super) fn quantiles(count: u64) -> Axis {
    let end = (count.max(10) as f64).log10().clamp(1.0, 9.0);
    let mut ticks = vec![0.0, quantile_at(0.5)];
    ticks.extend((1..=end.floor() as i32).map(f64::from));
    Axis {
        range: 0.0..end,
        ticks,
    }
}

/// A unit of time in which this length is a handy number: its name and its seconds.
pub(super) fn time_unit(length: Duration) -> (&'static str, f64) {
    match length.as_secs() {
        0..=600 => ("seconds", 1.0),
        601..=36_000 => ("minutes", 60.0),
        _ => ("hours", 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, label: impl Fn(&f64) -> String) -> String {
        axis.ticks.iter().map(label).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn latency_ticks_are_round_numbers_with_units() {
        let axis = latencies(1_200, 90_000);
        assert_eq!(
            labels(&axis, latency_label),
            "1 us, 2 us, 5 us, 10 us, 20 us, 50 us, 100 us"
        );
        let wide = latencies(700, 900_000_000);
        assert_eq!(
            labels(&wide, latency_label),
            "100 ns, 1 us, 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s"
        );
        let narrow = latencies(20_000, 21_000);
        assert_eq!(
            labels(&narrow, latency_label),
            "20 us, 50 us, 100 us, 200 us"
        );
    }

    #[test]
    fn every_latency_is_on_its_axis() {
        for (least, most) in [(0, 0), (1, 60_000_000_000), (500, 500), (7, 70_000)] {
            let axis = latencies(least, most);
            assert!(axis.range.contains(&latency_at(least)), "{least}");
            assert!(axis.range.contains(&latency_at(most)), "{most}");
            assert!(axis.ticks.len() >= 2, "{least} {most}");
        }
    }

    #[test]
    fn percentile_ticks_are_nines() {
        let axis = quantiles(1_000_000);
        assert_eq!(
            labels(&axis, quantile_label),
            "0%, 50%, 90%, 99%, 99.9%, 99.99%, 99.999%, 99.9999%"
        );
        assert_eq!(labels(&quantiles(5), quantile_label), "0%, 50%, 90%");
    }

    #[test]
    fn time_has_a_handy_unit() {
        let unit = |seconds| time_unit(Duration::from_secs(seconds)).0;
        assert_eq!(
            [unit(60), unit(3_600), unit(86_400)],
            ["seconds", "minutes", "hours"]
        );
    }
}
