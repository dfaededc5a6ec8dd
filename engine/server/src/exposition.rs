//! All metrics as one text, and the listener for scrapes: one small page over plain HTTP, for those who keep
//! Prometheus away from the API.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::board::{Board, Snapshot};
use crate::housekeeping::Summaries;
use crate::metrics::histograms;

/// Scrapes at once; more wait.
const SCRAPES: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the text comes from.
#[derive(Clone)]
pub(crate) struct Exposition {
    /// What the facade has recorded.
    pub(crate) recorded: PrometheusHandle,
    /// The shards' numbers.
    pub(crate) boards: Vec<Board>,
    /// The shards' latencies, when they are measured.
    pub(crate) latencies: Option<Summaries>,
}

impl Exposition {
    /// The text of now.
    pub(crate) fn render(&self) -> String {
        let shards: Vec<Snapshot> = self.boards.iter().map(Board::read).collect();
        let spreads = self.latencies.as_ref().map(Summaries::spreads);
        self.recorded.render() + &histograms::render(&shards, &spreads.unwrap_or_default())
    }
}

/// Listens for scrapes, on the runtime this is called on.
///
/// # Errors
/// The address is not ours, or taken.
pub(crate) async fn listen(address: SocketAddr, exposition: Exposition) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(serve(listener, Arc::new(exposition)));
    Ok(())
}

async fn serve(listener: TcpListener, exposition: Arc<Exposition>) {
    let seats = Arc::new(Semaphore::new(SCRAPES));
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let exposition = Arc::clone(&exposition);
                tokio::spawn(async move {
                    // A client that goes away or dawdles is its own loss.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, exposition)).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a scrape could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, exposition: Arc<Exposition>) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &exposition);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(method: &Method, path: &str, exposition: &Exposition) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/" | "/metrics") => (StatusCode::OK, exposition.render()),
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, "see /metrics\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn only_metrics_are_served() {
        let exposition = Exposition {
            recorded: PrometheusBuilder::new().build_recorder().handle(),
            boards: vec![Board::default()],
            latencies: Some(Summaries::new(1)),
        };
        let status = |method, path| respond(&method, path, &exposition).status().as_u16();
        assert_eq!(status(Method::GET, "/metrics"), 200);
        assert_eq!(status(Method::GET, "/secret"), 404);
        assert_eq!(status(Method::POST, "/metrics"), 405);
        let text = exposition.render();
        for name in [
            "tipring_call_setup_seconds_count",
            "tipring_latency_histogram_seconds_sum",
        ] {
            assert!(text.contains(name), "{text}");
        }
    }
}
