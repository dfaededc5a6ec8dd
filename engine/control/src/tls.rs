//! Certificate and key from PEM files to what a connection is accepted with. Read again on a reload; a
//! connection keeps what it began with.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::TlsFiles;

/// Why there is no TLS as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read as what it should be.
    #[error("{key}: {path}: {reason}", path = path.display())]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The two do not fit, or are of a kind that is not known.
    #[error("http.tls_key: does not fit http.tls_certificate: {0}")]
    Pair(#[from] rustls::Error),
}

/// Reads both files.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |key, path: &PathBuf| {
        let path = path.clone();
        move |reason: String| TlsError::File { key, path, reason }
    };
    let certificate = wrong("http.tls_certificate", &files.certificate);
    let key = wrong("http.tls_key", &files.key);
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = match chain {
        Ok(chain) if chain.is_empty() => return Err(certificate("holds no certificate".into())),
        Ok(chain) => chain,
        Err(error) => return Err(certificate(error.to_string())),
    };
    let private =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| key(error.to_string()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
