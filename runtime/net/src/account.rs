//! What is kept of one workload's bytes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Traffic;

/// Counts what a workload has carried, and bounds what it has on its way in this process.
///
/// All connections of a workload share the allowance. While it is used up each of them may hold little, but never nothing,
/// so that none waits for another to make room.
#[derive(Debug)]
pub struct Account {
    allowance: usize,
    held: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Account {
    /// An account whose connections may hold `allowance` bytes together before each is cut down.
    pub fn new(allowance: usize) -> Account {
        Account { allowance, held: AtomicUsize::new(0), received: AtomicU64::new(0), sent: AtomicU64::new(0) }
    }

    /// What has been carried so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { received: self.received.load(Ordering::Relaxed), sent: self.sent.load(Ordering::Relaxed) }
    }

    /// Counts bytes that the workload has handed over.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that the workload has read.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that wait in this process now, sent by the workload and not yet read.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts bytes that begin to wait.
    pub fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that wait no longer.
    pub fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether the allowance is used up.
    pub fn is_spent(&self) -> bool {
        self.held() >= self.allowance
    }
}
