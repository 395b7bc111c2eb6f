//! Work that runs kernels now and then and must hold nobody up: on a thread of its own, with the stack that takes.
#![forbid(unsafe_code)]

use super::KERNEL_STACK_BYTES;
use tokio::sync::oneshot;

/// Does the work on a thread of its own, and gives what it returned; `None` where the system refuses a thread, or the
/// work panicked.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("jotd-aside".to_owned())
        .stack_size(KERNEL_STACK_BYTES)
        // Nobody may be waiting any more.
        .spawn(move || drop(done.send(work())))
        .ok()?;
    result.await.ok()
}
