//! From what is known to a picture, at any width. What peers say is printed without control characters.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, Wrap};

use super::numbers::{Session, Stats};
use super::screen::{Link, Screen, Tab};

/// Below this many columns less is shown.
const WIDE: u16 = 80;
/// What the router adds to the set-up of a call.
const SET_UP: &str = "invite_in_to_out";
/// How long datagrams lie in a shard's sockets.
const QUEUE: &str = "kernel_queue_wait";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let area = frame.area();
    let wide = area.width >= WIDE;
    let shards = screen.stats.as_ref().map_or(0, |stats| stats.shards.len());
    let most = usize::from(area.height / 3);
    let rows = [
        Constraint::Length(1),
        Constraint::Length(if wide { 4 } else { 8 }),
        Constraint::Length(shards.min(most) as u16 + 2),
        Constraint::Min(2),
        Constraint::Length(1),
    ];
    let [head, numbers, table, lower, foot] = Layout::vertical(rows).areas(area);
    frame.render_widget(Paragraph::new(headline(screen)), head);
    match &screen.stats {
        Some(stats) => {
            let figures = Paragraph::new(figures(stats, wide)).wrap(Wrap { trim: true });
            frame.render_widget(figures, numbers);
            frame.render_widget(load(stats, wide), table);
        }
        None => frame.render_widget(Paragraph::new("no numbers yet"), numbers),
    }
    match screen.tab {
        Tab::Calls => draw_calls(frame, screen, lower),
        Tab::Events => draw_events(frame, screen, lower),
    }
    let keys = Line::styled("q quit  p pause  tab calls/events", dim());
    frame.render_widget(Paragraph::new(keys), foot);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn alarm() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

fn headline(screen: &Screen) -> Line<'_> {
    let (word, style) = match &screen.link {
        Link::Connecting => ("connecting".to_owned(), dim()),
        Link::Up if screen.paused => ("paused".to_owned(), alarm()),
        Link::Up => ("up".to_owned(), Style::new().fg(Color::Green)),
        Link::Lost(reason) => (format!("reconnecting: {}", plain(reason)), alarm()),
    };
    let mut spans = vec![
        Span::styled("tipring ", bold()),
        Span::raw(&screen.url),
        Span::raw("  "),
        Span::styled(word, style),
    ];
    if let Some(stats) = &screen.stats {
        let mib = stats.resident_bytes >> 20;
        let up = time(stats.uptime_s);
        let text = format!("  {}  {up}  {mib} MiB", plain(&stats.version));
        spans.push(Span::styled(text, dim()));
    }
    Line::from(spans)
}

/// The main numbers, some in a line where there is room.
fn figures(stats: &Stats, wide: bool) -> Vec<Line<'static>> {
    let total = &stats.total;
    let users = match stats.directory_users {
        0 => stats.registered_users.to_string(),
        users => format!("{} of {users}", stats.registered_users),
    };
    let calls = match stats.limit("limits.calls") {
        Some(limit) => format!("{} of {limit}", total.calls),
        None => total.calls.to_string(),
    };
    let set_up = match stats.slowest(SET_UP) {
        Some(times) => times.map(micros).join(" / "),
        None => "none".to_owned(),
    };
    let admission = if total.overloaded { "limited" } else { "open" };
    let groups = [
        vec![
            ("CAPS", format!("{:.1}", total.calls_per_s), false),
            ("calls", calls, false),
            ("registered", users, false),
            ("streams", total.media_streams.to_string(), false),
        ],
        vec![("set-up p50/p99/p99.9", set_up, false)],
        vec![
            ("refused", total.calls_limited.to_string(), false),
            ("failed", total.calls_failed.to_string(), false),
            (
                "kernel drops",
                total.kernel_drops.to_string(),
                total.kernel_drops > 0,
            ),
            ("retransmissions", total.retransmissions.to_string(), false),
            ("admission", admission.to_owned(), total.overloaded),
        ],
    ];
    let each = if wide { 5 } else { 2 };
    let lines = groups.iter().flat_map(|group| group.chunks(each));
    lines
        .map(|line| Line::from_iter(line.iter().flat_map(figure)))
        .collect()
}

fn figure((name, value, alarming): &(&'static str, String, bool)) -> [Span<'static>; 3] {
    let style = if *alarming { alarm() } else { bold() };
    [
        Span::styled(format!("{name} "), dim()),
        Span::styled(value.clone(), style),
        Span::raw("   "),
    ]
}

/// The shards, the busiest of them in red.
fn load(stats: &Stats, wide: bool) -> Table<'static> {
    let rows = stats.shards.iter().enumerate().map(|(number, shard)| {
        let of = |metric| stats.latency(number, metric).map(|it| micros(it.p99_us));
        let cells = vec![
            number.to_string(),
            format!("{:.1}%", shard.busy_permille as f64 / 10.0),
            shard.calls.to_string(),
            format!("{:.1}", shard.calls_per_s),
            of(QUEUE).unwrap_or_else(|| "-".to_owned()),
            of(SET_UP).unwrap_or_else(|| "-".to_owned()),
            format!("{:.0}", shard.datagrams_per_s),
            shard.kernel_drops.to_string(),
            format!("{}/{}", shard.calls_answered, shard.calls_started),
        ];
        let busy = shard.busy_permille >= 900 || shard.overloaded;
        Row::new(shorten(cells, wide)).style(if busy { alarm() } else { Style::new() })
    });
    let names = [
        "shard",
        "busy",
        "calls",
        "CAPS",
        "queue p99",
        "set-up p99",
        "datagrams/s",
        "drops",
        "answered/started",
    ];
    let widths = [5, 6, 8, 9, 10, 10, 11, 6, 18].map(Constraint::Length);
    let names = shorten(names.map(String::from).into(), wide);
    let widths = widths.into_iter().take(names.len());
    Table::new(rows, widths).header(Row::new(names).style(dim()))
}

/// What fits into a narrow terminal.
fn shorten(mut cells: Vec<String>, wide: bool) -> Vec<String> {
    cells.truncate(if wide { cells.len() } else { 4 });
    cells
}

fn draw_calls(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let now = screen.stats.as_ref().map_or(0, |stats| stats.now_unix_ms);
    let wide = area.width >= WIDE;
    let row = |call: &Session| {
        let seconds = now.saturating_sub(call.began_unix_ms) / 1_000;
        let cells = vec![
            time(seconds),
            plain(&call.state),
            plain(&call.from),
            plain(&call.to),
            plain(&call.caller),
            call.callee.as_deref().map_or("-".to_owned(), plain),
        ];
        Row::new(shorten(cells, wide))
    };
    let widths = [
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(21),
        Constraint::Length(21),
    ];
    let total = screen.stats.as_ref().map_or(0, |stats| stats.total.calls);
    let title = match screen.calls.len() as u64 {
        shown if shown < total => format!("calls, the longest of {shown} looked at"),
        _ => "calls, the longest first".to_owned(),
    };
    let kept = if wide { 6 } else { 4 };
    let table = Table::new(screen.calls.iter().map(row), widths.into_iter().take(kept));
    frame.render_widget(table.block(panel(title)), area);
}

fn draw_events(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let lines: Vec<Line<'_>> = screen
        .events
        .iter()
        .map(|event| Line::raw(plain(event)))
        .collect();
    let title = "events, the latest first".to_owned();
    frame.render_widget(Paragraph::new(lines).block(panel(title)), area);
}

fn panel(title: String) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(title)
}

/// Without characters that would command a terminal.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

fn micros(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.0} us"),
        us if us < 1_000_000.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

fn time(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours}h"),
    }
}
