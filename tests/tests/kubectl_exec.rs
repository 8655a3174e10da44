//! kubectl's ways into a Pod: exec, attach, cp, port-forward.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use carob_tests::{Cluster, Http, Kubectl, Lines, Said, eventually, eventually_some, manifests, samples};

/// A Pod that counts for a long time, with a volume at `/data`.
fn counter(namespace: &str) -> Kubectl {
    let kubectl = Cluster::shared().namespace(namespace);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: counter
      image: samples/counter:1
      args: ["--count", "1000000", "--period-ms", "200"]
      env: [{name: GREETING, value: "hello, Pod"}]
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
"#,
    );
    kubectl.run(&["wait", "pod/job", "--for=jsonpath={.status.phase}=Running", "--timeout=90s"]);
    kubectl
}

fn exec(kubectl: &Kubectl, command: &[&str]) -> String {
    kubectl.run(&[&["exec", "job", "--"], command].concat())
}

/// The exit code and what was said on both streams.
fn attempt(kubectl: &Kubectl, command: &[&str]) -> (i32, String, String) {
    let outcome = kubectl.attempt(&[&["exec", "job", "--"], command].concat());
    (outcome.code, outcome.stdout, outcome.stderr)
}

/// Bytes without any order, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn tools_and_the_containers_own_program_run_inside_and_their_codes_are_kubectls() {
    let kubectl = counter("exec");
    assert_eq!(exec(&kubectl, &["echo", "one", "two  three"]), "one two  three\n");
    assert!(exec(&kubectl, &["env"]).contains("GREETING=hello, Pod\n"));
    assert_eq!(exec(&kubectl, &["/usr/bin/printenv", "GREETING"]), "hello, Pod\n");
    let table = exec(&kubectl, &["ps", "aux"]);
    let row = table.lines().find(|line| line.starts_with("counter ")).expect("ps shows the container");
    assert!(row.contains("running") && row.ends_with("samples/counter:1"), "{table}");
    let (code, stdout, stderr) = attempt(&kubectl, &["counter", "--count", "2", "--period-ms", "1", "--exit", "7"]);
    assert_eq!((code, stdout.as_str()), (7, "1\n2\n"));
    assert!(stderr.contains("command terminated with exit code 7"), "{stderr}");
    let (code, stdout, stderr) = attempt(&kubectl, &["ls", "/nowhere"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("ls: /nowhere: "), "{stderr}");
    let (code, _, stderr) = attempt(&kubectl, &["ls", "--nonsense"]);
    assert!(code == 2 && stderr.contains("unknown option --nonsense"), "{code} {stderr}");
}

#[test]
fn a_command_that_is_not_there_says_what_is() {
    let kubectl = counter("unknown");
    let (code, stdout, stderr) = attempt(&kubectl, &["sh", "-c", "true"]);
    assert_eq!((code, stdout.as_str()), (127, ""));
    assert!(stderr.contains(r#"exec: "sh": executable file not found"#), "{stderr}");
    assert!(stderr.contains("\"counter\"") && stderr.contains(" wget"), "{stderr}");
}

#[test]
fn input_reaches_the_command_whole_and_ends() {
    let kubectl = counter("stdin");
    let text = "0123456789abcde\n".repeat(1 << 16);
    let counted = kubectl.run_with(&["exec", "--stdin", "job", "--", "wc", "-lc"], &text);
    assert_eq!(counted, "65536 1048576\n");
    assert_eq!(kubectl.run_with(&["exec", "--stdin", "job", "--", "cat"], &text), text);
    // Without --stdin there is none to read.
    assert_eq!(exec(&kubectl, &["wc", "-c"]), "0\n");
    // A command that does not read ends all the same.
    let outcome = kubectl.attempt_with(&["exec", "--stdin", "job", "--", "echo", "done"], &text);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "done\n"));
}

/// kubectl in a terminal of its own, as `script` gives it.
fn in_a_terminal(kubectl: &Kubectl, arguments: &[&str]) -> Child {
    let inner = kubectl.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command", &line.join(" "), "/dev/null"]);
    for (name, value) in inner.get_envs() {
        script.env(name, value.expect("no variable is removed"));
    }
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs: it is in bsdutils")
}

fn said(child: &mut Child) -> Said {
    Said::of(child.stdout.take().expect("the output is piped"))
}

/// Its exit code, once it has ended.
fn ended(child: &mut Child) -> Option<i32> {
    eventually_some("the program ends", || child.try_wait().expect("it is ours")).code()
}

#[test]
fn a_terminal_shows_what_is_typed_and_ends_lines_input_and_programs() {
    let kubectl = counter("tty");
    assert_eq!(attempt(&kubectl, &["tty"]).1, "not a tty\n");
    let mut child = in_a_terminal(&kubectl, &["exec", "--stdin", "--tty", "job", "--", "tty"]);
    said(&mut child).until("/dev/tty\r\n");
    assert_eq!(ended(&mut child), Some(0));

    let mut child = in_a_terminal(&kubectl, &["exec", "--stdin", "--tty", "job", "--", "cat"]);
    let mut keys = child.stdin.take().expect("the input is piped");
    let mut screen = said(&mut child);
    keys.write_all(b"helo\x7flo\r").expect("kubectl reads");
    let seen = screen.until("\nhello");
    assert!(seen.contains("helo\x08 \x08lo\r\n"), "the terminal shows what is typed: {seen:?}");
    keys.write_all(b"\x04").expect("kubectl reads");
    assert_eq!(ended(&mut child), Some(0), "the input has ended");

    let counting = ["exec", "--stdin", "--tty", "job", "--", "counter", "--count", "9", "--period-ms", "1000000"];
    let mut child = in_a_terminal(&kubectl, &counting);
    let mut keys = child.stdin.take().expect("the input is piped");
    let mut screen = said(&mut child);
    // Once it has printed, kubectl has the terminal: before, a Ctrl-C would be for kubectl itself.
    screen.until("1\r\n");
    keys.write_all(b"\x03").expect("kubectl reads");
    assert_eq!(ended(&mut child), Some(130));
}

#[test]
fn a_debugger_is_typed_to_inside_a_running_pod() {
    let kubectl = counter("debugger");
    let debug = ["debug", "job", "--image", "carob.dev/tools", "--image-pull-policy", "IfNotPresent", "--container"];
    let attached = |name, command: &[&'static str]| {
        let rest = [&[name, "--stdin", "--tty", "--"], command].concat();
        in_a_terminal(&kubectl, &[&debug[..], &rest].concat())
    };
    let mut child = attached("typed", &["cat"]);
    let mut keys = child.stdin.take().expect("the input is piped");
    let mut screen = said(&mut child);
    let container = "{.status.ephemeralContainerStatuses[?(@.name=='typed')].state.running.startedAt}";
    eventually("the debugger runs", || !kubectl.field(&["pod", "job"], container).is_empty());
    keys.write_all(b"anybody?\r").expect("kubectl reads");
    screen.until("anybody?\r\nanybody?");
    keys.write_all(b"\x04").expect("kubectl reads");
    assert_eq!(ended(&mut child), Some(0), "the input has ended");
    // It has the Pod's loopback, and is another container than the one that counts.
    let once = [&debug[..], &["once", "--attach", "--", "printenv", "GREETING"]].concat();
    let told = kubectl.attempt(&once);
    assert!(!told.stdout.contains("hello, Pod"), "{told:?}");
    let code = "{.status.ephemeralContainerStatuses[?(@.name=='once')].state.terminated.exitCode}";
    eventually("the debugger has ended", || kubectl.field(&["pod", "job"], code) == "1");
    assert_eq!(kubectl.field(&["pod", "job"], "{.status.phase}"), "Running");
}

#[test]
fn a_component_that_the_image_carries_runs_on_wasi_0_3() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().expect("a temporary folder"));
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    for (sample, at) in [("tcp-echo-p3", "tcp-echo-p3.wasm"), ("echo-client-p3", "bin/echo-client-p3.wasm")] {
        fs::copy(samples().join(format!("{sample}.wasm")), folder.path().join(at)).expect("the sample is there");
    }
    let archive = folder.path().join("echo.tar");
    let mut tar = Command::new("tar");
    tar.current_dir(folder.path()).args(["-cf", "echo.tar", "tcp-echo-p3.wasm", "bin"]);
    assert!(tar.status().expect("tar runs").success());
    cluster.load(&archive, "samples/echo-bundle:1");
    let kubectl = cluster.namespace("exec-p3");
    kubectl.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: job}, spec: {terminationGracePeriodSeconds: 1, \
         containers: [{name: echo, image: 'samples/echo-bundle:1'}]}}",
    );
    eventually("the server listens", || kubectl.attempt(&["logs", "job"]).stdout.contains("listening on 7"));
    let command = ["echo-client-p3", "tcp", "127.0.0.1:7"];
    assert_eq!(exec(&kubectl, &command), "tcp 127.0.0.1:7: is anybody there?\n");
    let (code, stdout, _) = attempt(&kubectl, &["echo-client-p3", "tcp", "127.0.0.1:9"]);
    assert!(code == 1 && stdout.starts_with("tcp 127.0.0.1:9: "), "{code} {stdout}");
}

#[test]
fn nothing_runs_in_a_container_that_has_ended() {
    let kubectl = Cluster::shared().namespace("dead");
    kubectl.apply(&manifests::counter("job", "Never", &["--count", "1", "--period-ms", "1"]));
    kubectl.run(&["wait", "pod/job", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s"]);
    let (code, _, stderr) = attempt(&kubectl, &["ls"]);
    assert!(code != 0 && stderr.contains("completed pod"), "{stderr}");
    let other = kubectl.attempt(&["exec", "job", "--container", "nobody", "--", "ls"]);
    assert!(other.code != 0, "{other:?}");
    let (code, _, stderr) = {
        kubectl.apply(&manifests::counter("again", "Always", &["--count", "1", "--period-ms", "1", "--exit", "1"]));
        let path = "{.status.containerStatuses[0].state.waiting.reason}";
        eventually("it backs off", || kubectl.field(&["pod", "again"], path) == "CrashLoopBackOff");
        let outcome = kubectl.attempt(&["exec", "again", "--", "ls"]);
        (outcome.code, outcome.stdout, outcome.stderr)
    };
    assert!(code != 0 && stderr.contains(r#"container "counter" in pod "again" is not running"#), "{stderr}");
}

/// How many programs may run in a container beside its own.
const MOST: usize = 32;

#[test]
fn execs_at_once_are_bounded_and_end_with_their_clients() {
    let kubectl = counter("bounded");
    exec(&kubectl, &["true"]);
    let sleeper = || {
        let mut command = kubectl.command(&["exec", "job", "--", "sleep", "1000"]);
        command.stderr(Stdio::piped()).spawn().expect("kubectl runs")
    };
    let mut sleepers: Vec<Child> = (0..MOST + 8).map(|_| sleeper()).collect();
    eventually("all but those that may run have been refused", || {
        let ended = sleepers.iter_mut().filter_map(|child| child.try_wait().expect("it is ours")).count();
        assert!(ended <= 8, "{ended} of them ended");
        ended == 8
    });
    let (code, _, stderr) = attempt(&kubectl, &["true"]);
    assert!(code != 0 && stderr.contains("may run no more"), "{stderr}");
    for sleeper in &mut sleepers {
        // As kill -9 does; those that were refused have ended already.
        let _ = sleeper.kill();
        sleeper.wait().expect("it ends");
    }
    eventually("their programs have ended with them", || attempt(&kubectl, &["true"]).0 == 0);
}

#[test]
fn attach_shows_what_is_printed_and_writes_what_is_typed() {
    let kubectl = counter("attach");
    let mut lines: Lines = kubectl.follow(&["attach", "job"]);
    let first: u64 = lines.until("").parse().expect("a number");
    let second: u64 = lines.until("").parse().expect("a number");
    assert_eq!(second, first + 1);
    drop(lines);

    let text = "one\ntwo\n".repeat(10_000);
    let run = ["run", "reader", "--rm", "--stdin", "--restart=Never", "--image=carob.dev/tools", "--quiet"];
    let outcome = kubectl.attempt_with(&[&run[..], &["--command", "--", "wc", "-l"]].concat(), &text);
    assert!(outcome.code == 0 && outcome.stdout.contains("20000\n"), "{outcome:?}");
    assert_ne!(kubectl.attempt(&["get", "pod", "reader"]).code, 0, "it is removed");
}

#[test]
fn files_are_copied_both_ways_byte_for_byte() {
    let kubectl = counter("cp");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| folder.path().join(path);
    let text = |path: &str| at(path).to_str().expect("UTF-8").to_owned();
    let long = "long-name-".repeat(15);
    let files = [("noise", noise(3_000_001)), ("empty", vec![]), (&*format!("deep/er/{long}"), b"text\n".to_vec())];
    for (name, bytes) in &files {
        let path = at("tree").join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    kubectl.run(&["cp", &text("tree/noise"), "job:/data/noise"]);
    kubectl.run(&["cp", "job:/data/noise", &text("noise")]);
    assert!(fs::read(at("noise")).expect("it was copied") == files[0].1, "the file is another");
    kubectl.run(&["cp", &text("tree"), "job:/data"]);
    assert!(exec(&kubectl, &["find", "/data/tree", "-type", "f"]).contains(&long));
    kubectl.run(&["cp", "job:/data/tree", &text("back")]);
    for (name, bytes) in &files {
        let copied = fs::read(at("back").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(&copied == bytes, "{name} is another");
    }
    // kubectl passes on what tar says, and does not wait for its exit code.
    let outcome = kubectl.attempt(&["cp", "job:/data/nothing", &text("nothing")]);
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains("tar: /data/nothing: No such file") && !at("nothing").exists(), "{said}");
}

/// A `kubectl port-forward` and the URL that it answers at.
fn forward(kubectl: &Kubectl, to: &str, port: &str) -> (Lines, String) {
    let mut lines = kubectl.follow(&["port-forward", to, port]);
    let line = lines.until("Forwarding from 127.0.0.1:");
    let address = line.split_whitespace().nth(2).expect("the address is the third word").to_owned();
    (lines, format!("http://{address}/"))
}

#[test]
fn ports_are_forwarded_to_pods_and_services() {
    let kubectl = Cluster::shared().namespace("forward");
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.apply(&manifests::node_port("web"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let pod = kubectl.field(&["pods", "-l", "app=web"], "{.items[0].metadata.name}");
    let http = Http::default();
    for (to, port) in
        [(format!("pod/{pod}"), ":8080"), ("service/web".to_owned(), ":80"), ("deploy/web".to_owned(), ":http")]
    {
        let (_forward, url) = forward(&kubectl, &to, port);
        for _ in 0..20 {
            let (status, body) = http.get(&url).unwrap_or_else(|error| panic!("{to}: {error}"));
            assert_eq!((status.as_u16(), body.as_str()), (200, "Hello, world!\n"), "{to}");
        }
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_told() {
    let kubectl = counter("closed");
    let mut command = kubectl.command(&["port-forward", "pod/job", ":9"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("kubectl runs");
    let mut output = said(&mut child);
    let line = output.until("\n");
    let address = line.split_whitespace().nth(2).expect("the address is the third word").to_owned();
    let mut errors = Said::of(child.stderr.take().expect("the errors are piped"));
    Http::default().get(&format!("http://{address}/")).expect_err("nobody answers");
    let told = errors.until("refused");
    assert!(told.contains("error forwarding port 9 to pod"), "{told}");
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn the_tools_see_the_pods_network() {
    let kubectl = Cluster::shared().namespace("network");
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.apply(&manifests::node_port("web"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let tool = |command: &[&str]| kubectl.attempt(&[&["exec", "deploy/web", "--"], command].concat());
    let fetched = tool(&["wget", "-qO-", "http://127.0.0.1:8080/"]);
    assert_eq!((fetched.code, fetched.stdout.as_str()), (0, "Hello, world!\n"), "{}", fetched.stderr);
    eventually("the Service answers", || tool(&["wget", "-qO-", "http://web/"]).stdout == "Hello, world!\n");
    assert_eq!(tool(&["nc", "-z", "localhost", "8080"]).code, 0);
    let closed = tool(&["nc", "-z", "127.0.0.1", "9"]);
    assert!(closed.code == 1 && closed.stderr.contains("connection refused"), "{closed:?}");
    let cluster_ip = kubectl.field(&["service", "web"], "{.spec.clusterIP}");
    assert!(tool(&["nslookup", "web"]).stdout.contains(&cluster_ip));
}
