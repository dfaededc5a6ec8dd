//! Plots of runs as SVG text. Fonts are named, not embedded: whoever shows the picture brings them.

mod axis;
mod percentiles;
mod times;

pub use percentiles::percentile_plot;
pub use times::time_plot;

use plotters::prelude::*;

use crate::error::MergeError;

/// Colours that most colour-blind people tell apart (Okabe and Ito), darkest first.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(148, 103, 60),
];

const GRID: RGBColor = RGBColor(222, 222, 222);
const FONT: &str = "sans-serif";
const WIDTH: u32 = 1_000;

/// A plot could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// Its histograms do not fit together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// There is nothing to draw.
    #[error("nothing was recorded that could be drawn")]
    Empty,
    /// The drawing itself: a defect.
    #[error("cannot draw: {0}")]
    Drawing(String),
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> PlotError {
        PlotError::Drawing(error.to_string())
    }
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}
