//! The way to a Redis or Valkey server: where it is, as whom to go there, and a connection whose answers have an end.
//! What is asked over it is no matter of this module.
#![forbid(unsafe_code)]

mod address;
mod stream;

pub(crate) use address::Finder;
pub use address::{Address, AddressFault};
#[cfg(test)]
pub(crate) use stream::ANSWER_BYTES_MAX;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};
use std::time::Duration;
use stream::Bounded;
use tokio::task::AbortHandle;

/// One connection, which questions share. It ends when this is dropped.
pub(crate) struct Line {
    pub(crate) redis: MultiplexedConnection,
    /// What moves its bytes.
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    /// Connects to the server that is in charge now. The caller bounds how long that may take, and each question.
    pub(crate) async fn open(finder: &mut Finder, patience: Duration) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(patience));
        let (info, tls) = finder.find().await?;
        let stream = Bounded::connect(info.addr(), tls).await?;
        let settings = info.redis_settings();
        let (redis, driver) =
            MultiplexedConnection::new_with_config(settings, stream, config).await?;
        Ok(Self {
            redis,
            driver: tokio::spawn(driver).abort_handle(),
        })
    }
}
