use wasip3::sockets::ip_name_lookup::resolve_addresses;

use crate::saw;

pub async fn probe() {
    println!("# names");
    for name in ["127.0.0.1", "::1", "[::1]", "192.0.2.1", "no-such-name.invalid", "a b", ""] {
        saw(&format!("resolve {name:?}"), resolve_addresses(name.to_owned()).await);
    }
}
