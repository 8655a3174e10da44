//! The network that other tests run in: what its lines do, and that nothing is left of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use carob_tests::{Line, Machine, Network, Server, eventually};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Far more than a datagram takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Pair {
    network: Network,
    one: Machine,
    other: Machine,
}

impl Pair {
    fn new() -> Self {
        let network = Network::new();
        let (one, other) = (network.machine(), network.machine());
        Self { network, one, other }
    }

    fn sockets(&self) -> (UdpSocket, UdpSocket) {
        let sockets = (socket(&self.one), socket(&self.other));
        sockets.0.connect(sockets.1.local_addr().unwrap()).unwrap();
        sockets.1.connect(sockets.0.local_addr().unwrap()).unwrap();
        sockets
    }
}

fn socket(machine: &Machine) -> UdpSocket {
    let socket = machine.within(|| UdpSocket::bind((machine.address(), 0))).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn next(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn listen(machine: &Machine) -> (TcpListener, SocketAddr) {
    let listener = machine.within(|| TcpListener::bind((machine.address(), 0))).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_stream_of_megabytes_arrives_whole() {
    let pair = Pair::new();
    let (listener, address) = listen(&pair.other);
    let sent: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    let mut stream = pair.one.within(|| TcpStream::connect(address)).unwrap();
    let received = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut received = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
            received
        });
        stream.write_all(&sent).unwrap();
        drop(stream);
        reader.join().unwrap()
    });
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
}

#[test]
fn a_line_is_cut_one_way_or_both_and_heals() {
    let pair = Pair::new();
    let (one, other) = pair.sockets();
    pair.network.set_one_way(&pair.one, &pair.other, Line::CUT);
    one.send(b"lost").unwrap();
    other.send(b"back").unwrap();
    assert_eq!(next(&one), "back");
    pair.network.cut(&pair.one, &pair.other);
    other.send(b"lost too").unwrap();
    pair.network.heal(&pair.one, &pair.other);
    one.send(b"healed").unwrap();
    other.send(b"healed").unwrap();
    assert_eq!((next(&one), next(&other)), ("healed".to_owned(), "healed".to_owned()));
}

#[test]
fn other_lines_go_on() {
    let pair = Pair::new();
    let third = pair.network.machine();
    let (one, three) = (socket(&pair.one), socket(&third));
    pair.network.cut(&pair.one, &pair.other);
    one.send_to(b"around", three.local_addr().unwrap()).unwrap();
    assert_eq!(next(&three), "around");
}

#[test]
fn a_slow_line_is_as_slow_as_it_says() {
    let pair = Pair::new();
    let (_listener, address) = listen(&pair.other);
    let delay = Duration::from_millis(150);
    pair.network.set(&pair.one, &pair.other, Line::slow(delay));
    let begin = Instant::now();
    pair.one.within(|| TcpStream::connect(address)).unwrap();
    assert!(begin.elapsed() >= 2 * delay, "a round trip took {:?}", begin.elapsed());
}

#[test]
fn a_lossy_line_loses_its_share() {
    let pair = Pair::new();
    let (one, other) = pair.sockets();
    pair.network.set(&pair.one, &pair.other, Line::lossy(0.25));
    for _ in 0..100 {
        one.send(b"maybe").unwrap();
    }
    pair.network.heal(&pair.one, &pair.other);
    one.send(b"end").unwrap();
    let arrived = std::iter::from_fn(|| Some(next(&other)).filter(|said| said == "maybe")).count();
    assert!((60..=90).contains(&arrived), "{arrived} of 100");
}

#[test]
fn a_clock_is_off_where_it_is_said() {
    let network = Network::new();
    let (right, wrong) = (network.machine(), network.machine().with_clock("-2h"));
    let time = |machine: &Machine| -> i64 {
        let output = machine.command("date").arg("+%s").output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
    };
    let off = time(&right) - time(&wrong);
    assert!((7100..7300).contains(&off), "{off} s");
}

/// In the environment of a test that is to be ended from outside: it has a network and a server, and waits.
const VICTIM: &str = "CAROB_TEST_VICTIM";
const NAME: &str = "nothing_is_left_however_a_test_ends";

#[test]
fn nothing_is_left_however_a_test_ends() {
    if let Ok(how) = env::var(VICTIM) {
        return live(&how);
    }
    for (how, end) in [("panics", None), ("waits", Some(Signal::INT)), ("waits", Some(Signal::KILL))] {
        let mut victim = Victim::start(how);
        match end {
            // As a terminal does on Ctrl-C.
            Some(Signal::INT) => kill_process_group(victim.pid(), Signal::INT).unwrap(),
            Some(signal) => kill_process(victim.pid(), signal).unwrap(),
            None => victim.say_panic(),
        }
        victim.child.wait().unwrap();
        victim.assert_nothing_is_left();
    }
    the_next_run_sweeps();
}

/// Whoever guards the cluster may be killed as well: then the next test that begins clears up.
fn the_next_run_sweeps() {
    let mut victim = Victim::start("waits");
    for process in children_of(victim.child.id()).into_iter().filter(|process| *process != victim.server) {
        kill_process(Pid::from_raw(process as i32).unwrap(), Signal::KILL).unwrap();
    }
    kill_process(victim.pid(), Signal::KILL).unwrap();
    victim.child.wait().unwrap();
    assert!(is_alive(victim.server) && Path::new(&victim.folder).exists(), "there is something to sweep");
    let mut next = Victim::start("panics");
    victim.assert_nothing_is_left();
    next.say_panic();
    next.child.wait().unwrap();
}

/// A test that tells what it has, and waits for a word.
fn live(how: &str) {
    let network = Network::new();
    let (machine, _other) = (network.machine(), network.machine());
    let server = Server::start_on(&machine, &[]);
    let namespace = fs::read_link(format!("/proc/{}/ns/net", server.pid())).unwrap();
    println!("\nvictim {} {} {}", server.pid(), namespace.display(), server.folder().display());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    assert_ne!(how, "panics", "as a test that fails");
}

/// Such a test in a process of its own.
struct Victim {
    child: Child,
    server: u32,
    namespace: String,
    folder: String,
}

impl Victim {
    fn start(how: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", NAME, "--nocapture"]).env(VICTIM, how).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.find(|line| line.starts_with("victim")).expect("the victim tells what it has");
        let words: Vec<_> = told.split(' ').collect();
        let (server, namespace, folder) = (words[1].parse().unwrap(), words[2].to_owned(), words[3].to_owned());
        let victim = Self { child, server, namespace, folder };
        assert!(is_alive(victim.server) && Path::new(&victim.folder).is_dir() && victim.is_inhabited());
        victim
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn say_panic(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn assert_nothing_is_left(&self) {
        eventually("the server ends", || !is_alive(self.server));
        eventually("its folder goes", || !Path::new(&self.folder).exists());
        eventually("nobody holds its namespace", || !self.is_inhabited());
    }

    /// Whether a process is in the server's network namespace: without one the kernel removes it, and its links.
    fn is_inhabited(&self) -> bool {
        let inside = |pid: &u32| {
            let of = fs::read_link(format!("/proc/{pid}/ns/net"));
            of.is_ok_and(|of| of == Path::new(&self.namespace))
        };
        processes().iter().any(inside)
    }
}

fn processes() -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    processes().into_iter().filter(is_child).collect()
}

/// Whether it runs, and is not only waited for.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}
