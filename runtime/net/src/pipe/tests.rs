//! The pipe beside a model of one direction of a TCP connection, under any interleaving of what its two ends may do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Write as much of so many bytes as there is room for, or wait.
    Write(usize),
    Read(usize),
    Shutdown,
    DropSender,
    DropReceiver,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..6000_usize).prop_map(Step::Write),
        5 => (1..40_usize).prop_map(Step::Write),
        10 => (1..5000_usize).prop_map(Step::Read),
        1 => Just(Step::Shutdown),
        1 => Just(Step::DropSender),
        1 => Just(Step::DropReceiver),
    ]
}

/// What TCP promises of one direction: a queue of bytes, an end, and who is still there.
#[derive(Default)]
struct Model {
    written: u64,
    read: u64,
    ending: Ending,
    deaf: bool,
    lost: bool,
}

impl Model {
    fn queued(&self) -> usize {
        (self.written - self.read) as usize
    }
}

struct Scene {
    model: Model,
    capacity: usize,
    sender: Option<PipeTransmit>,
    receiver: Option<PipeReceive>,
    account: Arc<Account>,
    reader: Arc<Woken>,
    writer: Arc<Woken>,
    reader_waits: bool,
    writer_waits: bool,
}

/// The bytes of the stream are their positions, so that one out of place is seen.
fn stream(from: u64, length: usize) -> Bytes {
    (from..from + length as u64).map(|position| (position % 251) as u8).collect()
}

impl Scene {
    fn new(capacity: usize, allowance: usize) -> Scene {
        let account = Arc::new(Account::new(allowance));
        let (sender, receiver) = pipe(capacity, account.clone(), account.clone());
        Scene {
            model: Model::default(),
            capacity: capacity.max(MIN_PIPE_BYTES),
            sender: Some(sender),
            receiver: Some(receiver),
            account,
            reader: Arc::default(),
            writer: Arc::default(),
            reader_waits: false,
            writer_waits: false,
        }
    }

    fn step(&mut self, step: Step) {
        let (woken_readers, woken_writers) = (self.count(&self.reader), self.count(&self.writer));
        match step {
            Step::Write(length) => self.write(length),
            Step::Read(most) => self.read(most),
            Step::Shutdown => self.shutdown(),
            Step::DropSender => {
                if self.sender.take().is_some() && self.model.ending == Ending::Open {
                    self.model.ending = Ending::Reset;
                }
            }
            Step::DropReceiver => {
                if self.receiver.take().is_some() {
                    self.model.deaf = true;
                    self.model.lost = self.model.queued() > 0;
                    self.model.read = self.model.written;
                    self.reader_waits = false;
                }
            }
        }
        self.nobody_sleeps_who_could_go_on(woken_readers, woken_writers);
        assert_eq!(self.account.held(), self.model.queued(), "what is held is what waits");
    }

    fn count(&self, woken: &Woken) -> usize {
        woken.0.load(Ordering::SeqCst)
    }

    fn nobody_sleeps_who_could_go_on(&mut self, readers: usize, writers: usize) {
        if self.reader_waits && (self.model.queued() > 0 || self.model.ending != Ending::Open) {
            assert!(self.count(&self.reader) > readers, "the reader is woken");
            self.reader_waits = false;
        }
        if self.writer_waits && (self.model.queued() == 0 || self.model.deaf) {
            assert!(self.count(&self.writer) > writers, "the writer is woken");
        }
        self.writer_waits &= self.count(&self.writer) == writers;
    }

    fn write(&mut self, length: usize) {
        let Some(sender) = &mut self.sender else { return };
        let waker = self.writer.clone().into();
        let capacity = sender.poll_capacity(&mut Context::from_waker(&waker));
        if self.model.deaf || self.model.ending != Ending::Open {
            assert_eq!(capacity, Poll::Ready(Err(NetworkError::ConnectionReset)));
            self.writer_waits = false;
            return;
        }
        match capacity {
            Poll::Ready(Ok(room)) => {
                assert!(room > 0 && room + self.model.queued() <= self.capacity, "{room} beside what waits");
                let length = length.min(room);
                sender.transmit(stream(self.model.written, length)).unwrap();
                self.model.written += length as u64;
                self.writer_waits = false;
            }
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => {
                assert!(self.model.queued() >= MIN_PIPE_BYTES, "there is always room for a little");
                self.writer_waits = true;
            }
        }
    }

    fn read(&mut self, most: usize) {
        let Some(receiver) = &mut self.receiver else { return };
        let waker = self.reader.clone().into();
        let got = receiver.poll_receive(&mut Context::from_waker(&waker), most);
        if self.model.queued() > 0 {
            let Poll::Ready(Ok(Some(bytes))) = got else { panic!("what waits is read: {got:?}") };
            assert!(!bytes.is_empty() && bytes.len() <= most);
            assert_eq!(bytes, stream(self.model.read, bytes.len()));
            self.model.read += bytes.len() as u64;
            return;
        }
        let expected = match self.model.ending {
            Ending::Open => Poll::Pending,
            Ending::Shutdown => Poll::Ready(Ok(None)),
            Ending::Reset => Poll::Ready(Err(NetworkError::ConnectionReset)),
        };
        assert_eq!(got, expected);
        self.reader_waits = got.is_pending();
    }

    fn shutdown(&mut self) {
        let Some(sender) = &mut self.sender else { return };
        let waker = self.writer.clone().into();
        let done = sender.poll_shutdown(&mut Context::from_waker(&waker));
        let expected = if self.model.lost { Err(NetworkError::ConnectionReset) } else { Ok(()) };
        assert_eq!(done, Poll::Ready(expected));
        self.model.ending = Ending::Shutdown;
    }
}

proptest! {
    #[test]
    fn it_does_what_tcp_does(
        capacity in prop_oneof![Just(0_usize), MIN_PIPE_BYTES..20_000_usize],
        allowance in prop_oneof![Just(usize::MAX), Just(0_usize), 5_000..30_000_usize],
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let mut scene = Scene::new(capacity, allowance);
        steps.into_iter().for_each(|step| scene.step(step));
        let account = scene.account.clone();
        drop(scene);
        prop_assert_eq!(account.held(), 0, "nothing is held for a pipe that is gone");
    }
}

#[test]
fn a_large_piece_is_handed_over_without_a_copy() {
    let account = Arc::new(Account::new(usize::MAX));
    let (mut sender, mut receiver) = pipe(1 << 20, account.clone(), account.clone());
    let piece = Bytes::from(vec![7; 100_000]);
    sender.transmit(piece.clone()).unwrap();
    let got = receiver.poll_receive(&mut Context::from_waker(Waker::noop()), usize::MAX);
    let Poll::Ready(Ok(Some(got))) = got else { panic!("{got:?}") };
    assert_eq!(got.as_ptr(), piece.as_ptr());
    let carried = account.traffic();
    assert_eq!((carried.sent, carried.received), (100_000, 100_000));
}

#[test]
fn single_bytes_that_wait_are_gathered() {
    let account = Arc::new(Account::new(usize::MAX));
    let (mut sender, receiver) = pipe(64 * 1024, account.clone(), account);
    for _ in 0..60_000 {
        sender.transmit(Bytes::from_static(b"x")).unwrap();
    }
    let pieces = receiver.shared.state.lock().queue.len();
    assert!(pieces < 10, "{pieces} allocations for 60,000 bytes");
}

#[test]
fn a_workload_that_holds_too_much_has_less_room_in_each_pipe() {
    let account = Arc::new(Account::new(50_000));
    let mut pipes: Vec<_> = (0..3).map(|_| pipe(40_000, account.clone(), account.clone())).collect();
    let room = |transmit: &mut PipeTransmit| match transmit.poll_capacity(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(room)) => room,
        other => panic!("{other:?}"),
    };
    assert_eq!(room(&mut pipes[0].0), 40_000);
    pipes[0].0.transmit(Bytes::from(vec![0; 40_000])).unwrap();
    assert_eq!(room(&mut pipes[1].0), 40_000);
    pipes[1].0.transmit(Bytes::from(vec![0; 20_000])).unwrap();
    assert_eq!(room(&mut pipes[2].0), MIN_PIPE_BYTES);
    drop(pipes.remove(0));
    assert_eq!(room(&mut pipes[1].0), 40_000);
}

fn room(transmit: &mut PipeTransmit) -> Option<usize> {
    match transmit.poll_capacity(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(room)) => Some(room),
        Poll::Ready(Err(error)) => panic!("{error}"),
        Poll::Pending => None,
    }
}

#[test]
fn bytes_wait_in_the_buffers_of_both_ends() {
    let account = Arc::new(Account::new(usize::MAX));
    let options = TcpOptions { send_buffer: Some(10_000), receive_buffer: Some(20_000), ..TcpOptions::default() };
    let (mut near, mut far) = pipes(&options, &account, &account);
    assert_eq!(
        (room(&mut near.transmit), room(&mut far.transmit)),
        (Some(10_000 + TCP_BUFFER), Some(20_000 + TCP_BUFFER))
    );
    let accepted = TcpOptions { receive_buffer: Some(5_000), send_buffer: Some(6_000), ..TcpOptions::default() };
    far.control.set_options(&accepted).unwrap();
    assert_eq!((room(&mut near.transmit), room(&mut far.transmit)), (Some(15_000), Some(26_000)));
    let least = TcpOptions { receive_buffer: Some(1), send_buffer: Some(1), ..TcpOptions::default() };
    near.control.set_options(&least).unwrap();
    far.control.set_options(&least).unwrap();
    assert_eq!((room(&mut near.transmit), room(&mut far.transmit)), (Some(MIN_PIPE_BYTES), Some(MIN_PIPE_BYTES)));
}

#[test]
fn a_live_pipe_that_shrinks_stops_its_writer_and_one_that_grows_wakes_it() {
    let account = Arc::new(Account::new(usize::MAX));
    let (mut near, mut far) = pipes(&TcpOptions::default(), &account, &account);
    near.transmit.transmit(Bytes::from(vec![0; 20_000])).unwrap();
    far.control.set_options(&TcpOptions { receive_buffer: Some(2048), ..TcpOptions::default() }).unwrap();
    near.control.set_options(&TcpOptions { send_buffer: Some(2048), ..TcpOptions::default() }).unwrap();
    let writer = Arc::new(Woken::default());
    let waker = Waker::from(writer.clone());
    assert!(near.transmit.poll_capacity(&mut Context::from_waker(&waker)).is_pending(), "more than the window is held");
    far.control.set_options(&TcpOptions { receive_buffer: Some(2049), ..TcpOptions::default() }).unwrap();
    assert_eq!(writer.0.load(Ordering::Relaxed), 0, "there is still no room");
    far.control.set_options(&TcpOptions { receive_buffer: Some(100_000), ..TcpOptions::default() }).unwrap();
    assert_eq!(writer.0.load(Ordering::Relaxed), 1);
    assert_eq!(room(&mut near.transmit), Some(100_000 + 2048 - 20_000));
    assert!(far.receive.poll_readable(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(account.held(), 20_000, "to look takes nothing");
}
