//! TLS as a client has it, with a certificate that changes while the listener stays.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{PaperEngine, settings};
use crate::plane::{self, Plane};
use crate::settings::{Settings, TlsFiles};

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/tests/certificates", name]
        .iter()
        .collect()
}

fn with(certificate: &str, key: &str) -> Settings {
    let tls = Some(TlsFiles {
        certificate: file(certificate),
        key: file(key),
    });
    Settings {
        tls,
        ..settings(false)
    }
}

async fn start(mut settings: Settings) -> (Plane, SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    settings.address = free.local_addr().expect("bound");
    drop(free);
    let (address, security) = (settings.address, settings.secure().expect("safe"));
    let engine = Box::new(PaperEngine::default());
    let (_, listening) = crate::news::channel();
    let now = std::time::SystemTime::now();
    let plane = plane::start(settings, security, engine, now, Arc::default(), listening);
    (plane.await.expect("started"), address)
}

fn trusting(certificate: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(file(certificate)).expect("a certificate");
    roots.add(certificate).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn answer(address: SocketAddr, certificate: &str) -> Result<String, std::io::Error> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = trusting(certificate).connect(name, stream).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_new_listener() {
    let (plane, address) = start(with("a.crt", "a.key")).await;
    let told = answer(address, "a.crt").await.expect("an answer");
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    assert!(answer(address, "b.crt").await.is_err());
    plane.renew(with("b.crt", "b.key").secure().expect("safe"));
    assert!(answer(address, "b.crt").await.is_ok());
    assert!(answer(address, "a.crt").await.is_err());
}

#[test]
fn files_that_do_not_fit_are_named() {
    let told = |certificate, key| with(certificate, key).secure().unwrap_err().to_string();
    assert!(told("a.crt", "b.key").starts_with("http.tls_key: does not fit"));
    assert!(told("absent.crt", "a.key").starts_with("http.tls_certificate: "));
    assert!(told("a.key", "a.key").ends_with("holds no certificate"));
    assert!(told("a.crt", "a.crt").starts_with("http.tls_key: "));
}

#[tokio::test]
async fn connections_have_a_bound_and_heads_a_time() {
    let mut few = settings(false);
    few.bounds.connections = 1;
    let (_, address) = start(few).await;
    let mut idle = TcpStream::connect(address).await.expect("connected");
    idle.write_all(b"GET / HT").await.expect("written");
    let mut second = Vec::new();
    let read = TcpStream::connect(address)
        .await
        .expect("connected")
        .read_to_end(&mut second)
        .await;
    assert!(read.is_err() || second.is_empty(), "one too many is closed");
    let mut first = Vec::new();
    let _ = idle.read_to_end(&mut first).await;
    assert!(
        !first.starts_with(b"HTTP/1.1 200"),
        "half a head is cut in the end"
    );
}
