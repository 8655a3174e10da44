use std::sync::Arc;

use proptest::prelude::*;

#[path = "../../../tests/common/network.rs"]
#[allow(dead_code, reason = "guests' tests use the rest")]
mod network;

use network::MemoryNetwork;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_sockets_what_must_hold_holds(script in prop::collection::vec(any::<u8>(), 0..400)) {
        super::run(Arc::new(MemoryNetwork::default()), &script);
    }
}
