//! A host that follows logs, as the daemon does, with a plain map for a register.

use super::super::{Known, LogState, Logs, Options, Outcome, Remembered, View};
use crate::clock::{Clock, since_boot};
use crate::revocation::{Member, Members, Record, RecordKey, TenantTag, Wait};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// As long as anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
pub(super) struct Memory(
    pub(super) Arc<Mutex<HashMap<RecordKey, Record>>>,
    pub(super) Arc<Notify>,
);

impl Known for Memory {
    fn learn(&mut self, records: &[Record]) {
        let mut known = self.0.lock().expect("no panics");
        for record in records {
            let old = known.get(&record.key).copied().unwrap_or(*record);
            known.insert(record.key, old.merged(record.before, record.until));
        }
        drop(known);
        self.1.notify_waiters();
    }

    fn each(&self, see: &mut dyn FnMut(Record)) {
        let known = self.0.lock().expect("no panics").clone();
        known.into_values().for_each(see);
    }

    fn stand(&mut self, _: &View) {}
}

impl Memory {
    pub(super) fn has(&self, record: &Record) -> bool {
        let known = self.0.lock().expect("no panics");
        known
            .get(&record.key)
            .is_some_and(|known| known.before >= record.before && known.until >= record.until)
    }
}

pub(super) struct Host {
    pub(super) logs: Logs,
    pub(super) known: Memory,
}

impl Host {
    pub(super) fn start(options: &Options) -> Self {
        Self::start_with(options, Memory::default(), &HashMap::new())
    }

    pub(super) fn start_with(
        options: &Options,
        known: Memory,
        remembered: &HashMap<String, Remembered>,
    ) -> Self {
        Self::begin(options, known, remembered, &Clock::system())
    }

    /// With a clock of its own.
    pub(super) fn start_at(options: &Options, known: Memory, clock: &Clock) -> Self {
        Self::begin(options, known, &HashMap::new(), clock)
    }

    fn begin(
        options: &Options,
        known: Memory,
        remembered: &HashMap<String, Remembered>,
        clock: &Clock,
    ) -> Self {
        let handle = Handle::current();
        let logs = Logs::start(options, known.clone(), remembered, clock, &handle);
        Self {
            logs: logs.expect("addresses"),
            known,
        }
    }

    pub(super) async fn order(&self, number: u32) -> (Record, Outcome) {
        self.order_and_wait(number, Wait::Accepted).await
    }

    pub(super) async fn order_and_wait(&self, number: u32, wait: Wait) -> (Record, Outcome) {
        let record = record(number);
        self.known.clone().learn(&[record]);
        let outcome = self.logs.submit(vec![record], wait).await;
        (record, outcome.expect("it runs"))
    }

    /// Orders until one is accepted; a server that is gone takes none.
    pub(super) async fn order_until_accepted(&self, number: u32) -> Record {
        let since = since_boot();
        loop {
            let (record, outcome) = self.order(number).await;
            if outcome.is_accepted {
                return record;
            }
            assert!(
                since_boot() - since < PATIENCE,
                "never accepted: {:?}",
                self.view()
            );
        }
    }

    pub(super) fn view(&self) -> View {
        self.logs.view().borrow().clone()
    }

    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&View) -> bool) -> View {
        let mut view = self.logs.view();
        match tokio::time::timeout(PATIENCE, view.wait_for(is_so)).await {
            Ok(Ok(view)) => view.clone(),
            _ => panic!("never {what}: {:?}", self.view()),
        }
    }

    pub(super) async fn until_live(&self) -> View {
        self.until("live", |view| view.standing.state == LogState::Live)
            .await
    }

    pub(super) async fn until_it_has(&self, record: &Record) {
        let since = since_boot();
        while !self.known.has(record) {
            assert!(
                since_boot() - since < PATIENCE,
                "never learnt {record}: {:?}",
                self.view()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

pub(super) fn record(number: u32) -> Record {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let is_watermark = number.is_multiple_of(4);
    Record {
        key: RecordKey {
            tenant: TenantTag(0x5eed),
            members: Members::NONE.with(if is_watermark {
                Member::Subject
            } else {
                Member::TokenId
            }),
            id,
        },
        before: if is_watermark {
            1_800_000_000
        } else {
            Record::EVERY
        },
        until: 4_000_000_000,
    }
}
