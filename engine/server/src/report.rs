//! `tipring report`: reads interval logs, prints what they say, and draws it. What the figures mean is
//! decided in the room `latency`; here are only files and the order of things.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use latency::{
    Comparison, Filter, Log, MergeError, PlotError, ReadError, Report, Run, percentile_plot,
    time_plot,
};
use serde::Serialize;

use crate::cli;

/// A report could not be made. Each names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// The file cannot be read, or is no log.
    #[error("error: {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no log, or damaged.
    #[error("error: {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// Logs of different programs in one report.
    #[error("error: {0}")]
    Merge(#[from] MergeError),
    /// `--compare` wants two.
    #[error("error: --compare takes two runs, each one file or one directory; there are {0}")]
    NotTwo(usize),
    /// Nothing is left to report.
    #[error("error: {name}: no intervals: nothing was recorded")]
    Empty {
        /// The run.
        name: String,
    },
    /// The filter is too fine.
    #[error("error: {name}: no interval passes the filter; there are {known}")]
    Filtered {
        /// The run.
        name: String,
        /// The tags there are.
        known: String,
    },
    /// A plot cannot be made.
    #[error("error: {0}")]
    Plot(#[from] PlotError),
    /// A plot cannot be written.
    #[error("error: {}: cannot be written: {source}; --svg DIR writes elsewhere, --no-svg not at all", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes the report that was asked for: its text.
pub(crate) fn report(arguments: &cli::Report) -> Result<String, ReportError> {
    let filter = filter(arguments);
    match (arguments.compare, arguments.files.as_slice()) {
        (false, _) => single(arguments, &filter),
        (true, [first, second]) => compare(arguments, [first, second], &filter),
        (true, files) => Err(ReportError::NotTwo(files.len())),
    }
}

fn filter(arguments: &cli::Report) -> Filter {
    // A number is a shard; the generator's logs have sources with names.
    let source = |shard: &String| match shard.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("s{shard}"),
        false => shard.clone(),
    };
    Filter {
        metrics: arguments.metric.clone(),
        sources: arguments.shard.iter().map(source).collect(),
        from: arguments.from.map(seconds),
        until: arguments.to.map(seconds),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn single(arguments: &cli::Report, filter: &Filter) -> Result<String, ReportError> {
    let (run, notes) = load(&arguments.files, filter)?;
    let report = Report::of(&run)?;
    let plots = plots(&[&run], arguments)?;
    match arguments.json {
        true => Ok(json(&report)),
        false => Ok(report.to_text() + &notes + &plots),
    }
}

fn compare(
    arguments: &cli::Report,
    [first, second]: [&PathBuf; 2],
    filter: &Filter,
) -> Result<String, ReportError> {
    let (a, mut notes) = load(std::slice::from_ref(first), filter)?;
    let (b, more) = load(std::slice::from_ref(second), filter)?;
    notes += &more;
    let comparison = Comparison::of(Report::of(&a)?, Report::of(&b)?);
    let plots = plots(&[&a, &b], arguments)?;
    match arguments.json {
        true => Ok(json(&comparison)),
        false => Ok(comparison.to_text() + &notes + &plots),
    }
}

fn json(value: &impl Serialize) -> String {
    // Numbers, strings and lists always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A run of these files, and what is to be noted about them.
fn load(files: &[PathBuf], filter: &Filter) -> Result<(Run, String), ReportError> {
    let mut notes = String::new();
    let mut logs = Vec::new();
    for path in &expand(files)? {
        let log = read(path)?;
        if log.truncated {
            let path = path.display();
            let _ = writeln!(
                notes,
                "note: {path}: the last line is cut off and was left out; its writer was killed or is writing"
            );
        }
        logs.push(log);
    }
    let name = name(files);
    let known = known(&logs);
    let run = Run::new(&name, logs, filter);
    match (run.intervals.is_empty(), known.is_empty()) {
        (false, _) => Ok((run, notes)),
        (true, true) => Err(ReportError::Empty { name }),
        (true, false) => Err(ReportError::Filtered { name, known }),
    }
}

/// The logs in place of the directories they are in.
fn expand(files: &[PathBuf]) -> Result<Vec<PathBuf>, ReportError> {
    let mut all = Vec::new();
    for path in files {
        match path.is_dir() {
            true => all.extend(logs_in(path)?),
            false => all.push(path.clone()),
        }
    }
    Ok(all)
}

fn logs_in(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let failed = |source| ReportError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "hlog")
        {
            logs.push(path);
        }
    }
    logs.sort();
    Ok(logs)
}

fn read(path: &Path) -> Result<Log, ReportError> {
    let bytes = fs::read(path).map_err(|source| ReportError::Read {
        path: path.to_owned(),
        source,
    })?;
    Log::read(&bytes).map_err(|source| ReportError::Log {
        path: path.to_owned(),
        source,
    })
}

/// The tags of these logs, each once.
fn known(logs: &[Log]) -> String {
    let intervals = logs.iter().flat_map(|log| &log.intervals);
    let mut tags: Vec<String> = intervals
        .map(|one| format!("{}/{}", one.source, one.metric))
        .collect();
    tags.sort();
    tags.dedup();
    tags.join(" ")
}

fn name(files: &[PathBuf]) -> String {
    let first = files.first().and_then(|path| path.file_name());
    let first = first.unwrap_or_default().to_string_lossy();
    match files.len() {
        0 | 1 => first.into_owned(),
        all => format!("{first} and {} more", all - 1),
    }
}

/// Draws and writes the plots; a line of text for each.
fn plots(runs: &[&Run], arguments: &cli::Report) -> Result<String, ReportError> {
    if arguments.no_svg {
        return Ok(String::new());
    }
    let base = plot_base(arguments);
    let mut text = write_plot(&base, "percentiles", &percentile_plot(runs)?)?;
    if let [run] = runs {
        text += &write_plot(&base, "times", &time_plot(run)?)?;
    }
    Ok(text)
}

/// Beside the first log, or in the directory asked for, by the log's name.
fn plot_base(arguments: &cli::Report) -> PathBuf {
    let first = arguments.files.first().cloned().unwrap_or_default();
    let mut stem = first.file_stem().unwrap_or_default().to_os_string();
    if let (true, Some(second)) = (arguments.compare, arguments.files.get(1)) {
        stem.push("-and-");
        stem.push(second.file_stem().unwrap_or_default());
    }
    match &arguments.svg {
        Some(directory) => directory.join(stem),
        None => first.with_file_name(stem),
    }
}

fn write_plot(base: &Path, kind: &str, svg: &str) -> Result<String, ReportError> {
    let mut path = base.as_os_str().to_os_string();
    path.push(format!(".{kind}.svg"));
    let path = PathBuf::from(path);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, svg))
        .map_err(|source| ReportError::Write {
            path: path.clone(),
            source,
        })?;
    Ok(format!("wrote {}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(files: &[&str]) -> cli::Report {
        cli::Report {
            files: files.iter().map(PathBuf::from).collect(),
            compare: false,
            metric: Vec::new(),
            shard: Vec::new(),
            from: None,
            to: None,
            svg: None,
            no_svg: false,
            json: false,
        }
    }

    #[test]
    fn plots_lie_beside_the_log_or_where_they_are_wanted() {
        let mut arguments = arguments(&["logs/a.hlog", "logs/b.hlog"]);
        assert_eq!(plot_base(&arguments), Path::new("logs/a"));
        arguments.svg = Some("plots".into());
        assert_eq!(plot_base(&arguments), Path::new("plots/a"));
        arguments.compare = true;
        assert_eq!(plot_base(&arguments), Path::new("plots/a-and-b"));
    }

    #[test]
    fn a_shard_is_a_number_or_a_name() {
        let mut arguments = arguments(&[]);
        arguments.shard = vec!["3".to_owned(), "caller".to_owned()];
        assert_eq!(filter(&arguments).sources, ["s3", "caller"]);
    }

    #[test]
    fn several_logs_are_named_by_the_first() {
        assert_eq!(name(&["x/a.hlog".into()]), "a.hlog");
        assert_eq!(name(&["x/a.hlog".into(), "b".into()]), "a.hlog and 1 more");
    }
}
