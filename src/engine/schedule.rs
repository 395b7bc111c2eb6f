//! Who is served next: fair among peers by cost, and within a peer by class of cost.
//!
//! Deficit round robin, as `fq_codel` does it: every peer is given the same [`QUANTUM_NS`] of work a round,
//! and a peer that was silent is served before those that have been asking all along. So one peer's flood
//! of expensive tokens delays another's few cheap ones by the batch that is being worked on, and no more.
//! Within a peer, each class of cost has a lane of its own and gets an equal part of the peer's time; its
//! cheap tokens therefore do not wait behind its expensive ones.
//!
//! Pure and deterministic: it knows neither time nor threads nor tokens.
#![forbid(unsafe_code)]

use crate::limits::BATCH_COST_NS_MAX;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Work that each peer may have done in a round. A quarter of a batch: fine enough that several peers
/// meet in one batch, coarse enough that a peer's tokens fill some lanes together.
pub(super) const QUANTUM_NS: i64 = BATCH_COST_NS_MAX.cast_signed() / 4;

/// Costs up to which a token belongs to the first and the second lane; beyond, to the third. HMACs are in
/// the first, RSA and the common curves in the second, P-521 and long RSA moduli in the third.
const LANE_COSTS_NS_MAX: [u64; 2] = [10_000, 100_000];

/// Batches in a row that silent peers may fill alone while others wait. New ones can appear without end,
/// but the others must not starve.
const PASSED_OVER_MAX: u32 = 8;

/// How much a batch may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) tokens_max: usize,
    pub(super) cost_ns_max: u64,
}

/// What waits, by peer.
pub(super) struct Schedule<T> {
    peers: HashMap<u64, Queue<T>>,
    /// Peers that were silent until now, each for its first quantum.
    fresh: VecDeque<u64>,
    /// All others, in the order of their next turn.
    rotation: VecDeque<u64>,
    passed_over: u32,
    len: usize,
}

struct Queue<T> {
    lanes: [Lane<T>; 3],
    /// Work the peer may still have done in this round; below zero after a token larger than what was left.
    deficit_ns: i64,
    /// What the lane served last had had before: the peer's own measure of progress.
    progress_ns: u64,
}

struct Lane<T> {
    items: VecDeque<(u64, T)>,
    /// Work done for this lane, to compare with the other lanes'.
    served_ns: u64,
}

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self {
            peers: HashMap::new(),
            fresh: VecDeque::new(),
            rotation: VecDeque::new(),
            passed_over: 0,
            len: 0,
        }
    }

    /// Number of items that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, peer: u64, cost_ns: u64, item: T) {
        let queue = self.peers.entry(peer).or_insert_with(|| {
            self.fresh.push_back(peer);
            Queue::new()
        });
        queue.push(cost_ns, item);
        self.len += 1;
    }

    /// Takes the next batch: at least one item if any departs, and no more than fits the limits. An item
    /// that does not `depart` is discarded; it costs its peer nothing.
    pub(super) fn take<B>(
        &mut self,
        limits: BatchLimits,
        mut depart: impl FnMut(T) -> Option<B>,
        batch: &mut Vec<B>,
    ) {
        let mut room_ns = limits.cost_ns_max;
        let rotation_first = self.passed_over >= PASSED_OVER_MAX;
        let mut rotation_served = self.rotation.is_empty();
        while batch.len() < limits.tokens_max {
            let is_fresh = !self.fresh.is_empty() && (!rotation_first || rotation_served);
            let turn = if is_fresh {
                &mut self.fresh
            } else {
                &mut self.rotation
            };
            let Some(&peer) = turn.front() else {
                if self.fresh.is_empty() {
                    break;
                }
                // All whose turn it was turned out to have nothing left.
                rotation_served = true;
                continue;
            };
            let Some(queue) = self.peers.get_mut(&peer) else {
                turn.pop_front();
                continue;
            };
            if queue.deficit_ns <= 0 {
                queue.deficit_ns += QUANTUM_NS;
                turn.pop_front();
                self.rotation.push_back(peer);
                continue;
            }
            let Some(lane) = queue.next_lane() else {
                turn.pop_front();
                if is_fresh && !self.rotation.is_empty() {
                    // It has to wait its turn once before it counts as silent again: else a peer that
                    // sends one token at a time would always be served first.
                    self.rotation.push_back(peer);
                } else {
                    self.peers.remove(&peer);
                }
                continue;
            };
            let too_dear = |(cost_ns, _): &(u64, T)| *cost_ns > room_ns;
            if !batch.is_empty() && lane.items.front().is_some_and(too_dear) {
                break;
            }
            let Some((cost_ns, item)) = lane.items.pop_front() else {
                continue;
            };
            self.len -= 1;
            let Some(item) = depart(item) else {
                continue;
            };
            let progress_ns = lane.served_ns;
            lane.served_ns += cost_ns;
            queue.progress_ns = progress_ns;
            queue.deficit_ns -= cost_ns.cast_signed();
            room_ns = room_ns.saturating_sub(cost_ns);
            rotation_served |= !is_fresh;
            batch.push(item);
        }
        self.passed_over = if rotation_served {
            0
        } else {
            self.passed_over + 1
        };
        if self.len == 0 {
            // What is known of peers that have nothing queued must not add up.
            self.peers.clear();
            self.fresh.clear();
            self.rotation.clear();
        }
    }
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane {
                items: VecDeque::new(),
                served_ns: 0,
            }),
            deficit_ns: QUANTUM_NS,
            progress_ns: 0,
        }
    }

    fn push(&mut self, cost_ns: u64, item: T) {
        let class = LANE_COSTS_NS_MAX
            .iter()
            .filter(|&&max| cost_ns > max)
            .count();
        let lane = &mut self.lanes[class];
        if lane.items.is_empty() {
            // A lane that had nothing to do has no claim on the time it did not use.
            lane.served_ns = lane.served_ns.max(self.progress_ns);
        }
        lane.items.push_back((cost_ns, item));
    }

    /// The lane that has had the least of the peer's time; of equals the cheaper.
    fn next_lane(&mut self) -> Option<&mut Lane<T>> {
        self.lanes
            .iter_mut()
            .filter(|lane| !lane.items.is_empty())
            .min_by_key(|lane| lane.served_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const LIMITS: BatchLimits = BatchLimits {
        tokens_max: 128,
        cost_ns_max: BATCH_COST_NS_MAX,
    };

    /// Verifying on P-521, and an HMAC.
    const DEAR_NS: u64 = 400_000;
    const CHEAP_NS: u64 = 2_000;

    type Item = (u64, u64);

    fn push(schedule: &mut Schedule<Item>, peer: u64, cost_ns: u64, count: usize) {
        for _ in 0..count {
            schedule.push(peer, cost_ns, (peer, cost_ns));
        }
    }

    fn take(schedule: &mut Schedule<Item>) -> Vec<Item> {
        let mut batch = Vec::new();
        schedule.take(LIMITS, Some, &mut batch);
        batch
    }

    fn of_peer(batch: &[Item], peer: u64) -> usize {
        batch.iter().filter(|item| item.0 == peer).count()
    }

    #[test]
    fn a_batch_keeps_its_limits_but_is_never_empty_while_something_waits() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, DEAR_NS, 3);
        assert_eq!(take(&mut schedule).len(), 1, "one that is too large alone");
        push(&mut schedule, 2, CHEAP_NS, 1_000);
        while schedule.len() > 0 {
            let batch = take(&mut schedule);
            let cost: u64 = batch.iter().map(|item| item.1).sum();
            assert!(!batch.is_empty() && batch.len() <= LIMITS.tokens_max);
            assert!(cost <= LIMITS.cost_ns_max || batch.len() == 1);
        }
        assert!(take(&mut schedule).is_empty());
    }

    #[test]
    fn a_flood_of_dear_tokens_delays_cheap_ones_of_another_peer_by_one_batch_at_most() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, DEAR_NS, 1_000);
        for _ in 0..50 {
            // The batch that is being worked on when the other peer's tokens arrive.
            let _ = take(&mut schedule);
            push(&mut schedule, 2, CHEAP_NS, 20);
            assert_eq!(of_peer(&take(&mut schedule), 2), 20, "all in the very next");
        }
    }

    #[test]
    fn a_peers_own_cheap_tokens_do_not_wait_behind_its_dear_ones() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, DEAR_NS, 100);
        let _ = take(&mut schedule);
        push(&mut schedule, 1, CHEAP_NS, 10);
        // The dear lane has just had its turn, so the cheap one is next, and the flood waits.
        assert_eq!(take(&mut schedule), [(1, CHEAP_NS); 10]);
    }

    #[test]
    fn neither_lane_of_a_peer_starves_the_other() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, DEAR_NS, 100);
        let mut served: HashMap<u64, u64> = HashMap::new();
        for _ in 0..200 {
            push(&mut schedule, 1, CHEAP_NS, 200);
            for item in take(&mut schedule) {
                *served.entry(item.1).or_default() += item.1;
            }
        }
        let (dear, cheap) = (served[&DEAR_NS], served[&CHEAP_NS]);
        assert!(
            dear.abs_diff(cheap) <= DEAR_NS + BATCH_COST_NS_MAX,
            "{dear} and {cheap}"
        );
    }

    #[test]
    fn equal_peers_get_equal_parts_whatever_their_tokens_cost() {
        let mut schedule = Schedule::new();
        let costs = [
            2_000, 2_000, 15_000, 15_000, 60_000, 60_000, 180_000, 400_000,
        ];
        for (peer, &cost_ns) in (0_u64..).zip(&costs) {
            push(&mut schedule, peer, cost_ns, 100_000_000 / cost_ns as usize);
        }
        let mut served = [0.0_f64; 8];
        for _ in 0..1_000 {
            for (peer, cost_ns) in take(&mut schedule) {
                served[usize::try_from(peer).expect("small")] += cost_ns as f64;
            }
        }
        let sum: f64 = served.iter().sum();
        let squares: f64 = served.iter().map(|s| s * s).sum();
        let jain = sum * sum / (8.0 * squares);
        assert!(jain >= 0.99, "{jain}: {served:?}");
    }

    #[test]
    fn a_stream_of_new_peers_does_not_starve_one_that_waits() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 0, DEAR_NS, 10);
        let _ = take(&mut schedule);
        let mut waited = 0;
        for round in 0..100 {
            for new in 0..8 {
                push(&mut schedule, 1 + round * 8 + new, 40_000, 2);
            }
            waited += 1;
            if of_peer(&take(&mut schedule), 0) > 0 {
                waited = 0;
            }
            // Its debt of one dear token takes eight quanta, and then it is passed over eight times.
            assert!(waited <= 24, "waited for {waited} batches");
        }
    }

    #[test]
    fn a_peer_that_sends_one_token_at_a_time_does_not_always_come_first() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, 40_000, 10_000);
        let mut served: HashMap<u64, usize> = HashMap::new();
        for _ in 0..400 {
            push(&mut schedule, 2, 190_000, 1);
            for (peer, cost_ns) in take(&mut schedule) {
                *served.entry(peer).or_default() += usize::try_from(cost_ns).expect("small");
            }
        }
        assert!(served[&1] * 10 >= served[&2] * 9, "{served:?}");
    }

    #[test]
    fn a_turn_of_peers_that_have_nothing_left_passes_to_the_new_ones() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 0, DEAR_NS, 2);
        let _ = take(&mut schedule);
        // New peers fill batch after batch, until it is the rotation's turn to be first.
        let mut new = 1;
        while schedule.passed_over < PASSED_OVER_MAX {
            push(&mut schedule, new, LIMITS.cost_ns_max, 1);
            new += 1;
            let _ = take(&mut schedule);
        }
        push(&mut schedule, new, CHEAP_NS, 1);
        let mut batch = Vec::new();
        schedule.take(LIMITS, |item| (item.0 == new).then_some(item), &mut batch);
        assert_eq!(batch, [(new, CHEAP_NS)]);
    }

    #[test]
    fn what_is_no_longer_live_is_dropped_and_costs_nothing() {
        let mut schedule = Schedule::new();
        push(&mut schedule, 1, DEAR_NS, 500);
        push(&mut schedule, 1, CHEAP_NS, 1);
        let cheap_only = |item: Item| (item.1 == CHEAP_NS).then_some(item);
        let mut batch = Vec::new();
        schedule.take(LIMITS, cheap_only, &mut batch);
        assert_eq!(batch, [(1, CHEAP_NS)]);
        // What is dear ends a batch that has begun; an empty one is not held up by it.
        batch.clear();
        schedule.take(LIMITS, cheap_only, &mut batch);
        assert_eq!((batch.len(), schedule.len()), (0, 0));
    }

    #[test]
    fn nothing_is_kept_of_peers_that_have_gone_silent() {
        let mut schedule = Schedule::new();
        for peer in 0..1_000 {
            push(&mut schedule, peer, 150_000, 1);
        }
        while schedule.len() > 0 {
            let _ = take(&mut schedule);
        }
        assert!(schedule.peers.is_empty() && schedule.fresh.is_empty());
        assert!(schedule.rotation.is_empty());
    }
}
