//! What happens when a tenant revokes more than its share of memory: never is a revocation dropped.
//!
//! The oldest records are exchanged for one watermark over the whole tenant that revokes whatever they did, and
//! more: everybody whose token is as old must log in again. A watermark covers a record that is itself a watermark
//! and not later; and one of a single token if no token it concerns can have been issued later, because none lives
//! beyond the record's `until`. This rule looks at nothing but the records, so that hosts which merged the same
//! ones in whatever order agree; and a record that is covered when it comes is not taken in again.

use super::record::Record;
use super::register::{Change, Put, Register, Writer};
use super::table::{Held, Table, Whose, words};
use super::tenant::Tenant;
use super::{Member, Members};
use crate::clock::Now;
use crate::sync::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A quota that is reached is cleared to this part of it, in percent: the walk over all records must be rare.
const CLEARED_PERCENT: usize = 75;

/// Whether the tenant's watermark says all that this record does.
pub(super) fn is_covered(tenant: &Tenant, members: Members, before: u32, until: u32) -> bool {
    let Some((covering, lasting)) = tenant.watermark() else {
        return false;
    };
    let issued_by = issued_by(members, before, until);
    !members.is_empty()
        && until <= lasting
        && (covering == Record::EVERY || issued_by.is_some_and(|issued_by| issued_by <= covering))
}

/// The last second at which a token that the record revokes can have been issued.
fn issued_by(members: Members, before: u32, until: u32) -> Option<u32> {
    if before != Record::EVERY {
        return Some(before);
    }
    let names_a_token = members.contains(Member::TokenId) || members.contains(Member::Digest);
    (names_a_token && until != Record::FOREVER).then_some(until)
}

impl Register {
    /// Exchanges the oldest records of a tenant that has more than its quota for a watermark.
    pub(super) fn hold_to_quota(
        &self,
        writer: &mut Writer,
        number: u32,
        now: Now,
        change: &mut Change,
    ) {
        let tenant = Arc::clone(&writer.tenants[number as usize]);
        let count = tenant.records.load(Ordering::Relaxed);
        let Some(key) = tenant.everything() else {
            return;
        };
        if count < tenant.looked_at.load(Ordering::Relaxed) {
            return;
        }
        // Where little can be covered, the next walk waits until there is a tenth more to walk over.
        tenant
            .looked_at
            .store(count + count / 10, Ordering::Relaxed);
        let mut oldest = self.coverable(number);
        oldest.sort_unstable();
        let going = count.saturating_sub(self.options.tenant_records_max * CLEARED_PERCENT / 100);
        oldest.truncate(going);
        let Some((before, _)) = oldest.last().copied() else {
            return;
        };
        let until = oldest.iter().map(|(_, until)| *until).max().unwrap_or(0);
        let watermark = Record { key, before, until };
        let held = Held {
            id: words(&key.id),
            whose: Whose::new(number, Members::NONE),
            before,
            until,
            keep_until_boot: super::register::keep_until_boot(until, now),
        };
        if let Put::Added = self.put(writer, &held, true) {
            tenant.records.fetch_add(1, Ordering::Relaxed);
        }
        tenant.uses(Members::NONE);
        // Raised before anything goes: a reader looks at the watermark last, so it sees one or the other.
        tenant.raise_watermark(watermark.before, watermark.until);
        change.tenants.insert(number);
        change.new += 1;
        let gone: usize = (0..self.shards.len())
            .map(|shard| {
                self.drop_from(writer, shard, |held| {
                    held.whose.tenant() == number
                        && is_covered(&tenant, held.whose.members(), held.before, held.until)
                })
            })
            .sum();
        if tenant.records.load(Ordering::Relaxed) <= self.options.tenant_records_max {
            tenant.looked_at.store(0, Ordering::Relaxed);
        }
        tracing::warn!(
            tenant = format_args!("{:08x}", tenant.tag.0),
            gone,
            before,
            "a tenant has more revocations than its quota; the oldest became a watermark"
        );
    }

    /// Of each record of the tenant that a watermark can cover: the watermark that would, and until when.
    fn coverable(&self, number: u32) -> Vec<(u32, u32)> {
        let pinned = pin();
        let tables = self.shards.iter().filter_map(|shard| shard.get(&pinned));
        tables
            .flat_map(Table::iter)
            .filter(|held| held.whose.tenant() == number && !held.whose.members().is_empty())
            .filter_map(|held| {
                let issued_by = issued_by(held.whose.members(), held.before, held.until)?;
                Some((issued_by, held.until))
            })
            .collect()
    }
}
