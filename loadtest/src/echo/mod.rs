//! The bare echo: the same bytes in, the same bytes out, and nothing decided.
//!
//! What a transport could do at best on this machine is measured by this in the same run, with the same
//! client, the same frames and the same CPUs, so that a figure of jotd's can be read as a share of it.
#![forbid(unsafe_code)]

mod http;
mod uds;

use crate::options::{Echo, Endpoint, Transport};
use std::fs;
use std::io;

/// Serves until it is killed.
///
/// # Errors
/// What the system says about the socket or the reply file.
pub(crate) fn serve(options: &Echo) -> io::Result<()> {
    let reply = match &options.reply {
        Some(path) => Some(fs::read(path)?),
        None => None,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match (options.transport, &options.listen) {
                (Transport::Uds, Endpoint::Unix(path)) => {
                    let answer = match (reply, options.full_echo) {
                        (_, true) => uds::Answer::Full,
                        (Some(frame), false) => uds::Answer::Fixed(frame),
                        (None, false) => uds::Answer::valid(),
                    };
                    uds::serve(path, answer).await
                }
                (Transport::Uds, Endpoint::Tcp(_)) => {
                    Err(io::Error::other("the binary protocol needs a Unix socket"))
                }
                (transport, listen) => http::serve(listen, transport, reply).await,
            }
        })
}
