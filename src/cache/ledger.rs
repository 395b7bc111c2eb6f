//! Decides who goes: S3-FIFO over the whole shard, and over one tenant's part of it.
//!
//! A new name enters a short probationary queue. Used there, it is promoted to the main queue when its
//! turn comes; unused, it goes, and a ghost remembers it for a while: if it comes back soon, it enters
//! the main queue at once. In the main queue a name goes when its turn comes and it has not been used
//! since its last one. So a flood of names seen once only ever passes through the probationary queue.
//!
//! Every slot stands in two such pairs of queues, the shard's and its tenant's, and both always agree on
//! which of the two queues it is in.
#![forbid(unsafe_code)]

use super::Name;
use hashbrown::HashMap;

/// The probationary queue's part of the room, one in so many (10 %, as in the S3-FIFO paper).
const PROBATION_PART: usize = 10;

/// Most slots that are given another chance before one goes regardless: bounds the work under the lock.
const CHANCES_MAX: usize = 32;

const NONE: u32 = u32::MAX;

/// What a slot costs here: its node, and one ghost's place.
#[cfg(test)]
pub(super) const BYTES_PER_SLOT: usize = size_of::<Node>() + size_of::<u32>();

/// Whose queues are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole shard's.
    Shard,
    /// One tenant's.
    Share(u32),
}

/// What the ledger needs to know about a slot and cannot know itself.
pub(super) trait Uses {
    /// Whether the slot was used since it was asked last; asking forgets all uses.
    fn spend_all(&self, slot: u32) -> bool;
    /// Whether the slot was used; asking takes one use away.
    fn spend_one(&self, slot: u32) -> bool;
    /// The name in a slot.
    fn name(&self, slot: u32) -> Name;
}

/// Order, ownership and free room of one shard's slots.
pub(super) struct Ledger {
    capacity: usize,
    share_max: usize,
    nodes: Vec<Node>,
    free: Vec<u32>,
    queues: Queues,
    shares: HashMap<u32, Queues>,
    /// Fingerprints of names that went unused, each in the one place its bits pick; newer overwrite older.
    ghosts: Box<[u32]>,
}

/// A slot's place in the queues.
#[derive(Clone, Copy)]
struct Node {
    share: u32,
    proven: bool,
    /// By [`Axis`].
    links: [Link; 2],
}

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
}

/// Along which of its two links a slot is queued.
#[derive(Clone, Copy)]
enum Axis {
    Shard = 0,
    Share = 1,
}

#[derive(Default)]
struct Queues {
    probation: Fifo,
    main: Fifo,
}

struct Fifo {
    newest: u32,
    oldest: u32,
    len: usize,
}

impl Ledger {
    pub(super) fn new(capacity: usize, share_max: usize) -> Self {
        Self {
            capacity,
            share_max,
            // Only reserved: the system lends the pages when they are first written.
            nodes: Vec::with_capacity(capacity),
            free: Vec::new(),
            queues: Queues::default(),
            shares: HashMap::new(),
            ghosts: vec![0; capacity].into_boxed_slice(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn share_len(&self, share: u32) -> usize {
        self.shares.get(&share).map_or(0, Queues::len)
    }

    pub(super) fn share(&self, slot: u32) -> u32 {
        self.node(slot).share
    }

    /// Who must go before `share` may have one more slot, if anyone.
    pub(super) fn must_go(&mut self, share: u32, uses: &impl Uses) -> Option<u32> {
        if self.share_len(share) >= self.share_max {
            Some(self.choose(Scope::Share(share), self.share_max, uses))
        } else if self.len() >= self.capacity {
            Some(self.choose(Scope::Shard, self.capacity, uses))
        } else {
            None
        }
    }

    /// Gives a free slot to a name, or `None` if there is none.
    pub(super) fn admit(&mut self, name: &Name, share: u32) -> Option<u32> {
        let proven = self.take_ghost(name);
        let node = Node {
            share,
            proven,
            links: [Link::LOOSE; 2],
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.nodes[slot as usize] = node;
            slot
        } else if self.nodes.len() < self.capacity {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).ok()?
        } else {
            return None;
        };
        self.enqueue(slot);
        Some(slot)
    }

    /// Takes a slot back.
    pub(super) fn release(&mut self, slot: u32) {
        self.dequeue(slot);
        let share = self.node(slot).share;
        if self.share_len(share) == 0 {
            // Tenants come and go; what they leave behind must not add up.
            self.shares.remove(&share);
        }
        self.free.push(slot);
    }

    /// Picks who goes. There must be someone in the scope.
    fn choose(&mut self, scope: Scope, room: usize, uses: &impl Uses) -> u32 {
        for _ in 0..CHANCES_MAX {
            let (slot, proven) = self.next_in_turn(scope, room);
            let used = if proven {
                uses.spend_one(slot)
            } else {
                uses.spend_all(slot)
            };
            if !used {
                if !proven {
                    self.leave_ghost(&uses.name(slot));
                }
                return slot;
            }
            self.dequeue(slot);
            self.nodes[slot as usize].proven = true;
            self.enqueue(slot);
        }
        self.next_in_turn(scope, room).0
    }

    fn next_in_turn(&self, scope: Scope, room: usize) -> (u32, bool) {
        let queues = match scope {
            Scope::Shard => &self.queues,
            Scope::Share(share) => &self.shares[&share],
        };
        if queues.main.len == 0 || queues.probation.len > room / PROBATION_PART {
            (queues.probation.oldest, false)
        } else {
            (queues.main.oldest, true)
        }
    }

    fn leave_ghost(&mut self, name: &Name) {
        let at = name.haunt(self.ghosts.len());
        self.ghosts[at] = name.fingerprint();
    }

    fn take_ghost(&mut self, name: &Name) -> bool {
        let at = name.haunt(self.ghosts.len());
        let seen = self.ghosts[at] == name.fingerprint();
        if seen {
            self.ghosts[at] = 0;
        }
        seen
    }

    fn enqueue(&mut self, slot: u32) {
        let Node { share, proven, .. } = *self.node(slot);
        let of_shard = self.queues.queue(proven);
        of_shard.push(&mut self.nodes, Axis::Shard, slot);
        let of_share = self.shares.entry(share).or_default().queue(proven);
        of_share.push(&mut self.nodes, Axis::Share, slot);
    }

    fn dequeue(&mut self, slot: u32) {
        let Node { share, proven, .. } = *self.node(slot);
        let of_shard = self.queues.queue(proven);
        of_shard.unlink(&mut self.nodes, Axis::Shard, slot);
        let of_share = self.shares.entry(share).or_default().queue(proven);
        of_share.unlink(&mut self.nodes, Axis::Share, slot);
    }

    fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot as usize]
    }
}

impl Queues {
    fn len(&self) -> usize {
        self.probation.len + self.main.len
    }

    fn queue(&mut self, proven: bool) -> &mut Fifo {
        if proven {
            &mut self.main
        } else {
            &mut self.probation
        }
    }
}

impl Link {
    const LOOSE: Self = Self {
        newer: NONE,
        older: NONE,
    };
}

impl Default for Fifo {
    fn default() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            len: 0,
        }
    }
}

impl Fifo {
    fn push(&mut self, nodes: &mut [Node], axis: Axis, slot: u32) {
        let axis = axis as usize;
        nodes[slot as usize].links[axis] = Link {
            newer: NONE,
            older: self.newest,
        };
        match nodes.get_mut(self.newest as usize) {
            Some(second) => second.links[axis].newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
        self.len += 1;
    }

    fn unlink(&mut self, nodes: &mut [Node], axis: Axis, slot: u32) {
        let axis = axis as usize;
        let Link { newer, older } = nodes[slot as usize].links[axis];
        match nodes.get_mut(newer as usize) {
            Some(node) => node.links[axis].older = older,
            None => self.newest = older,
        }
        match nodes.get_mut(older as usize) {
            Some(node) => node.links[axis].newer = newer,
            None => self.oldest = newer,
        }
        self.len -= 1;
    }
}
