//! Saying no to a connection in the language it speaks, at a bounded cost.
#![forbid(unsafe_code)]

use super::super::sniff::{Opening, sniff};
use super::super::wire::{FEATURES, Fault, FaultCode, Hello, VERSION};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many refused connections may be listened to at once, to learn what they speak.
const LISTENING_MAX: usize = 64;

/// How long a refused connection is listened to.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often is read for nothing before a peer is closed all the same.
const DISCARDED_READS_MAX: usize = 64;

/// The refusals in progress on one listener.
#[derive(Clone)]
pub(super) struct Refusals(Arc<Semaphore>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENING_MAX)))
    }
}

impl Refusals {
    /// Refuses and closes. Under a flood nobody is listened to any more, and all are told in the binary
    /// protocol.
    pub(super) async fn refuse(self, mut stream: UnixStream, code: FaultCode) {
        let mut heard = BytesMut::with_capacity(64);
        if let Ok(_permit) = self.0.try_acquire() {
            // Whatever comes of it, the first byte decides, or its absence.
            let _ = timeout(PATIENCE, sniff(&mut stream, &mut heard)).await;
        }
        let answer = match Opening::of(&heard) {
            Some(Opening::Http) => http_refusal(code).to_vec(),
            Some(Opening::Binary) | None => binary_refusal(code),
        };
        // Far smaller than any socket buffer, and a peer that does not take it has no claim to more.
        let _ = stream.try_write(&answer);
        discard_unread(&stream);
    }
}

/// Reads what the peer sent and nobody will look at. Closing a Unix stream with bytes unread resets it,
/// and the peer would find an error behind our last words instead of the end.
pub(super) fn discard_unread(stream: &UnixStream) {
    let mut scrap = [0; 4096];
    for _ in 0..DISCARDED_READS_MAX {
        if !matches!(stream.try_read(&mut scrap), Ok(1..)) {
            return;
        }
    }
}

fn binary_refusal(code: FaultCode) -> Vec<u8> {
    let mut answer = Vec::with_capacity(128);
    let nothing = Hello {
        version: VERSION,
        frame_bytes_max: 0,
        frame_tokens_max: 0,
        credits: 0,
        features: FEATURES,
    };
    nothing.encode(&mut answer);
    Fault::of_connection(code).encode(&mut answer);
    answer
}

fn http_refusal(code: FaultCode) -> &'static [u8] {
    match code {
        FaultCode::PeerRefused => {
            b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        }
        _ => {
            b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n"
        }
    }
}
