//! Machines in network namespaces, each with a link to one switch that can cut, delay and lose what they say to each other.
//!
//! A link is a veth pair: one end is the machine's `eth0`, the other is the switch's. The switch is a thread of the test, so
//! that no module of the kernel is needed and every run loses the same frames. Nothing here has a name that another test
//! could trip over, and all of it ends with the test: see [`namespace`].

mod lines;
mod machine;
mod namespace;
mod switch;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use parking_lot::Mutex;

pub use lines::Line;
pub use machine::Machine;

use lines::{Port, hardware_address};
use namespace::Namespace;
use switch::{Switch, packet_socket};

use crate::wait::eventually;

/// Every machine knows the addresses of so many.
const MOST: Port = 16;
/// `ip` reads its commands from its input.
const BATCH: [&str; 2] = ["-batch", "-"];
/// The kernel fills in checksums and cuts what is long itself.
const NO_OFFLOAD: [&str; 10] = ["--offload", "eth0", "tx", "off", "rx", "off", "gso", "off", "gro", "off"];

/// A network of its own for one test. It ends when it is dropped, and so do the links of its machines.
pub struct Network {
    /// Where the switch's ends of the links are.
    hub: Namespace,
    switch: Switch,
    machines: Mutex<Port>,
}

impl Network {
    /// A network without machines.
    ///
    /// # Panics
    /// If the test does not run as root.
    #[must_use]
    pub fn new() -> Self {
        let hub = Namespace::new();
        Self { hub, switch: Switch::start(), machines: Mutex::new(0) }
    }

    /// One more machine, with an address of its own.
    ///
    /// # Panics
    /// If there are 16 already, or `ip` or `ethtool` is missing.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let mut machines = self.machines.lock();
        assert!(*machines < MOST, "a network has {MOST} machines at most");
        *machines += 1;
        let (port, namespace) = (*machines, Namespace::new());
        drop(machines);
        self.connect(port, &namespace);
        let socket = self.hub.within(|| packet_socket(link(port))).expect("root may open packet sockets");
        self.switch.add(port, socket);
        Machine::new(port, address(port), namespace)
    }

    /// Sets what happens to all that `from` says to `to`, and to nothing else.
    pub fn set_one_way(&self, from: &Machine, to: &Machine, line: Line) {
        self.switch.set(from.port(), to.port(), line);
    }

    /// Sets what happens between two machines.
    pub fn set(&self, one: &Machine, other: &Machine, line: Line) {
        self.set_one_way(one, other, line);
        self.set_one_way(other, one, line);
    }

    /// Two machines hear nothing of each other any more.
    pub fn cut(&self, one: &Machine, other: &Machine) {
        self.set(one, other, Line::CUT);
    }

    /// Two machines hear each other again, at once and all of it.
    pub fn heal(&self, one: &Machine, other: &Machine) {
        self.set(one, other, Line::default());
    }

    /// Remembers from now on who could read these words on their way.
    pub fn listen_for(&self, words: &[u8]) {
        self.switch.lines().listen_for(words);
    }

    /// Whether the words that are listened for could be read on this way.
    #[must_use]
    pub fn was_heard(&self, from: &Machine, to: &Machine) -> bool {
        self.switch.lines().was_heard(from.port(), to.port())
    }

    /// Makes the link of a machine. Nothing is left to the network card, which a virtual one would not do.
    fn connect(&self, port: Port, machine: &Namespace) {
        let (link, path) = (link(port), machine.path());
        // Nothing but the machines shall speak.
        run(&mut self.hub.command("sh"), "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        let pair = format!(
            "link add port{port} index {link} type veth peer name eth0 address {} netns {path}\nlink set port{port} up\n",
            written(port)
        );
        run(self.hub.command("ip").args(BATCH), &pair);
        run(machine.command("ethtool").args(NO_OFFLOAD), "");
        let mut setup = format!("link set lo up\nlink set eth0 up\naddress add {}/24 dev eth0\n", address(port));
        for other in (1..=MOST).filter(|other| *other != port) {
            let (address, hardware) = (address(other), written(other));
            setup += &format!("neighbour add {address} lladdr {hardware} dev eth0 nud permanent\n");
        }
        run(machine.command("ip").args(BATCH), &setup);
        // The kernel drops what is sent before.
        let state = ["-brief", "link", "show", &format!("port{port}")];
        eventually("the link is up", || run(self.hub.command("ip").args(state), "").contains(" UP "));
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of the switch's end of a link.
fn link(port: Port) -> u32 {
    100 + u32::from(port)
}

fn address(port: Port) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, port)
}

fn written(port: Port) -> String {
    hardware_address(port).map(|byte| format!("{byte:02x}")).join(":")
}

/// What a command prints that must succeed, with something to read.
fn run(command: &mut Command, input: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("the input is piped");
    // Who does not read all of it says why below.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} needs iproute2 and ethtool (run `make tools`): {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
