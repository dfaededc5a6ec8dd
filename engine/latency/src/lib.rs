//! Latencies as HDR histograms: recorded in a [`Set`] without allocation, written as a `.hlog`
//! interval log by [`LogWriter`], read back by [`Log`], put together as a [`Run`] and told by a
//! [`Report`]. Values are nanoseconds everywhere; times come from the caller. What may not live here: a clock, a file, a thread, or
//! anything that knows what is being measured beyond its name.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

mod base64;
mod error;
mod log_reader;
mod log_writer;
mod metric;
mod outliers;
mod percentiles;
mod plot;
mod report;
mod run;
mod set;
mod units;

pub use error::{MergeError, ReadError, WriteError};
pub use log_reader::{Interval, Log};
pub use log_writer::{Header, LogWriter, Span};
pub use metric::Metric;
pub use outliers::Outlier;
pub use percentiles::Percentiles;
pub use plot::{PlotError, percentile_plot, time_plot};
pub use report::{Comparison, Ratio, Report, Row};
pub use run::{Filter, Run};
pub use set::{HIGHEST_NS, Histogram, LOWEST_NS, Set, histogram};
