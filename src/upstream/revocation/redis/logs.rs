//! The tasks around the machines: one for each connection, which asks one thing at a time, and one that feeds
//! the machines and does what they say. All of them run on the given runtime, and end when [`Logs`] is dropped.
#![forbid(unsafe_code)]

use super::connection::{Connection, Manner};
use super::core::{Core, Effect, Known, LaneName, Report, Standing};
use super::keeper::Place;
use super::lane::Wire;
use super::outcome::{OrderId, Outcome};
use super::state::LogState;
use super::wire::{Content, Cursor, Entry, Fault, Millis, Position, Reply};
use super::{Options, Remembered};
use crate::clock::{Clock, since_boot};
use crate::revocation::{Record, Wait};
use crate::upstream::dial::{AddressFault, Finder};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// Most orders and answers that may wait for the machines.
const INBOX: usize = 4_096;

/// How often a standing is looked at that nothing has happened to: a lease ends by itself.
const LOOK_MS: Millis = 50;

/// What stands behind the door: all logs of a deployment, kept up with and written to.
pub struct Logs {
    inbox: mpsc::Sender<Happening>,
    view: watch::Receiver<View>,
    tasks: Vec<AbortHandle>,
}

/// How the logs stand, as of a moment ago.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// All together.
    pub standing: Standing,
    /// How long that counts after it was fresh.
    pub lease: Duration,
    /// Each.
    pub logs: Vec<LogView>,
    /// How many orders have been submitted so far.
    pub orders: u64,
}

/// One log, for readiness and metrics.
#[derive(Clone, Debug, Default)]
pub struct LogView {
    /// Its name.
    pub name: String,
    /// How far it can be relied upon.
    pub state: LogState,
    /// When all that it had been told had surely been applied, in milliseconds since boot.
    pub fresh_at_ms: Option<u64>,
    /// Up to where it has been read.
    pub cursor: Remembered,
    /// How often something was missing between two entries.
    pub gaps: u64,
    /// How often it had lost what had been read from it.
    pub histories_lost: u64,
    /// How often it was read from the beginning.
    pub scans: u64,
    /// Records that this version cannot read; the log is not live while there are any.
    pub unreadable: u64,
    /// Records that have not been seen there yet.
    pub backlog: usize,
    /// Records that it had lost, or never had, and that were written back.
    pub repaired: u64,
    /// Records still to be written back.
    pub repairs_waiting: usize,
    /// The last thing that went wrong on a connection, if it has not worked since.
    pub fault: Option<&'static str>,
}

enum Happening {
    Connected(usize, LaneName),
    Disconnected(usize, LaneName, Fault),
    Answered(usize, LaneName, u64, Result<Reply, Fault>),
    /// Orders that have just come, whatever else will be said of the log that they are from.
    Heard(Vec<Record>),
    Submitted(Vec<Record>, Wait, oneshot::Sender<Outcome>),
}

impl Logs {
    /// Starts to follow and to serve these logs. `known` is the register and whatever persists it;
    /// `remembered` is where reading ended what it has been filled with, for each log by name.
    ///
    /// # Errors
    /// Addresses that cannot be used.
    pub fn start(
        options: &Options,
        known: impl Known + Send + 'static,
        remembered: &HashMap<String, Remembered>,
        clock: &Clock,
        runtime: &Handle,
    ) -> Result<Self, AddressFault> {
        let timing = options.timing();
        let host = host();
        let (inbox, happenings) = mpsc::channel(INBOX);
        let (viewer, view) = watch::channel(View::default());
        let mut lanes = HashMap::new();
        let mut tasks = Vec::new();
        for (number, log) in options.logs.iter().enumerate() {
            let manner = options.manner(timing, log, &host);
            for lane in [LaneName::Read, LaneName::Keep, LaneName::Write] {
                let (sender, wires) = mpsc::channel(4);
                lanes.insert((number, lane), sender);
                let task = LaneTask {
                    log: number,
                    lane,
                    finder: log.address.finder()?,
                    manner: manner.clone(),
                    clock: clock.clone(),
                    inbox: inbox.clone(),
                };
                tasks.push(runtime.spawn(task.run(wires)).abort_handle());
            }
        }
        let place = |log: &super::LogOptions| remembered.get(&log.name).map(Remembered::place);
        let places: Vec<_> = options
            .logs
            .iter()
            .map(|log| place(log).unwrap_or_default())
            .collect();
        let desk = Driver {
            core: Core::new(timing, &places, options.write_quorum, host, seed(), now()),
            known,
            lanes,
            waiting: HashMap::new(),
            next_order: 0,
            names: options.logs.iter().map(|log| log.name.clone()).collect(),
            faults: vec![None; options.logs.len()],
            lease: options.lease,
            viewer,
        };
        tasks.push(runtime.spawn(desk.run(happenings)).abort_handle());
        Ok(Self { inbox, view, tasks })
    }

    /// Takes records to the logs; they are known to the register, and on their way to this host's disk. Returns
    /// once enough logs have confirmed them, and, if the giver waits for that, every daemon has applied them; or that
    /// takes too long. They go on in either case. `None` when it is being stopped.
    pub async fn submit(&self, records: Vec<Record>, wait: Wait) -> Option<Outcome> {
        let (reply, answer) = oneshot::channel();
        let submitted = Happening::Submitted(records, wait, reply);
        self.inbox.send(submitted).await.ok()?;
        answer.await.ok()
    }

    /// How the logs stand, now and whenever that changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Feeds the machines.
struct Driver<K> {
    core: Core,
    known: K,
    lanes: HashMap<(usize, LaneName), mpsc::Sender<Wire>>,
    waiting: HashMap<OrderId, oneshot::Sender<Outcome>>,
    next_order: OrderId,
    names: Vec<String>,
    faults: Vec<Option<Fault>>,
    lease: Duration,
    viewer: watch::Sender<View>,
}

impl<K: Known> Driver<K> {
    async fn run(mut self, mut happenings: mpsc::Receiver<Happening>) {
        let effects = self.core.start(&mut self.known, now());
        self.take(effects);
        let mut viewed_at = 0;
        loop {
            let moment = now();
            let wake_at = self.core.next_wake().min(viewed_at + LOOK_MS);
            let pause = Duration::from_millis(wake_at.saturating_sub(moment));
            let happening = tokio::select! {
                happening = happenings.recv() => match happening {
                    None => return,
                    some => some,
                },
                () = tokio::time::sleep(pause) => None,
            };
            let effects = match happening {
                Some(happening) => self.happen(happening),
                None => self.core.tick(now()),
            };
            self.take(effects);
            // Every answer that changes a standing changes what callers may rely upon.
            viewed_at = now();
            self.show(viewed_at);
        }
    }

    fn happen(&mut self, happening: Happening) -> Vec<Effect> {
        match happening {
            Happening::Connected(log, lane) => {
                self.core.connected(log, lane, &mut self.known, now())
            }
            Happening::Disconnected(log, lane, fault) => {
                self.went_wrong(log, fault);
                self.core.disconnected(log, lane)
            }
            Happening::Answered(log, lane, ticket, reply) => {
                match &reply {
                    Err(fault) => self.went_wrong(log, *fault),
                    Ok(_) if lane == LaneName::Read => self.faults[log] = None,
                    Ok(_) => {}
                }
                self.core
                    .answered(log, lane, ticket, reply, &mut self.known, now())
            }
            Happening::Heard(records) => {
                self.known.learn(&records);
                Vec::new()
            }
            Happening::Submitted(records, wait, reply) => {
                self.next_order += 1;
                self.waiting.insert(self.next_order, reply);
                let is_awaited = wait == Wait::Applied;
                self.core
                    .submit(self.next_order, &records, is_awaited, now())
            }
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Wire(log, lane, wire) => {
                    // One question at a time, so there is always room; and the task ends only with this one.
                    let sent = self
                        .lanes
                        .get(&(log, lane))
                        .map(|sender| sender.try_send(wire));
                    debug_assert!(matches!(sent, Some(Ok(()))), "a lane has room");
                }
                Effect::Answer(id, outcome) => {
                    // Whoever has gone away does not want to know.
                    let _ = self.waiting.remove(&id).map(|reply| reply.send(outcome));
                }
            }
        }
    }

    fn went_wrong(&mut self, log: usize, fault: Fault) {
        if self.faults[log] != Some(fault) && fault != Fault::Fenced {
            tracing::warn!(
                log = self.names[log],
                fault = fault.name(),
                "revocation log"
            );
        }
        self.faults[log] = Some(fault);
    }

    fn show(&mut self, now: Millis) {
        let reports = self.core.reports(now);
        let places = self.core.places();
        let log = |(number, report): (usize, Report)| LogView {
            name: self.names[number].clone(),
            state: report.state,
            fresh_at_ms: report.fresh_at,
            cursor: Remembered::from(places[number]),
            gaps: report.counts.gaps,
            histories_lost: report.counts.histories_lost,
            scans: report.counts.scans,
            unreadable: report.counts.unreadable,
            backlog: report.backlog,
            repaired: report.repaired,
            repairs_waiting: report.repairs_waiting,
            fault: self.faults[number].map(Fault::name),
        };
        let view = View {
            standing: self.core.standing(now),
            lease: self.lease,
            logs: reports.into_iter().enumerate().map(log).collect(),
            orders: self.next_order,
        };
        self.known.stand(&view);
        self.viewer.send_replace(view);
    }
}

/// Holds one connection.
struct LaneTask {
    log: usize,
    lane: LaneName,
    finder: Finder,
    manner: Manner,
    clock: Clock,
    inbox: mpsc::Sender<Happening>,
}

impl LaneTask {
    async fn run(mut self, mut wires: mpsc::Receiver<Wire>) {
        let mut connection: Option<Connection> = None;
        while let Some(wire) = wires.recv().await {
            let happening = match wire {
                Wire::Connect { after_ms } => {
                    drop(connection.take());
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    match Connection::open(&mut self.finder, self.manner.clone()).await {
                        Ok(opened) => {
                            connection = Some(opened);
                            Happening::Connected(self.log, self.lane)
                        }
                        Err(fault) => Happening::Disconnected(self.log, self.lane, fault),
                    }
                }
                Wire::Ask { ticket, ask } => {
                    let reply = match &mut connection {
                        Some(connection) => {
                            let now = self.clock.now().earliest;
                            let heard = |entries: &[Entry]| tell(&self.inbox, entries);
                            connection.ask(&ask, now, heard).await
                        }
                        None => Err(Fault::Lost),
                    };
                    Happening::Answered(self.log, self.lane, ticket, reply)
                }
            };
            if self.inbox.send(happening).await.is_err() {
                return;
            }
        }
    }
}

/// An order can be believed whatever becomes of its log, and should not wait until that is known. Where there is no room,
/// it waits.
fn tell(inbox: &mpsc::Sender<Happening>, entries: &[Entry]) {
    let order = |entry: &Entry| match entry.content {
        Content::Order(record) => Some(record),
        _ => None,
    };
    let records: Vec<_> = entries.iter().filter_map(order).collect();
    if !records.is_empty() {
        let _ = inbox.try_send(Happening::Heard(records));
    }
}

impl Remembered {
    fn place(&self) -> Place {
        let cursor = self.at.map(|(epoch, sequence, chain)| Cursor {
            at: Position { epoch, sequence },
            chain: super::wire::Mark(chain),
        });
        Place {
            cursor,
            is_settled: self.is_settled,
        }
    }
}

impl From<Place> for Remembered {
    fn from(place: Place) -> Self {
        let at = |cursor: Cursor| (cursor.at.epoch, cursor.at.sequence, cursor.chain.0);
        Self {
            at: place.cursor.map(at),
            is_settled: place.is_settled,
        }
    }
}

/// A name that no other daemon has, and no other life of this one: the host's, for people, and what is drawn by lot.
fn host() -> Arc<str> {
    let mut lot = [0; 8];
    crate::os::fill_random(&mut lot);
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let node = crate::os::host_name();
    let node: String = node.chars().filter(is_plain).take(64).collect();
    let lot = u64::from_le_bytes(lot);
    format!("{node}/{lot:016x}").into()
}

fn now() -> Millis {
    u64::try_from(since_boot().as_millis()).unwrap_or(Millis::MAX)
}

/// Hosts that start at one moment must not do everything at one moment.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness they do, which is slower and not wrong.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
