//! The router's own counters, read over HTTP as Prometheus does.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the router may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Metrics by name and labels, the shards' values added up.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// Reads the metrics whose names begin with `prefix`.
///
/// # Errors
/// Nobody answers at this address.
pub(crate) fn read(address: SocketAddr, prefix: &str) -> io::Result<Metrics> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0, so that the body comes in one piece and not in chunks; one write, so that it is one segment.
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(parse(&text, prefix))
}

fn parse(text: &str, prefix: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| line.starts_with(prefix)) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        if let Ok(value) = value.parse::<f64>() {
            *metrics.entry(without_shard(series)).or_default() += value;
        }
    }
    metrics
}

/// `name{shard="0",kind="x"}` as `name{kind="x"}`, and without braces when nothing is left in them.
fn without_shard(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else {
        return series.to_owned();
    };
    let labels = labels.trim_end_matches('}').split(',');
    let kept: Vec<&str> = labels
        .filter(|label| !label.starts_with("shard="))
        .collect();
    if kept.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", kept.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn shards_are_added_up_and_kinds_kept_apart() {
        let text = "# HELP tipring_media_streams Streams.\ntipring_media_streams{shard=\"0\"} 3\n\
            tipring_media_streams{shard=\"1\"} 4\ntipring_calls{shard=\"0\"} 9\n\
            tipring_media_dropped_total{shard=\"0\",reason=\"idle\"} 1\ntipring_media_odd word\n";
        let metrics = parse(text, "tipring_media_");
        assert_eq!(metrics.get("tipring_media_streams"), Some(&7.0));
        let dropped = metrics.get("tipring_media_dropped_total{reason=\"idle\"}");
        assert_eq!((dropped, metrics.len()), (Some(&1.0), 2));
    }

    #[test]
    fn metrics_are_fetched_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 512];
                let length = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..length]);
            }
            stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\ntipring_media_streams 2\n")
                .unwrap();
            String::from_utf8_lossy(&request).into_owned()
        });
        assert_eq!(
            read(address, "tipring_")
                .unwrap()
                .get("tipring_media_streams"),
            Some(&2.0)
        );
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /metrics HTTP/1.0\r\n")
        );
    }
}
