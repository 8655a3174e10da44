//! What is counted of questions and answers.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The counts, under the names that people know from CoreDNS.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    durations: Histogram,
    hits: Counter,
    misses: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    proto: &'static str,
    r#type: &'static str,
    rcode: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::default();
        let (answers, hits, misses) = (Family::default(), Counter::default(), Counter::default());
        let durations =
            Histogram::new([0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]);
        registry.register("coredns_dns_responses", "Questions by how they came and were answered", answers.clone());
        registry.register("coredns_dns_request_duration_seconds", "How long answers took", durations.clone());
        registry.register("coredns_cache_hits", "Questions to others that were answered from memory", hits.clone());
        registry.register("coredns_cache_misses", "Questions to others that had to be asked", misses.clone());
        Metrics { registry, answers, durations, hits, misses }
    }
}

impl Metrics {
    pub(crate) fn answered(&self, proto: &'static str, kind: RecordType, code: ResponseCode, took: Duration) {
        let labels = Answered { proto, r#type: type_name(kind), rcode: code_name(code) };
        self.answers.get_or_create(&labels).inc();
        self.durations.observe(took.as_secs_f64());
    }

    pub(crate) fn cache(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.inc();
    }

    /// All of it in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}

/// As few as are told apart: whoever asks must not be able to make more.
fn type_name(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::CNAME => "CNAME",
        RecordType::HTTPS => "HTTPS",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::PTR => "PTR",
        RecordType::SOA => "SOA",
        RecordType::SRV => "SRV",
        RecordType::TXT => "TXT",
        _ => "other",
    }
}

fn code_name(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        _ => "other",
    }
}
