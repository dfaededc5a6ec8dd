//! The smallest HTTP client that notifications need: one connection kept alive, one request at a time, TLS by
//! the system's roots.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting and an answer may take together.
const PATIENCE: Duration = Duration::from_secs(5);
/// What an answer may have as body; nobody reads it.
const ANSWER_BYTES: usize = 65_536;

/// What all connections share.
#[derive(Default)]
pub(super) struct Client {
    tls: OnceLock<Result<TlsConnector, String>>,
}

/// A request that got no answer, and why.
#[derive(Debug)]
pub(super) struct Unanswered(#[allow(dead_code, reason = "shown in logs")] String);

impl<E: std::error::Error> From<E> for Unanswered {
    fn from(error: E) -> Unanswered {
        Unanswered(error.to_string())
    }
}

/// The path of a URL, without the slash at its end.
pub(super) fn path_of(url: &str) -> String {
    let path = url.parse::<Uri>().map(|uri| uri.path().to_owned());
    path.unwrap_or_default().trim_end_matches('/').to_owned()
}

/// A connection to one server, made when it is needed.
pub(super) struct Line {
    client: Arc<Client>,
    server: Uri,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// A line to the server of this URL.
    pub(super) fn new(client: Arc<Client>, url: &str) -> Line {
        Line {
            client,
            server: url.parse().unwrap_or_default(),
            open: None,
        }
    }

    /// Sends a request and waits for the status of its answer.
    pub(super) async fn send(
        &mut self,
        method: &Method,
        path: &str,
        body: &str,
    ) -> Result<StatusCode, Unanswered> {
        let sent = tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await;
        let outcome = sent.unwrap_or_else(|_| Err(Unanswered("no answer in time".into())));
        if outcome.is_err() {
            self.open = None;
        }
        outcome
    }

    async fn exchange(
        &mut self,
        method: &Method,
        path: &str,
        body: &str,
    ) -> Result<StatusCode, Unanswered> {
        let mut line = match self.open.take().filter(|line| !line.is_closed()) {
            Some(line) => line,
            None => self.connect().await?,
        };
        line.ready().await?;
        let host = self
            .server
            .authority()
            .map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        let answer = line.send_request(request).await?;
        let status = answer.status();
        // Only a line whose answer was read to its end can be used again.
        if Limited::new(answer.into_body(), ANSWER_BYTES)
            .collect()
            .await
            .is_ok()
        {
            self.open = Some(line);
        }
        Ok(status)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        let https = self.server.scheme_str() == Some("https");
        let host = self.server.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = self
            .server
            .port_u16()
            .unwrap_or(if https { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        if !https {
            return open(stream).await;
        }
        let tls = self.client.tls.get_or_init(connector).as_ref();
        let tls = tls.map_err(|reason| Unanswered(reason.clone()))?;
        let name = ServerName::try_from(host)?;
        open(tls.connect(name, stream).await?).await
    }
}

async fn open<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Unanswered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (line, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the line; its errors show where a request fails.
    tokio::spawn(connection);
    Ok(line)
}

fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
