//! kubectl as a user runs it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::network::Machine;
use crate::said::Said;
use crate::tools;
use crate::wait::PATIENCE;

/// More than the longest that any test lets kubectl itself wait.
const LIMIT: Duration = Duration::from_secs(300);

/// What a command ended with.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// kubectl with a configuration, in a namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    /// Where it keeps its caches.
    home: PathBuf,
    namespace: Option<String>,
    environment: BTreeMap<String, String>,
    /// Where it runs; none is the test's own machine.
    machine: Option<Machine>,
}

impl Kubectl {
    pub(crate) fn new(kubeconfig: PathBuf, home: PathBuf) -> Self {
        Self { kubeconfig, home, namespace: None, environment: BTreeMap::new(), machine: None }
    }

    pub(crate) fn on(self, machine: Option<Machine>) -> Self {
        Self { machine, ..self }
    }

    /// The same in another namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.environment.insert(name.to_owned(), value.to_owned());
        other
    }

    /// Runs a command that must succeed, and answers what it printed.
    ///
    /// # Panics
    /// If it fails, with all it said.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, "")
    }

    /// As [`Kubectl::run`], with something to read.
    ///
    /// # Panics
    /// If it fails, with all it said.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let outcome = self.attempt_with(arguments, input);
        let Outcome { code, stdout, stderr } = &outcome;
        if *code != 0 {
            panic!("kubectl {}:\n{stdout}{stderr}{}", arguments.join(" "), self.circumstances(arguments));
        }
        outcome.stdout
    }

    /// What may keep Pods from running, if the command waited for some: it is the machine's fault then, not the test's.
    fn circumstances(&self, arguments: &[&str]) -> String {
        if !arguments.iter().any(|word| matches!(*word, "rollout" | "wait")) {
            return String::new();
        }
        let unschedulable = self.attempt(&[
            "get",
            "events",
            "--all-namespaces",
            "--field-selector=reason=FailedScheduling",
            "--output=jsonpath={range .items[*]}{.involvedObject.namespace}/{.involvedObject.name}: {.message}{'\\n'}{end}",
        ]);
        let nodes = self.attempt(&[
            "get",
            "nodes",
            "--output=jsonpath={range .items[*]}{.metadata.name}: taints {.spec.taints[*].key}; \
             {range .status.conditions[*]}{.type}={.status} {end}{'\\n'}{end}",
        ]);
        format!("What the scheduler says:\n{}The nodes:\n{}", unschedulable.stdout, nodes.stdout)
    }

    /// Runs a command that may fail.
    ///
    /// # Panics
    /// If it does not end, with all it said.
    #[track_caller]
    pub fn attempt(&self, arguments: &[&str]) -> Outcome {
        self.attempt_with(arguments, "")
    }

    /// As [`Kubectl::attempt`], with something to read.
    ///
    /// # Panics
    /// If kubectl cannot be started, or does not end.
    #[track_caller]
    pub fn attempt_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).stderr(Stdio::piped()).spawn().expect("kubectl runs");
        let (mut stdin, input) = (child.stdin.take().expect("the input is piped"), input.to_owned());
        // Who does not read all of it has decided without it.
        thread::spawn(move || stdin.write_all(input.as_bytes()));
        let mut stdout = Said::of(child.stdout.take().expect("the output is piped"));
        let mut stderr = Said::of(child.stderr.take().expect("the errors are piped"));
        let deadline = Instant::now() + LIMIT;
        if !stdout.ends_by(deadline) || !stderr.ends_by(deadline) {
            let _ = child.kill();
            let _ = child.wait();
            let (words, circumstances) = (arguments.join(" "), self.circumstances(arguments));
            panic!(
                "kubectl {words} did not end within {LIMIT:?}; it said:\n{}{}{circumstances}",
                stdout.text(),
                stderr.text()
            );
        }
        let code = child.wait().expect("kubectl ends").code().unwrap_or(-1);
        Outcome { code, stdout: stdout.text().to_owned(), stderr: stderr.text().to_owned() }
    }

    /// `kubectl apply` of a manifest, in YAML or JSON.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        self.run_with(&["apply", "--filename", "-"], manifest)
    }

    /// `kubectl get --output json`
    ///
    /// # Panics
    /// If it fails or answers no JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[&["get", "--output", "json"], arguments].concat());
        serde_json::from_str(&text).expect("kubectl prints JSON")
    }

    /// `kubectl get --output jsonpath=...`
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn field(&self, arguments: &[&str], path: &str) -> String {
        self.run(&[&["get"], arguments, &["--output", &format!("jsonpath={path}")]].concat())
    }

    /// Starts a command that goes on until it is dropped.
    ///
    /// # Panics
    /// If kubectl cannot be started.
    #[must_use]
    pub fn follow(&self, arguments: &[&str]) -> Lines {
        let mut child = self.command(arguments).spawn().expect("kubectl runs");
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let (sender, lines) = mpsc::channel();
        // It ends with the command.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Lines { child, lines }
    }

    /// The command that would be run, with its input and output piped.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let kubectl = tools::kubectl();
        let mut command =
            self.machine.as_ref().map_or_else(|| Command::new(kubectl), |machine| machine.command(kubectl));
        command.env("HOME", &self.home).env("KUBECONFIG", &self.kubeconfig).envs(&self.environment);
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}

/// The output of a command that goes on.
pub struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// Reads until a line that holds the words, and answers that line.
    ///
    /// # Panics
    /// If the command ends before, or the line does not come.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        let (end, mut seen) = (Instant::now() + PATIENCE, String::new());
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push_str(&format!("{line}\n")),
                Err(end) => panic!("no {words:?}: {end}, after\n{seen}"),
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
