//! Which tenants are asked for: a bounded table that whoever is asked for most stays in.
//!
//! A flood of made-up names is a flood of names asked for once each. A client whose tenant is not loaded asks again, and
//! is soon ahead of all of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most names kept.
const WISHES_MAX: usize = 1_024;

/// Tenants that are asked for.
pub(super) struct Wishes {
    table: Mutex<Table>,
    woken: Notify,
}

struct Table {
    places: Vec<Wish>,
    by_iss: HashMap<Box<str>, usize>,
    picked: u64,
    picker: RandomState,
}

struct Wish {
    iss: Box<str>,
    asked: u32,
}

impl Wishes {
    pub(super) fn new() -> Self {
        Self {
            table: Mutex::new(Table {
                places: Vec::new(),
                by_iss: HashMap::new(),
                picked: 0,
                picker: RandomState::new(),
            }),
            woken: Notify::new(),
        }
    }

    /// Notes that a tenant is asked for.
    pub(super) fn wish(&self, iss: &str) {
        self.lock().wish(iss);
        self.woken.notify_one();
    }

    /// Notes it again, without waking who would look at it at once.
    pub(super) fn wish_quietly(&self, iss: &str) {
        self.lock().wish(iss);
    }

    /// Takes out the one asked for most of those that `fits` says yes to.
    pub(super) fn take(&self, mut fits: impl FnMut(&str) -> bool) -> Option<Box<str>> {
        let mut table = self.lock();
        let places = table.places.iter().enumerate();
        let most = places
            .filter(|(_, wish)| fits(&wish.iss))
            .max_by_key(|(_, wish)| wish.asked);
        let place = most.map(|(place, _)| place)?;
        Some(table.remove(place))
    }

    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Waits until something is asked for that was not seen yet.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn wish(&mut self, iss: &str) {
        if let Some(&place) = self.by_iss.get(iss) {
            let wish = &mut self.places[place];
            wish.asked = wish.asked.saturating_add(1);
            return;
        }
        let wish = Wish {
            iss: iss.into(),
            asked: 1,
        };
        if self.places.len() < WISHES_MAX {
            self.by_iss.insert(iss.into(), self.places.len());
            self.places.push(wish);
            return;
        }
        // Somebody, by chance, loses one; who has none left makes room. Names asked for often last long.
        self.picked = self.picked.wrapping_add(1);
        let chance = self.picker.hash_one(self.picked);
        let place = usize::try_from(chance % WISHES_MAX as u64).unwrap_or(0);
        let victim = &mut self.places[place];
        victim.asked -= 1;
        if victim.asked == 0 {
            let gone = std::mem::replace(victim, wish);
            self.by_iss.remove(&gone.iss);
            self.by_iss.insert(iss.into(), place);
        }
    }

    fn remove(&mut self, place: usize) -> Box<str> {
        let wish = self.places.swap_remove(place);
        self.by_iss.remove(&wish.iss);
        if let Some(moved) = self.places.get(place) {
            self.by_iss.insert(moved.iss.clone(), place);
        }
        wish.iss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_asked_for_most_comes_first() {
        let wishes = Wishes::new();
        for iss in ["a", "b", "b", "c", "c", "c"] {
            wishes.wish(iss);
        }
        assert_eq!(wishes.take(|iss| iss != "c").as_deref(), Some("b"));
        assert_eq!(wishes.take(|_| true).as_deref(), Some("c"));
        assert_eq!(wishes.take(|_| true).as_deref(), Some("a"));
        assert_eq!(wishes.take(|_| true), None);
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_nor_drowns_who_asks_again() {
        let wishes = Wishes::new();
        for number in 0..20_000 {
            wishes.wish(&format!("made-up-{number}"));
            // A client that asks once for every 50 of them.
            if number % 50 == 0 {
                wishes.wish("genuine");
            }
        }
        let table = wishes.lock();
        assert_eq!(table.places.len(), WISHES_MAX);
        assert_eq!(table.by_iss.len(), WISHES_MAX);
        for (iss, place) in &table.by_iss {
            assert_eq!(table.places[*place].iss, *iss);
        }
        drop(table);
        assert_eq!(wishes.take(|_| true).as_deref(), Some("genuine"));
    }
}
