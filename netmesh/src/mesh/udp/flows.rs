use std::collections::HashMap;
use std::net::SocketAddr;

/// Service addresses that one socket has sent to; past it all are forgotten and drawn again.
const MOST: usize = 1024;

/// Which endpoint stands for a Service's address, for one socket, and the way back.
#[derive(Default)]
pub(crate) struct Flows {
    endpoints: HashMap<SocketAddr, SocketAddr>,
    services: HashMap<SocketAddr, SocketAddr>,
}

impl Flows {
    pub(crate) fn endpoint(&self, service: SocketAddr) -> Option<SocketAddr> {
        self.endpoints.get(&service).copied()
    }

    pub(crate) fn begin(&mut self, service: SocketAddr, endpoint: SocketAddr) {
        if self.endpoints.len() >= MOST {
            *self = Flows::default();
        }
        if let Some(before) = self.endpoints.insert(service, endpoint) {
            self.services.remove(&before);
        }
        self.services.insert(endpoint, service);
    }

    /// An answer comes from the address that was asked.
    pub(crate) fn seen_as(&self, from: SocketAddr) -> SocketAddr {
        self.services.get(&from).copied().unwrap_or(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_from_where_the_question_went() {
        let [service, first, second] = ["10.96.0.9:53", "10.244.0.2:53", "10.244.0.3:53"].map(|a| a.parse().unwrap());
        let mut flows = Flows::default();
        assert_eq!(flows.seen_as(first), first);
        flows.begin(service, first);
        assert_eq!((flows.endpoint(service), flows.seen_as(first)), (Some(first), service));
        flows.begin(service, second);
        assert_eq!(
            (flows.endpoint(service), flows.seen_as(second), flows.seen_as(first)),
            (Some(second), service, first)
        );
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut flows = Flows::default();
        for n in 0..=MOST as u32 {
            flows.begin((std::net::Ipv4Addr::from_bits(n), 53).into(), "10.244.0.2:53".parse().unwrap());
        }
        assert!(flows.endpoints.len() <= MOST && flows.services.len() <= MOST);
    }
}
