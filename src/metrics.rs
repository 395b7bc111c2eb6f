//! Counters and histograms of the whole daemon. Rooms count; `transport::admin` prints.
#![forbid(unsafe_code)]

/// All of the daemon's metrics. Hot paths add to cells of their own thread, folded when scraped.
#[derive(Debug, Default)]
pub struct Metrics {}
