use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress};

use crate::saw;

pub fn probe() {
    println!("# names");
    for name in ["127.0.0.1", "::1", "[::1]", "192.0.2.1", "no-such-name.invalid", "a b", ""] {
        saw(&format!("resolve {name:?}"), resolve(name));
    }
}

fn resolve(name: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let answer = resolve_addresses(&instance_network(), name)?;
    answer.subscribe().block();
    let mut found = Vec::new();
    while let Some(address) = answer.resolve_next_address()? {
        found.push(address);
    }
    Ok(found)
}
