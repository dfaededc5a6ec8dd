//! Connections: accepted up to a bound, TLS where configured, one HTTP/1.1 server on each. A peer that does
//! not read, or does not finish what it began, loses its connection.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::access::Peer;
use crate::api;
use crate::plane::Plane;

/// Bytes of a request's head.
const HEAD_BYTES: usize = 32_768;

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("http.address {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens, and serves from now on.
pub(crate) fn open(plane: &Plane) -> Result<(), BindError> {
    let address = plane.settings.address;
    let failed = |source| BindError { address, source };
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(socket).map_err(failed)?;
    let own = listener.local_addr().map_err(failed)?;
    let tls = plane.settings.tls.is_some();
    tracing::info!(address = %own, tls, tokens = plane.settings.tokens.len(), "HTTP API");
    tokio::spawn(accept(plane.clone(), listener));
    Ok(())
}

async fn accept(plane: Plane, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(plane.settings.bounds.connections));
    let router = api::router(&plane);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No more files, most likely: they come back when connections end.
                tracing::warn!(%error, "HTTP connection not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            metrics::counter!("tipring_http_connections_refused_total").increment(1);
            continue;
        };
        let (plane, router) = (plane.clone(), router.clone());
        tokio::spawn(async move {
            serve(&plane, router, stream, peer).await;
            drop(permit);
        });
    }
}

async fn serve(plane: &Plane, router: Router, stream: TcpStream, peer: SocketAddr) {
    let patience = plane.settings.bounds.patience;
    // Who does not take what was sent for so long has gone, or wants to keep us busy.
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(patience));
    let _ = stream.set_nodelay(true);
    let tls = plane.security.load().tls.clone();
    let Some(tls) = tls else {
        return talk(plane, router, stream, peer).await;
    };
    match tokio::time::timeout(patience, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => talk(plane, router, stream, peer).await,
        outcome => tracing::debug!(%peer, error = ?outcome.err(), "TLS was not agreed on"),
    }
}

async fn talk<S>(plane: &Plane, router: Router, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(plane.settings.bounds.patience)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "HTTP connection ended early");
    }
}
