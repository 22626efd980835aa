//! Where connections come from.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::io::Io;

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// The same behind TLS.
    Tls(TcpListener, Arc<ServerConfig>),
    /// A network inside the process.
    Memory(mpsc::UnboundedReceiver<DuplexStream>),
}

/// Why nothing can listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is no address.
    #[error("`{0}` is not an address: write a host and a port, like 127.0.0.1:8080 or [::1]:8080")]
    NotAnAddress(String),
    /// Another program has it.
    #[error("{0} is in use: another program listens there; stop it or take another port")]
    InUse(String),
    /// The system says no.
    #[error("cannot listen at {at}: {why}")]
    Refused {
        /// Where.
        at: String,
        /// Why.
        why: io::Error,
    },
}

/// A connection that has come in, before any TLS.
pub struct Peer {
    raw: Raw,
    tls: Option<TlsAcceptor>,
}

enum Raw {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

impl Listener {
    /// Listens at `address`, `HOST:PORT`; behind TLS with a configuration.
    ///
    /// # Errors
    /// If it is no address, or taken, or not ours to take.
    pub async fn bind(address: &str, tls: Option<Arc<ServerConfig>>) -> Result<Self, ListenError> {
        let mut found = lookup_host(address).await.map_err(|_| ListenError::NotAnAddress(address.to_owned()))?;
        let at = found.next().ok_or_else(|| ListenError::NotAnAddress(address.to_owned()))?;
        let listener = TcpListener::bind(at).await.map_err(|why| match why.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address.to_owned()),
            _ => ListenError::Refused { at: address.to_owned(), why },
        })?;
        Ok(match tls {
            Some(config) => Self::Tls(listener, config),
            None => Self::Tcp(listener),
        })
    }

    /// Where it listens, if that is a port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => listener.local_addr().ok(),
            Self::Memory(_) => None,
        }
    }

    /// The next connection; `None` where no more can come.
    ///
    /// # Errors
    /// If the system cannot give one now (no file descriptors left, connection gone already): the caller may try again.
    pub(super) async fn accept(&mut self) -> io::Result<Option<Peer>> {
        match self {
            Self::Tcp(listener) => Ok(Some(Peer { raw: Raw::Tcp(taken(listener).await?), tls: None })),
            Self::Tls(listener, config) => {
                let tls = Some(TlsAcceptor::from(Arc::clone(config)));
                Ok(Some(Peer { raw: Raw::Tcp(taken(listener).await?), tls }))
            }
            Self::Memory(accepted) => Ok(accepted.recv().await.map(|pipe| Peer { raw: Raw::Memory(pipe), tls: None })),
        }
    }
}

async fn taken(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?; // a token is small and wanted now
    Ok(stream)
}

impl Peer {
    /// The connection, after the TLS handshake where there is one.
    ///
    /// # Errors
    /// If the handshake fails.
    pub(super) async fn ready(self) -> io::Result<Io> {
        match (self.raw, self.tls) {
            (Raw::Tcp(stream), None) => Ok(Io::Tcp(stream)),
            (Raw::Tcp(stream), Some(tls)) => Ok(Io::Accepted(Box::new(tls.accept(stream).await?))),
            (Raw::Memory(pipe), _) => Ok(Io::Memory(pipe)),
        }
    }
}
