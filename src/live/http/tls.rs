//! TLS by rustls, in and out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("cannot read {what} from `{}`: {why}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("the certificate in `{}` and its key cannot be used: {why}", path.display())]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system's list of authorities cannot be read.
    #[error("cannot read the system's certificate authorities: {0}")]
    System(io::Error),
}

/// What a server shows to its clients: a chain of certificates and its key, both PEM.
///
/// # Errors
/// If one of the files does not hold what it should, or they do not go together.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let unreadable =
        |why: &dyn ToString| TlsError::File { what: "a private key (PEM)", path: key.to_owned(), why: why.to_string() };
    let private = PrivateKeyDer::from_pem_file(key).map_err(|why| unreadable(&why))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private);
    let mut config = config.map_err(|why| TlsError::Unfit { path: certificate.to_owned(), why: why.to_string() })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whom a client trusts: the authorities in a PEM file, or those that the system does.
///
/// # Errors
/// If they cannot be read.
pub fn client_config(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder();
    let builder = match authorities {
        None => builder.with_native_roots().map_err(TlsError::System)?,
        Some(path) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates(path)? {
                let added = store.add(certificate);
                added.map_err(|why| TlsError::File { what: "an authority", path: path.to_owned(), why: why.to_string() })?;
            }
            builder.with_root_certificates(store)
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why: String| TlsError::File { what: "certificates (PEM)", path: path.to_owned(), why };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|why| unreadable(why.to_string()))?;
    if found.is_empty() { Err(unreadable("there is none in it".to_owned())) } else { Ok(found) }
}
