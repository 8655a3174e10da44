//! How many sockets a Pod has, and how many of the host all Pods have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carob_net::NetworkError;

/// Counts sockets: of a Pod those that listen or wait to be used, and every connection.
#[derive(Debug)]
pub(crate) struct Sockets {
    most: usize,
    open: AtomicUsize,
}

impl Sockets {
    pub(crate) fn new(most: usize) -> Arc<Sockets> {
        Arc::new(Sockets { most, open: AtomicUsize::new(0) })
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Socket, NetworkError> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(NetworkError::LimitReached);
        }
        Ok(Socket(self.clone()))
    }
}

/// One socket that is counted.
#[derive(Debug)]
pub(crate) struct Socket(Arc<Sockets>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_most_and_again_when_one_is_gone() {
        let sockets = Sockets::new(2);
        let first = sockets.take().unwrap();
        let _second = sockets.take().unwrap();
        assert_eq!(sockets.take().unwrap_err(), NetworkError::LimitReached);
        assert_eq!(sockets.open(), 2);
        drop(first);
        assert!(sockets.take().is_ok());
    }
}
