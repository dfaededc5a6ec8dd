//! The time plot: for each metric a panel with p50, p99, p99.9 and the maximum of every interval, and
//! rings around those that stand out.

use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis;
use super::{FONT, GRID, PlotError, WIDTH, colour};
use crate::outliers::{self, Outlier};
use crate::run::Run;
use crate::set::Histogram;

const PANEL_HEIGHT: u32 = 260;

/// What is drawn of each interval.
const LINES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// The axis is this much longer than the run, so that the legend hides nothing.
const LEGEND_ROOM: f64 = 1.13;

const RING: RGBColor = RGBColor(200, 0, 0);

/// Where the panel's lines begin and end, and in which unit.
struct TimeAxis {
    unit: &'static str,
    seconds: f64,
    end: f64,
}

/// The metrics of a run over time, all sources merged.
///
/// # Errors
/// [`PlotError`]
pub fn time_plot(run: &Run) -> Result<String, PlotError> {
    let metrics = run.metrics();
    if metrics.is_empty() {
        return Err(PlotError::Empty);
    }
    let (unit, seconds) = axis::time_unit(run.length);
    let end = (run.length.as_secs_f64() / seconds).max(1e-3);
    let time = TimeAxis { unit, seconds, end };
    let height = PANEL_HEIGHT * metrics.len() as u32 + 40;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let title = format!("Latency over time: {}", run.name);
        let panels = area
            .titled(&title, (FONT, 22))?
            .split_evenly((metrics.len(), 1));
        for (metric, panel) in metrics.into_iter().zip(&panels) {
            draw(panel, run, metric, &time)?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn draw(
    panel: &DrawingArea<SVGBackend<'_>, Shift>,
    run: &Run,
    metric: &str,
    time: &TimeAxis,
) -> Result<(), PlotError> {
    let slices = run.over_time(metric)?;
    let (least, most) = span(&slices);
    let y = axis::latencies(least, most);
    let mut chart = ChartBuilder::on(panel)
        .caption(metric, (FONT, 17))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(42)
        .y_label_area_size(82)
        .build_cartesian_2d(0.0..time.end * LEGEND_ROOM, y)?;
    let number = |at: &f64| format!("{}", (at * 100.0).round() / 100.0);
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(GRID)
        .x_desc(format!("{} after the begin", time.unit))
        .x_label_formatter(&number)
        .y_label_formatter(&axis::latency_label)
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .draw()?;
    let x = |at: Duration| at.as_secs_f64() / time.seconds;
    for (index, (name, quantile)) in LINES.into_iter().enumerate() {
        let colour = colour(index);
        let points = slices
            .iter()
            .map(|(at, one)| (x(*at), axis::latency_at(value(one, quantile))));
        let series = LineSeries::new(points, colour.stroke_width(2)).point_size(2);
        chart
            .draw_series(series)?
            .label(name)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3))
            });
    }
    let ring = |one: &Outlier| {
        let at = (one.at_s / time.seconds, axis::latency_at(one.value_ns));
        Circle::new(at, 6, RING.stroke_width(2))
    };
    let found = outliers::of_metric(run, metric)?;
    chart.draw_series(found.iter().map(ring))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .legend_area_size(26)
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}

fn value(one: &Histogram, quantile: f64) -> u64 {
    one.value_at_quantile(quantile).min(one.max())
}

/// The least median and the greatest maximum.
fn span(slices: &[(Duration, Histogram)]) -> (u64, u64) {
    let medians = slices.iter().map(|(_, one)| value(one, 0.5));
    let maxima = slices.iter().map(|(_, one)| one.max());
    (medians.min().unwrap_or(1).max(1), maxima.max().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{interval, run};

    #[test]
    fn a_panel_for_each_metric_and_a_ring_around_what_stands_out() {
        let mut intervals = Vec::new();
        for index in 0..12 {
            let max = if index == 7 { 5_000 } else { 60 };
            intervals.push(interval("s0", "turn", 10 * index, &[10, 20, max]));
            intervals.push(interval("s0", "rtp_residence", 10 * index, &[5]));
        }
        let svg = time_plot(&run("night", intervals)).unwrap();
        for text in [
            "night",
            "turn",
            "rtp_residence",
            "p99.9",
            "seconds after the begin",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("#C80000").count(), 1);
    }

    #[test]
    fn one_interval_is_enough() {
        assert!(time_plot(&run("r", vec![interval("s0", "turn", 0, &[10])])).is_ok());
        assert!(matches!(
            time_plot(&run("r", Vec::new())),
            Err(PlotError::Empty)
        ));
    }
}
