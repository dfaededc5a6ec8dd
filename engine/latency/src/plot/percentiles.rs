//! The percentile plot: latency over percentile, a line for each metric; of two runs the first drawn
//! through, the second dashed.

use plotters::prelude::*;
use plotters::series::DashedLineSeries;

use super::axis::{self, Axis};
use super::{FONT, GRID, PlotError, WIDTH, colour};
use crate::run::Run;
use crate::set::Histogram;

const HEIGHT: u32 = 620;

/// Points of a line for each halving of what is left to 100 %.
const POINTS_PER_HALVING: u32 = 10;

/// What lies below this quantile is drawn at the bottom: a few turns without work would take half of
/// the picture.
const LEAST_SHOWN: f64 = 0.02;

/// A line of the plot.
struct Line {
    label: String,
    /// Lines of one metric share a colour.
    colour: RGBColor,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// The runs' metrics over their percentiles, all sources merged: one run, or two to be compared.
///
/// # Errors
/// [`PlotError`]
pub fn percentile_plot(runs: &[&Run]) -> Result<String, PlotError> {
    let (lines, count, span) = lines(runs)?;
    let (x, y) = (axis::quantiles(count), axis::latencies(span.0, span.1));
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = format!(
        "Latency by percentile: {}",
        names.join(" (lines), ") + if runs.len() > 1 { " (dashes)" } else { "" }
    );
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area, &title, &lines, x, y)?;
        area.present()?;
    }
    Ok(svg)
}

type Spanned = (Vec<Line>, u64, (u64, u64));

/// Every line, the greatest count, and the least and greatest latency to be shown.
fn lines(runs: &[&Run]) -> Result<Spanned, PlotError> {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in runs.iter().flat_map(|run| run.metrics()) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let (mut lines, mut count, mut least, mut most) = (Vec::new(), 0, u64::MAX, 0);
    for (place, metric) in metrics.iter().enumerate() {
        for (number, run) in runs.iter().enumerate() {
            let histogram = run.merged(metric, None)?;
            if histogram.is_empty() {
                continue;
            }
            count = count.max(histogram.len());
            least = least.min(histogram.value_at_quantile(LEAST_SHOWN).max(1));
            most = most.max(histogram.max());
            let second = number > 0;
            lines.push(Line {
                label: label(metric, run, runs.len() > 1),
                colour: colour(place),
                dashed: second,
                points: points(&histogram),
            });
        }
    }
    match lines.is_empty() {
        true => Err(PlotError::Empty),
        false => Ok((lines, count, (least, most))),
    }
}

fn label(metric: &str, run: &Run, several: bool) -> String {
    match several {
        true => format!("{metric}, {}", run.name),
        false => metric.to_owned(),
    }
}

fn points(histogram: &Histogram) -> Vec<(f64, f64)> {
    // The last value has nothing above it: it stands at one in all of them.
    let end = (histogram.len().max(10) as f64).log10();
    let point =
        |quantile: f64, ns: u64| (axis::quantile_at(quantile).min(end), axis::latency_at(ns));
    let steps = histogram.iter_quantiles(POINTS_PER_HALVING);
    let mut points = vec![point(0.0, histogram.min().max(1))];
    points.extend(steps.map(|step| {
        point(
            step.quantile_iterated_to(),
            step.value_iterated_to().min(histogram.max()),
        )
    }));
    points.push((end, axis::latency_at(histogram.max())));
    points
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    lines: &[Line],
    x: Axis,
    y: Axis,
) -> Result<(), PlotError> {
    let bottom = y.range.start;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 22))
        .margin(16)
        .margin_right(36)
        .x_label_area_size(52)
        .y_label_area_size(82)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(GRID)
        .x_desc("percentile")
        .y_desc("latency")
        .x_label_formatter(&axis::quantile_label)
        .y_label_formatter(&axis::latency_label)
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .draw()?;
    for line in lines {
        let (colour, dashed) = (line.colour, line.dashed);
        let points = line.points.iter().map(|(x, y)| (*x, y.max(bottom)));
        let drawn = match dashed {
            true => {
                chart.draw_series(DashedLineSeries::new(points, 7, 4, colour.stroke_width(2)))?
            }
            false => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
        };
        drawn.label(&line.label).legend(move |(x, y)| {
            // Two dashes, or one line.
            let end = if dashed { x + 9 } else { x + 24 };
            PathElement::new(vec![(x, y), (end, y)], colour.stroke_width(3))
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .legend_area_size(34)
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{interval, run};

    fn example(name: &str, factor: u64) -> Run {
        let us: Vec<u64> = (1..=1_000).map(|us| us * factor).collect();
        let invite = interval("s0", "invite_in_to_out", 0, &us);
        run(name, vec![interval("s0", "turn", 0, &us), invite])
    }

    #[test]
    fn a_line_for_each_metric_with_legend_and_units() {
        let svg = percentile_plot(&[&example("night", 1)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in [
            "night",
            "invite_in_to_out",
            "turn",
            "99.9%",
            "100 us",
            "1 ms",
            "percentile",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2);
    }

    #[test]
    fn a_comparison_has_both_runs() {
        let svg = percentile_plot(&[&example("before", 1), &example("after", 3)]).unwrap();
        assert!(svg.contains("turn, before") && svg.contains("turn, after"));
    }

    #[test]
    fn a_line_reaches_from_the_least_to_the_greatest() {
        let us: Vec<u64> = (1..=1_000).collect();
        let points = points(&interval("s0", "turn", 0, &us).histogram);
        let (first, last) = (points[0], points[points.len() - 1]);
        assert!(first.0 == 0.0 && (first.1 - 3.0).abs() < 0.02, "{first:?}");
        assert!(
            (last.0 - 3.0).abs() < 1e-9 && (last.1 - 6.0).abs() < 0.001,
            "{last:?}"
        );
        assert!(
            points
                .windows(2)
                .all(|two| two[0].0 <= two[1].0 && two[0].1 <= two[1].1)
        );
    }

    #[test]
    fn nothing_is_no_plot() {
        assert!(matches!(
            percentile_plot(&[&run("r", Vec::new())]),
            Err(PlotError::Empty)
        ));
    }
}
