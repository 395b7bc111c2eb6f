//! How metrics are made.
#![forbid(unsafe_code)]

use super::PathLabels;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Makes a metric and enters it into the registry in one step, so that none is ever forgotten.
pub(super) struct Register<'a>(pub(super) &'a mut Registry);

impl Register<'_> {
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    pub(super) fn gauge_f64(
        &mut self,
        name: &str,
        help: &str,
    ) -> Gauge<f64, std::sync::atomic::AtomicU64> {
        let gauge = Gauge::default();
        self.0
            .register_with_unit(name, help, Unit::Seconds, gauge.clone());
        gauge
    }

    pub(super) fn family<L, M>(&mut self, name: &str, help: &str) -> Family<L, M>
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
        M: Default
            + prometheus_client::encoding::EncodeMetric
            + prometheus_client::metrics::TypedMetric
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let family = Family::default();
        self.0.register(name, help, family.clone());
        family
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl Iterator<Item = f64>,
    ) -> Histogram {
        let histogram = Histogram::new(buckets);
        self.0.register(name, help, histogram.clone());
        histogram
    }

    pub(super) fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        let histogram = seconds_histogram();
        self.0
            .register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }

    pub(super) fn seconds_family(
        &mut self,
        name: &str,
        help: &str,
    ) -> Family<PathLabels, Histogram> {
        let family = Family::new_with_constructor(seconds_histogram as fn() -> Histogram);
        self.0
            .register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    }
}

/// From 1 µs, below which nothing of interest happens, doubling to about 0.5 s.
fn seconds_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-6, 2.0, 20))
}
