//! What is told of evictions, in the kubelet's words.

use super::pressure::Pressure;
use super::thresholds::Shortage;
use carob_resources::quantity::Quantity;

/// What a container uses of what is short, and what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) container: String,
    pub(crate) usage: u64,
    pub(crate) request: u64,
}

/// Why this Pod had to go.
pub(crate) fn evicted(shortage: &Shortage, shares: &[Share]) -> String {
    let resource = shortage.signal.resource();
    let amount = |amount| if shortage.signal.is_bytes() { bytes(amount) } else { amount.to_string() };
    let mut text = format!(
        "The node was low on resource: {resource}. Threshold quantity: {}, available: {}. ",
        amount(shortage.threshold),
        amount(shortage.available)
    );
    for share in shares.iter().filter(|share| share.usage > share.request) {
        text.push_str(&format!(
            "Container {} was using {}, request is {}, has larger consumption of {resource}. ",
            share.container,
            bytes(share.usage),
            bytes(share.request)
        ));
    }
    text
}

/// Why a Pod was not taken.
pub(crate) fn refused(pressure: Pressure) -> String {
    let conditions: Vec<&str> = pressure.conditions().map(|condition| condition.name()).collect();
    format!("The node had condition: [{}]. ", conditions.join(" "))
}

/// As Kubernetes prints an amount of bytes: `100Mi`.
fn bytes(bytes: u64) -> String {
    let text = if bytes.is_multiple_of(1024) { format!("{}Ki", bytes / 1024) } else { bytes.to_string() };
    Quantity::parse(&text).map_or(text, |quantity| quantity.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eviction::thresholds::Signal;

    #[test]
    fn a_message_names_what_was_short_and_who_took_it() {
        let shortage = Shortage { signal: Signal::MemoryAvailable, available: 50 << 20, threshold: 100 << 20 };
        let share = |name: &str, usage, request| Share { container: name.into(), usage, request };
        assert_eq!(
            evicted(&shortage, &[share("a", 3 << 16, 0), share("b", 1, 2)]),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. \
             Container a was using 192Ki, request is 0, has larger consumption of memory. "
        );
        let inodes = Shortage { signal: Signal::NodefsInodesFree, available: 2048, threshold: 4000 };
        let told = "The node was low on resource: inodes. Threshold quantity: 4000, available: 2048. ";
        assert_eq!(evicted(&inodes, &[]), told);
    }

    #[test]
    fn a_refusal_names_the_conditions() {
        let pressure = Pressure { memory: true, disk: true, pid: false };
        assert_eq!(refused(pressure), "The node had condition: [MemoryPressure DiskPressure]. ");
    }
}
