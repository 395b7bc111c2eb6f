//! What goes out: frames appended at the end, written from the front, in as few writes as can be.
#![forbid(unsafe_code)]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// No frame is taken while more than this waits to be written.
pub(super) const UNREAD_BYTES_MAX: usize = 1024 * 1024;

/// A buffer that has grown beyond this is given back once it is empty.
const KEPT_BYTES: usize = 256 * 1024;

/// Bytes on their way to the peer.
#[derive(Default)]
pub(super) struct Outbox {
    /// Frames are appended here.
    pub(super) bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// What the peer has not taken yet.
    pub(super) fn unwritten(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// Writes as much as the peer takes: ready when that was all, and pending otherwise. `took` says
    /// whether it took anything.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        mut peer: Pin<&mut impl AsyncWrite>,
        took: &mut bool,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            match peer.as_mut().poll_write(cx, self.unwritten()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(bytes)) => {
                    self.written += bytes;
                    *took = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    // Else a peer that always leaves a rest would let the buffer grow without end.
                    if self.written >= UNREAD_BYTES_MAX {
                        self.bytes.drain(..self.written);
                        self.written = 0;
                    }
                    return Poll::Pending;
                }
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer back, if it is empty.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes a call, and every other call nothing.
    struct Reluctant {
        bytes: usize,
        willing: bool,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Reluctant {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.willing = !self.willing;
            if self.willing {
                return Poll::Pending;
            }
            let count = self.bytes.min(bytes.len());
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn everything_goes_out_in_order_and_once_though_the_peer_is_reluctant() {
        let mut peer = Reluctant {
            bytes: 300_007,
            willing: false,
            taken: Vec::new(),
        };
        let mut outbox = Outbox::default();
        let mut sent = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut took = false;
        for round in 0..40u8 {
            // Faster than the peer takes, so that the written part is dropped while a rest is left.
            outbox.bytes.extend_from_slice(&vec![round; 400_000]);
            sent.extend_from_slice(&vec![round; 400_000]);
            let _ = outbox.poll_flush(&mut cx, Pin::new(&mut peer), &mut took);
            assert!(outbox.bytes.len() < sent.len() - peer.taken.len() + 2 * UNREAD_BYTES_MAX);
        }
        while outbox
            .poll_flush(&mut cx, Pin::new(&mut peer), &mut took)
            .is_pending()
        {}
        assert!(took && outbox.unwritten().is_empty());
        assert!(peer.taken == sent, "the peer has what was sent");
        assert!(outbox.bytes.capacity() <= KEPT_BYTES);
    }
}
