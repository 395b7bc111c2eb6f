//! Tells the binary protocol from HTTP by the first byte, and gives back what was read to find out.
#![forbid(unsafe_code)]

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a connection opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A hello of the binary protocol has begun.
    Binary,
    /// Anything else: HTTP knows how to refuse what is not HTTP.
    Http,
}

impl Opening {
    /// What the bytes read so far say; `None` while there are none.
    ///
    /// One byte is enough: the hello's first is no ASCII, and every HTTP request line and the HTTP/2
    /// preface begin with an upper-case letter.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let first = bytes.first()?;
        Some(if Some(first) == super::wire::MAGIC.first() {
            Self::Binary
        } else {
            Self::Http
        })
    }
}

/// Reads until the opening is known, leaving all that was read in `buffer`. `None`: the peer left
/// without a word.
///
/// # Errors
/// What the stream says.
pub async fn sniff(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<Option<Opening>> {
    loop {
        if let Some(opening) = Opening::of(buffer) {
            return Ok(Some(opening));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A stream that first yields what was already read from it.
#[derive(Debug)]
pub struct Replayed<S> {
    head: Bytes,
    stream: S,
}

impl<S> Replayed<S> {
    /// `stream`, with `head` put back in front.
    pub fn new(head: Bytes, stream: S) -> Self {
        Self { head, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let bytes = self.head.len().min(into.remaining());
        into.put_slice(self.head.get(..bytes).unwrap_or_default());
        self.head.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_hello_are_told_apart_by_one_byte() {
        assert_eq!(Opening::of(b""), None);
        assert_eq!(Opening::of(b"\x89"), Some(Opening::Binary));
        for http in ["GET / HTTP/1.1", "PRI * HTTP/2.0", "P", "\0", "{"] {
            assert_eq!(Opening::of(http.as_bytes()), Some(Opening::Http), "{http}");
        }
    }

    #[tokio::test]
    async fn what_was_read_is_read_again_and_then_the_rest() {
        let (mut near, far) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut near, b"the rest")
            .await
            .expect("the pipe is open");
        drop(near);
        let mut replayed = Replayed::new(Bytes::from_static(b"first, "), far);
        let mut all = Vec::new();
        replayed.read_to_end(&mut all).await.expect("it ends");
        assert_eq!(all, b"first, the rest");
    }
}
