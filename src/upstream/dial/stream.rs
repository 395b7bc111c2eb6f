//! The bytes between us and a server. How many it may send unasked has an end: whatever listens there must not fill our
//! memory with an answer that never ends.
#![forbid(unsafe_code)]

use redis::{ConnectionAddr, ErrorKind, RedisError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Most bytes in answer to what was last written. A page has about 120 kB with a million records and 12 MB with a hundred
/// million, and a read of a thousand entries 250 kB.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Any kind of connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that ends when it brings too much.
pub(crate) struct Bounded {
    stream: Box<dyn Stream>,
    left: usize,
}

impl Bounded {
    /// Connects. `tls` is for addresses that ask for it.
    pub(crate) async fn connect(
        address: &ConnectionAddr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, RedisError> {
        let stream: Box<dyn Stream> = match address {
            ConnectionAddr::Unix(path) => Box::new(UnixStream::connect(path).await?),
            ConnectionAddr::Tcp(host, port) => Box::new(tcp(host, *port).await?),
            ConnectionAddr::TcpTls { host, port, .. } => {
                let config = tls.ok_or_else(|| unusable("no authorities for TLS"))?;
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| unusable("no name for TLS"))?;
                let stream = tcp(host, *port).await?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, stream).await?)
            }
            _ => return Err(unusable("an address of another kind")),
        };
        Ok(Self {
            stream,
            left: ANSWER_BYTES_MAX,
        })
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn unusable(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, what))
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("an answer without an end")));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.left = ANSWER_BYTES_MAX;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
