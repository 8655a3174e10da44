//! No guest reaches the host's network.

mod common;

use carob_engine::Limits;
use common::setup;

/// A command that makes a socket: it ends with 0 if that was denied, with 1 if it has one.
fn makes_socket(protocol: &str) -> String {
    format!(
        r#"(component
            (import "wasi:sockets/network@0.2.0" (instance $network
                (type $error (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
                    "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
                    "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
                    "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
                    "permanent-resolver-failure"))
                (export "error-code" (type (eq $error)))
                (type $family (enum "ipv4" "ipv6"))
                (export "ip-address-family" (type (eq $family)))))
            (alias export $network "error-code" (type $error))
            (alias export $network "ip-address-family" (type $family))
            (import "wasi:sockets/{protocol}@0.2.0" (instance $sockets
                (export "{protocol}-socket" (type (sub resource)))))
            (alias export $sockets "{protocol}-socket" (type $socket))
            (import "wasi:sockets/{protocol}-create-socket@0.2.0" (instance $create
                (alias outer 1 $error (type $error))
                (export "error-code" (type $e (eq $error)))
                (alias outer 1 $family (type $family))
                (export "ip-address-family" (type $f (eq $family)))
                (alias outer 1 $socket (type $socket))
                (export "{protocol}-socket" (type $s (eq $socket)))
                (export "create-{protocol}-socket"
                    (func (param "address-family" $f) (result (result (own $s) (error $e)))))))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $create
                (canon lower (func $create "create-{protocol}-socket") (memory (core memory $memory "memory"))))
            (core module $module
                (import "host" "create" (func $create (param i32 i32)))
                (import "host" "memory" (memory 1))
                (func (export "run") (result i32)
                    (call $create (i32.const 0) (i32.const 16))
                    (if (i32.eqz (i32.load8_u (i32.const 16))) (then (return (i32.const 1))))
                    (if (i32.ne (i32.load8_u (i32.const 20)) (i32.const 1)) (then unreachable))
                    (i32.const 0)))
            (core instance $core (instantiate $module
                (with "host" (instance
                    (export "create" (func $create))
                    (export "memory" (memory $memory "memory"))))))
            (func $run (result (result)) (canon lift (core func $core "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_denied() {
    let setup = setup();
    for protocol in ["tcp", "udp"] {
        let program = setup.wat(&makes_socket(protocol)).await;
        let (exit, _) = setup.run(&program, &[], Limits::default()).await;
        assert_eq!(exit.code, 0, "{protocol}: {exit:?}");
    }
}
