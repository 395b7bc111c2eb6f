//! An issuer that says what the test wants, and counts how often it was asked.

use super::{Answer, Server, jwks};
use jotd::issuer::SigningKey;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server whose set the test changes, and which counts how often it was asked.
pub(crate) struct Issuer {
    pub(crate) server: Server,
    set: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
}

type Answers = Box<dyn FnMut() -> Answer + Send>;

impl Issuer {
    pub(crate) fn new(answers: impl FnMut() -> Answer + Send + 'static) -> Self {
        let set: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answers, counted) = (set.clone(), asked.clone());
        let server = Server::start(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            (answers.lock().expect("no panic"))()
        });
        Self { server, set, asked }
    }

    pub(crate) fn of(keys: &[&SigningKey]) -> Self {
        let set = jwks(keys);
        Self::new(move || Answer::ok(set.clone()))
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let set = jwks(keys);
        self.answer(move || Answer::ok(set.clone()));
    }

    pub(crate) fn answer(&self, answers: impl FnMut() -> Answer + Send + 'static) {
        *self.set.lock().expect("no panic") = Box::new(answers);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
