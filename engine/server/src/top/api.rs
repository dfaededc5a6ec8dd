//! Requests to a router's HTTP API, over TCP or TLS, each on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::TopError;
use crate::cli;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer; a page of 200 calls and the numbers of 256 shards are far below.
const ANSWER_BYTES: usize = 16 << 20;

/// Who is asked, and how.
pub(super) struct Client {
    url: String,
    server: Uri,
    token: Option<HeaderValue>,
    tls: Option<TlsConnector>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failed(pub(super) String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Failed {
        // hyper says why only in the source.
        let source = error.source().map(|source| format!(": {source}"));
        Failed(format!("{error}{}", source.unwrap_or_default()))
    }
}

impl Client {
    /// A client of the router that was named.
    pub(super) fn new(arguments: &cli::Top) -> Result<Client, TopError> {
        let url = arguments.url.trim_end_matches('/').to_owned();
        let wrong = |reason: String| TopError::Url {
            url: arguments.url.clone(),
            reason,
        };
        let server: Uri = url.parse().map_err(|_| wrong("is no URL".into()))?;
        let tls = match server.scheme_str() {
            Some("http") => None,
            Some("https") => Some(connector(arguments)?),
            _ => return Err(wrong("must begin with http:// or https://".into())),
        };
        let token = arguments.token.clone();
        let token = token.or_else(|| std::env::var("TIPRING_TOKEN").ok());
        let bearer = |token: String| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
            value.iter_mut().for_each(|value| value.set_sensitive(true));
            value.map_err(|_| TopError::Token)
        };
        Ok(Client {
            server,
            token: token.map(bearer).transpose()?,
            tls,
            url,
        })
    }

    /// Who is asked.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What is at this path, as a value.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        let read = async {
            let body = self.open(path).await?.into_body();
            let body = Limited::new(body, ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| Failed(error.to_string()))?.to_bytes();
            serde_json::from_slice(&body).map_err(|_| Failed("this is no tipring".into()))
        };
        let patient = tokio::time::timeout(PATIENCE, read).await;
        patient.unwrap_or_else(|_| Err(Failed("no answer in time".into())))
    }

    /// The begin of an answer with status 200.
    pub(super) async fn open(&self, path: &str) -> Result<Response<Incoming>, Failed> {
        let host = self.server.host().unwrap_or_default();
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = self.server.port_u16();
        let port = port.unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((bare.as_str(), port)).await?;
        let response = match &self.tls {
            None => self.ask(stream, path).await?,
            Some(tls) => {
                let name = ServerName::try_from(bare)?;
                self.ask(tls.connect(name, stream).await?, path).await?
            }
        };
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::UNAUTHORIZED => Err(Failed(
                "needs a token: --token, or TIPRING_TOKEN in the environment".into(),
            )),
            status => Err(Failed(format!("answers {status}"))),
        }
    }

    async fn ask<S>(&self, stream: S, path: &str) -> Result<Response<Incoming>, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut line, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer; its errors show there.
        tokio::spawn(connection);
        let host = self.server.authority().map_or("", |it| it.as_str());
        let base = self.server.path().trim_end_matches('/');
        let mut request = Request::get(format!("{base}{path}")).header(HOST, host);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        Ok(line
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?)
    }
}

/// Trusts what the file says, or else what the system trusts.
fn connector(arguments: &cli::Top) -> Result<TlsConnector, TopError> {
    let mut roots = RootCertStore::empty();
    match &arguments.ca {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let wrong = |reason: String| TopError::Authority {
                path: path.clone(),
                reason,
            };
            let found = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = found.map_err(|error| wrong(error.to_string()))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(wrong("holds no certificate".into()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| TopError::Url {
        url: arguments.url.clone(),
        reason: error.to_string(),
    })?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
