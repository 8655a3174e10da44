use proptest::prelude::*;
use serde_json::{Value, json};

use super::ProtobufError;
use crate::tables::Schemas;

/// What kubectl 1.36 sends for `create configmap a --from-literal=x=y`.
const CONFIG_MAP: &str = "6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016112001a0022002a003200380042001206\
                          0a01781201791a002200";

/// `create secret generic s --from-literal=a=b`.
const SECRET: &str = "6b3873000a0c0a0276311206536563726574121d0a110a017312001a0022002a0032003800420012060a016112016\
                      21a002200";

/// `create service nodeport np --tcp=80:http --node-port=30100`.
const SERVICE: &str = "6b3873000a0d0a027631120753657276696365126a0a1d0a026e7012001a0022002a003200380042005a090a03617\
                       07012026e7012450a200a0738302d6874747012035443501850220a080110001a04687474702894eb0112090a03617\
                       07012026e701a0022084e6f6465506f72743a00420052005a00600068001a020a001a002200";

/// `create quota q --hard=cpu=1,pods=2`.
const QUOTA: &str = "6b3873000a130a027631120d5265736f7572636551756f746112300a110a017112001a0022002a00320038004200121\
                     90a0a0a0363707512030a01310a0b0a04706f647312030a01321a001a002200";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn read(hex: &str) -> Value {
    Schemas::builtin().read_protobuf(&bytes(hex)).unwrap()
}

#[test]
fn what_kubectl_sends_is_what_it_means() {
    assert_eq!(
        read(CONFIG_MAP),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "x": "y" } }),
    );
    assert_eq!(
        read(SECRET),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "data": { "a": "Yg==" } }),
    );
    assert_eq!(
        read(SERVICE),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "np", "labels": { "app": "np" } },
            "spec": {
                "type": "NodePort", "selector": { "app": "np" },
                "ports": [
                    { "name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http", "nodePort": 30100 },
                ],
            },
            "status": {},
        }),
    );
    assert_eq!(read(QUOTA)["spec"], json!({ "hard": { "cpu": "1", "pods": "2" } }));
}

/// A field of bytes: tag, length, content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    [&[number << 3 | 2, length], content].concat()
}

fn object(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, raw)].concat()
}

#[test]
fn a_zero_that_was_set_is_kept() {
    let spec = field(2, &[1 << 3, 0]);
    let deployment = Schemas::builtin().read_protobuf(&object("apps/v1", "Deployment", &spec)).unwrap();
    assert_eq!(deployment["spec"], json!({ "replicas": 0 }));
}

#[test]
fn embedded_messages_disappear_in_json() {
    let secret = field(6, &field(1, b"keys"));
    let volume = [field(1, b"v"), field(2, &secret)].concat();
    let pod = object("v1", "Pod", &field(2, &field(1, &volume)));
    let pod = Schemas::builtin().read_protobuf(&pod).unwrap();
    assert_eq!(pod["spec"]["volumes"], json!([{ "name": "v", "secret": { "secretName": "keys" } }]));
}

#[test]
fn what_is_no_such_object_is_refused() {
    let refuse = |bytes: &[u8]| Schemas::builtin().read_protobuf(bytes).unwrap_err();
    assert_eq!(refuse(b"{}"), ProtobufError::Magic);
    assert!(matches!(refuse(&bytes(SECRET)[..20]), ProtobufError::Malformed(_)));
    assert!(matches!(refuse(&object("v1", "Nothing", &[])), ProtobufError::Unknown { .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..120), kind in 0..3_usize) {
        let (version, kind) = [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Event")][kind];
        let _ = Schemas::builtin().read_protobuf(&object(version, kind, &raw));
    }
}
