//! How logs elsewhere are doing, for readiness and metrics.
#![forbid(unsafe_code)]

use super::redis::{LogState, LogView, View};
use crate::clock::since_boot;
use crate::metrics::{LogFaultLabels, LogLabels, LogStateLabels, Metrics};
use crate::revocation::LogReport;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

pub(super) struct Reports {
    view: watch::Receiver<View>,
    metrics: Arc<Metrics>,
    /// What has been counted so far, by log: metrics only grow, and views say what there is.
    counted: Mutex<HashMap<String, LogReport>>,
}

impl Reports {
    pub(super) fn new(view: watch::Receiver<View>, metrics: Arc<Metrics>) -> Self {
        Self {
            view,
            metrics,
            counted: Mutex::default(),
        }
    }

    /// Each log, in the order of the configuration.
    pub(super) fn now(&self) -> Vec<LogReport> {
        self.view.borrow().logs.iter().map(report).collect()
    }

    /// Brings metrics up to date.
    pub(super) fn count(&self) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for report in self.now() {
            let last = counted.entry(report.name.clone()).or_default();
            self.count_one(&report, last);
            *last = report;
        }
    }

    fn count_one(&self, report: &LogReport, last: &LogReport) {
        let of = &self.metrics.revocation_logs;
        let log = LogLabels {
            log: report.name.as_str().into(),
        };
        for state in LogState::ALL.map(LogState::name) {
            let labels = LogStateLabels {
                log: log.log.clone(),
                state,
            };
            let is_it = i64::from(state == report.state);
            of.state.get_or_create(&labels).set(is_it);
        }
        let is_live = report.state == LogState::Live.name();
        of.connected.get_or_create(&log).set(i64::from(is_live));
        if let Some(age_ms) = report.age_ms {
            // Ages of more than 2^52 ms do not occur.
            let seconds = std::time::Duration::from_millis(age_ms).as_secs_f64();
            of.lag_seconds.get_or_create(&log).set(seconds);
        }
        for (counter, now, before) in [
            (&of.gaps, report.gaps, last.gaps),
            (
                &of.histories_lost,
                report.histories_lost,
                last.histories_lost,
            ),
            (&of.scans, report.scans, last.scans),
            (&of.unreadable, report.unreadable, last.unreadable),
            (&of.repaired, report.repaired, last.repaired),
        ] {
            counter
                .get_or_create(&log)
                .inc_by(now.saturating_sub(before));
        }
        for (gauge, records) in [
            (&of.backlog, report.backlog),
            (&of.repairs_waiting, report.repairs_waiting),
        ] {
            let records = i64::try_from(records).unwrap_or(i64::MAX);
            gauge.get_or_create(&log).set(records);
        }
        for (fault, is_there) in [(last.fault, 0), (report.fault, 1)] {
            if let Some(fault) = fault {
                let labels = LogFaultLabels {
                    log: log.log.clone(),
                    fault,
                };
                of.fault.get_or_create(&labels).set(is_there);
            }
        }
    }
}

fn report(log: &LogView) -> LogReport {
    let now = u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX);
    LogReport {
        name: log.name.clone(),
        state: log.state.name(),
        age_ms: log.fresh_at_ms.map(|at| now.saturating_sub(at)),
        gaps: log.gaps,
        histories_lost: log.histories_lost,
        scans: log.scans,
        unreadable: log.unreadable,
        backlog: log.backlog,
        repaired: log.repaired,
        repairs_waiting: log.repairs_waiting,
        fault: log.fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_is_counted_once_and_what_is_over_is_zero() {
        let log = |gaps, fault| LogView {
            name: "redis-a".to_owned(),
            state: LogState::Suspect,
            gaps,
            backlog: 3,
            fault,
            ..LogView::default()
        };
        let view = |log| View {
            logs: vec![log],
            ..View::default()
        };
        let (sender, receiver) = watch::channel(view(log(2, Some("busy"))));
        let metrics = Arc::new(Metrics::new());
        let reports = Reports::new(receiver, Arc::clone(&metrics));
        reports.count();
        reports.count();
        let text = metrics.render();
        for line in [
            "jotd_revocation_log_gaps_total{log=\"redis-a\"} 2",
            "jotd_revocation_log_backlog{log=\"redis-a\"} 3",
            "jotd_revocation_log_state{log=\"redis-a\",state=\"suspect\"} 1",
            "jotd_revocation_log_state{log=\"redis-a\",state=\"live\"} 0",
            "jotd_revocation_log_fault{log=\"redis-a\",fault=\"busy\"} 1",
            "jotd_revocation_feed_connected{log=\"redis-a\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        sender.send_replace(view(log(5, None)));
        reports.count();
        let text = metrics.render();
        for line in [
            "jotd_revocation_log_gaps_total{log=\"redis-a\"} 5",
            "jotd_revocation_log_fault{log=\"redis-a\",fault=\"busy\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(reports.now()[0].age_ms, None);
    }
}
