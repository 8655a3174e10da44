//! Probes: what they ask, and what their answers decide.

mod ask;
mod body;
mod exec;
mod grpc;
mod heard;
mod http;
mod redirect;
mod state;
mod tls;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

pub(crate) use ask::{Answer, ask};
pub(super) use exec::exec;
pub(super) use http::{Caller, GetError, get};
pub(crate) use state::{ProbeState, Verdict};

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            ProbeKind::Startup => container.startup_probe.as_ref(),
            ProbeKind::Liveness => container.liveness_probe.as_ref(),
            ProbeKind::Readiness => container.readiness_probe.as_ref(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }
}

pub(crate) fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(value.and_then(|value| value.try_into().ok()).unwrap_or(default))
}
