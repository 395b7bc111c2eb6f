//! Where tokens wait for their issuer's keys to be looked at.
//!
//! Places are few, and no issuer and no peer may take them all: a flood of tokens with invented `kid`s fills its own
//! part and is refused beyond it. What waits here takes no room in any queue. Everybody leaves in time: called back
//! after a look, or answered when their time has run out, the engine drains, or nobody uses it any more.
#![forbid(unsafe_code)]

use super::call::Ticket;
use super::missing::refreshing;
use super::shared::Shared;
use crate::cache::Digest;
use crate::clock;
use crate::limits::{PARKED_PART_MAX, PARKED_TOKENS_MAX};
use crate::verdict::{Unavailable, Verdict};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked whose time has run out, while anybody waits.
const SWEEP: Duration = Duration::from_millis(10);

/// The places.
pub(super) struct Parking {
    lot: Mutex<Lot>,
    /// Told when there is somebody to look after.
    occupied: Sender<()>,
    /// Kept here until the thread that looks after them takes it.
    keeper: Mutex<Option<Receiver<()>>>,
}

#[derive(Default)]
struct Lot {
    by_issuer: HashMap<Arc<str>, Vec<Parked>>,
    by_peer: HashMap<u64, usize>,
    parked: usize,
    /// How often anybody has been called back.
    wakes: u64,
    is_closed: bool,
}

/// One token that waits.
pub(super) struct Parked {
    pub(super) digest: Digest,
    pub(super) ticket: Ticket,
    /// The `iss` of the template's tenant that it waits for; `None` where it waits for the issuer's own keys.
    pub(super) tenant: Option<Arc<str>>,
    /// How long it waits at most, its caller's deadline aside; as time since boot.
    pub(super) until: Duration,
    /// When asking again will help, as time since boot.
    pub(super) retry_at: Duration,
}

/// Why a token does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotParked {
    /// There is no place for it.
    Full,
    /// Since it was decided that it should wait, somebody was called back.
    Woken,
}

impl Parked {
    /// Its time has run out.
    pub(super) fn run_out(self, now: Duration) {
        let verdict: Verdict = if self.ticket.is_overdue(now) {
            Unavailable::DEADLINE.into()
        } else {
            refreshing(self.retry_at, now).into()
        };
        self.ticket.answer(verdict);
    }

    fn is_due(&self, now: Duration) -> bool {
        self.until <= now || self.ticket.is_overdue(now)
    }
}

impl Parking {
    pub(super) fn new() -> Self {
        let (occupied, keeper) = crossbeam_channel::bounded(1);
        Self {
            lot: Mutex::default(),
            occupied,
            keeper: Mutex::new(Some(keeper)),
        }
    }

    /// A number that changes whenever anybody is called back.
    pub(super) fn wakes(&self) -> u64 {
        self.lot().wakes
    }

    /// Number of tokens that wait.
    pub(super) fn len(&self) -> usize {
        self.lot().parked
    }

    /// Lets tokens of an issuer wait, and gives back those that may not. `wakes` is the number from before it was
    /// decided that they should.
    pub(super) fn park(
        &self,
        issuer: &Arc<str>,
        wakes: u64,
        parked: impl Iterator<Item = Parked>,
    ) -> Vec<(NotParked, Parked)> {
        let mut refused = Vec::new();
        let mut lot = self.lot();
        for mut parked in parked {
            match lot.place(issuer, parked.ticket.peer(), wakes) {
                Ok(places) => {
                    parked.ticket.step_aside();
                    places.push(parked);
                }
                Err(why) => refused.push((why, parked)),
            }
        }
        let is_occupied = lot.parked > 0;
        drop(lot);
        if is_occupied {
            // A full channel says the same already, and a closed one that nobody looks after the lot any more.
            if let Err(TrySendError::Disconnected(())) = self.occupied.try_send(()) {
                self.close();
            }
        }
        refused
    }

    /// Calls back those of an issuer's tokens, or of a template's tenant's, that `concerned` says.
    pub(super) fn wake(
        &self,
        (issuer, tenant): (&str, Option<&str>),
        concerned: impl Fn(&Ticket) -> bool,
    ) -> Vec<Parked> {
        let mut lot = self.lot();
        lot.wakes += 1;
        lot.take(Some(issuer), |parked| {
            parked.tenant.as_deref() == tenant && concerned(&parked.ticket)
        })
    }

    /// Answers everybody, and lets nobody wait any more.
    pub(super) fn close(&self) {
        let left = {
            let mut lot = self.lot();
            lot.is_closed = true;
            lot.take(None, |_| true)
        };
        run_out(left);
    }

    fn sweep(&self) {
        let now = clock::since_boot();
        let due = self.lot().take(None, |parked| parked.is_due(now));
        run_out(due);
    }

    fn lot(&self) -> MutexGuard<'_, Lot> {
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never under the lock: an answer runs its caller's code.
fn run_out(parked: Vec<Parked>) {
    let now = clock::since_boot();
    for parked in parked {
        parked.run_out(now);
    }
}

impl Lot {
    /// A place for one more token of this issuer and this peer.
    fn place(
        &mut self,
        issuer: &Arc<str>,
        peer: u64,
        wakes: u64,
    ) -> Result<&mut Vec<Parked>, NotParked> {
        if self.wakes != wakes {
            return Err(NotParked::Woken);
        }
        let of_issuer = self.by_issuer.get(issuer).map_or(0, Vec::len);
        let of_peer = self.by_peer.get(&peer).copied().unwrap_or(0);
        if self.is_closed
            || self.parked >= PARKED_TOKENS_MAX
            || of_issuer >= PARKED_PART_MAX
            || of_peer >= PARKED_PART_MAX
        {
            return Err(NotParked::Full);
        }
        self.parked += 1;
        *self.by_peer.entry(peer).or_default() += 1;
        Ok(self.by_issuer.entry(Arc::clone(issuer)).or_default())
    }

    fn take(
        &mut self,
        issuer: Option<&str>,
        mut which: impl FnMut(&Parked) -> bool,
    ) -> Vec<Parked> {
        let mut taken = Vec::new();
        let mut take_from = |places: &mut Vec<Parked>| {
            taken.extend(places.extract_if(.., |parked| which(parked)));
            !places.is_empty()
        };
        match issuer {
            Some(issuer) => {
                let is_occupied = self.by_issuer.get_mut(issuer).is_none_or(take_from);
                if !is_occupied {
                    self.by_issuer.remove(issuer);
                }
            }
            None => self.by_issuer.retain(|_, places| take_from(places)),
        }
        for parked in &taken {
            self.parked -= 1;
            let peer = parked.ticket.peer();
            if let Some(count) = self.by_peer.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    self.by_peer.remove(&peer);
                }
            }
        }
        taken
    }
}

/// Looks after the places, on a thread of its own, until `stop` disconnects.
///
/// # Errors
/// What the system says where it refuses a thread.
pub(super) fn keep(shared: Arc<Shared>, stop: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("jotd-parking".to_owned())
        .spawn(move || {
            let keeper = shared.parking.keeper.lock();
            let occupied = keeper.unwrap_or_else(PoisonError::into_inner).take();
            if let Some(occupied) = occupied {
                look_after(&shared, &occupied, &stop);
            }
            shared.parking.close();
        })
}

fn look_after(shared: &Shared, occupied: &Receiver<()>, stop: &Receiver<()>) {
    loop {
        // Nothing is ever sent on `stop`.
        crossbeam_channel::select! {
            recv(stop) -> _ => return,
            recv(occupied) -> _ => {}
        }
        while shared.parking.len() > 0 {
            if stop.recv_timeout(SWEEP) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            shared.parking.sweep();
        }
    }
}
