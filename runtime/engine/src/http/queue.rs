use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

use carob_net::{Body, Refused};
use futures::channel::oneshot;
use http::Request;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Refusal;
use super::exchange::{Exchange, Lease, Reply, ReplySender, Ticket, given_back};

/// The requests of one container that wait for an instance, and its workers.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    most_waiting: usize,
    most_workers: usize,
    open: Arc<Open>,
}

/// Requests that wait or are being answered.
#[derive(Default)]
pub(super) struct Open {
    count: AtomicUsize,
    none: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Job>,
    /// Workers whose instance could take another request at once; the one that came last is woken first, so that under
    /// light load the others run out of time and end.
    free: Vec<(WorkerId, Waker)>,
    /// Workers that were started and have not looked into the queue yet.
    starting: usize,
    workers: usize,
    next_id: u64,
    closed: bool,
}

/// Tells the workers of one container apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerId(u64);

/// A request on its way to an instance.
pub(super) struct Job {
    id: u64,
    pub(super) request: Request<Body>,
    pub(super) reply: ReplySender,
    pub(super) since: Instant,
    exchange: Arc<Exchange>,
}

impl Queue {
    pub(super) fn new(most_waiting: usize, most_workers: usize) -> Self {
        Queue { inner: Mutex::default(), most_waiting, most_workers: most_workers.max(1), open: Arc::default() }
    }

    /// Appends a request, and wakes a free worker for it.
    pub(super) fn push(&self, request: Request<Body>) -> Result<(Ticket, Reply), Box<Refusal>> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Box::new((Refused::Closed, Some(request))));
        }
        if inner.waiting.len() >= self.most_waiting {
            inner.waiting.retain(|job| !job.exchange.is_gone());
        }
        if inner.waiting.len() >= self.most_waiting {
            return Err(Box::new((Refused::Overloaded, Some(request))));
        }
        let (sender, reply) = oneshot::channel();
        let exchange = Arc::new(Exchange::default());
        let id = inner.next_id();
        inner.waiting.push_back(Job { id, request, reply: sender, since: Instant::now(), exchange: exchange.clone() });
        let free = inner.free.pop();
        drop(inner);
        if let Some((_, waker)) = free {
            waker.wake();
        }
        Ok((Ticket::new(id, exchange, self.open.begin()), reply))
    }

    /// The request of `ticket`, if no instance took it yet.
    pub(super) fn take_back(&self, ticket: &Ticket) -> Option<Request<Body>> {
        let mut inner = self.inner.lock();
        let position = inner.waiting.iter().position(|job| job.id == ticket.id())?;
        inner.waiting.remove(position).map(|job| job.request)
    }

    /// Whether the caller shall start a worker now; it is counted already.
    pub(super) fn wants_worker(&self) -> bool {
        let mut inner = self.inner.lock();
        let wanted = inner.waiting.len() > inner.starting && inner.workers < self.most_workers;
        if wanted {
            inner.starting += 1;
            inner.workers += 1;
        }
        wanted
    }

    /// A worker that was counted by `wants_worker` begins.
    pub(super) fn worker(&self) -> Worker<'_> {
        let id = WorkerId(self.inner.lock().next_id());
        Worker { queue: self, id, starting: true }
    }

    pub(super) fn open(&self) -> usize {
        self.open.count.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
    }

    /// Closes, and gives back what waits.
    pub(super) fn clear(&self) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            std::mem::take(&mut inner.waiting)
        };
        for job in waiting {
            // The caller may be gone; then nobody wants it back.
            let _ = job.reply.send(given_back(job.request, Refused::Closed));
        }
    }

    pub(super) async fn drained(&self) {
        let mut none = std::pin::pin!(self.open.none.notified());
        none.as_mut().enable();
        if self.open() > 0 {
            none.await;
        }
    }
}

impl Inner {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The next request that somebody still waits for, now in the instance of `lease`.
    fn pop(&mut self, lease: &Arc<Lease>) -> Option<Job> {
        loop {
            let job = self.waiting.pop_front()?;
            if job.exchange.taken_by(lease) {
                return Some(job);
            }
        }
    }
}

/// One worker, as the queue counts it.
pub(super) struct Worker<'a> {
    queue: &'a Queue,
    id: WorkerId,
    starting: bool,
}

impl Worker<'_> {
    /// The next request, if one waits.
    pub(super) fn next(&mut self, lease: &Arc<Lease>) -> Option<Job> {
        let mut inner = self.queue.inner.lock();
        if std::mem::take(&mut self.starting) {
            inner.starting -= 1;
        }
        inner.pop(lease)
    }

    /// The next request; if none waits, `waker` is woken when one comes.
    pub(super) fn next_or_wait(&self, lease: &Arc<Lease>, waker: &Waker) -> Option<Job> {
        let mut inner = self.queue.inner.lock();
        let job = inner.pop(lease);
        let known = inner.free.iter().position(|(id, _)| *id == self.id);
        match (&job, known) {
            (Some(_), Some(at)) => {
                inner.free.remove(at);
            }
            (None, Some(at)) => inner.free[at].1.clone_from(waker),
            (None, None) => inner.free.push((self.id, waker.clone())),
            (Some(_), None) => {}
        }
        job
    }

    /// The worker's instance cannot take a request now.
    pub(super) fn not_free(&self) {
        self.queue.inner.lock().free.retain(|(id, _)| *id != self.id);
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut inner = self.queue.inner.lock();
        inner.workers -= 1;
        inner.starting -= usize::from(self.starting);
        inner.free.retain(|(id, _)| *id != self.id);
    }
}

impl Open {
    fn begin(self: &Arc<Self>) -> OpenRequest {
        self.count.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }
}

/// Counts one request until it is dropped.
pub(super) struct OpenRequest(Arc<Open>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<Body> {
        Request::new(super::super::body::text(""))
    }

    #[test]
    fn one_worker_is_started_for_each_waiting_request_up_to_the_bound() {
        let queue = Queue::new(10, 2);
        assert!(!queue.wants_worker());
        let _first = queue.push(request()).ok().unwrap();
        assert!(queue.wants_worker());
        assert!(!queue.wants_worker(), "the one that starts will take it");
        let _more: Vec<_> = (0..3).map(|_| queue.push(request()).ok().unwrap()).collect();
        assert!(queue.wants_worker());
        assert!(!queue.wants_worker(), "two is the most");
    }

    #[test]
    fn a_worker_that_leaves_makes_room_for_another() {
        let queue = Queue::new(10, 1);
        let _request = queue.push(request()).ok().unwrap();
        assert!(queue.wants_worker());
        drop(queue.worker());
        assert!(queue.wants_worker());
    }

    #[test]
    fn requests_come_out_in_order_and_those_that_were_given_up_do_not() {
        let queue = Queue::new(10, 1);
        let (one, _reply) = queue.push(request()).ok().unwrap();
        drop(queue.push(request()).ok().unwrap());
        let (three, _reply3) = queue.push(request()).ok().unwrap();
        assert!(queue.wants_worker());
        let mut worker = queue.worker();
        let lease = Lease::new();
        assert_eq!(worker.next(&lease).unwrap().id, one.id());
        assert_eq!(worker.next(&lease).unwrap().id, three.id());
        assert!(worker.next(&lease).is_none());
    }

    #[test]
    fn a_full_or_closed_queue_gives_the_request_back() {
        let queue = Queue::new(1, 1);
        let _waiting = queue.push(request()).ok().unwrap();
        assert!(matches!(*queue.push(request()).err().unwrap(), (Refused::Overloaded, Some(_))));
        queue.close();
        assert!(matches!(*queue.push(request()).err().unwrap(), (Refused::Closed, Some(_))));
    }

    #[test]
    fn requests_that_were_given_up_take_no_place() {
        let queue = Queue::new(1, 1);
        drop(queue.push(request()).ok().unwrap());
        assert!(queue.push(request()).is_ok());
    }

    #[test]
    fn clearing_gives_back_what_waits() {
        let queue = Queue::new(1, 1);
        let (_ticket, mut reply) = queue.push(request()).ok().unwrap();
        queue.clear();
        let answer = reply.try_recv().unwrap().unwrap();
        assert!(matches!(super::super::exchange::refusal(answer.unwrap_err()), (Refused::Closed, Some(_))));
    }

    #[test]
    fn what_waits_can_be_taken_back_and_what_runs_cannot() {
        let queue = Queue::new(10, 1);
        let (one, _reply1) = queue.push(request()).ok().unwrap();
        let (two, _reply2) = queue.push(request()).ok().unwrap();
        assert!(queue.wants_worker());
        let _job = queue.worker().next(&Lease::new()).unwrap();
        assert!(queue.take_back(&one).is_none());
        assert!(queue.take_back(&two).is_some());
        assert_eq!(queue.open(), 2);
        drop((one, two));
        assert_eq!(queue.open(), 0);
    }
}
