use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, ProjectedVolumeSource, Secret, VolumeProjection};

use super::error::VolumeError;
use super::payload::{File, Payload, clean, mode};
use super::{Inputs, downward_api, keyed};

/// What the sources of a projected volume were read as, by their place.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) config_maps: HashMap<usize, Option<Arc<ConfigMap>>>,
    pub(super) secrets: HashMap<usize, Option<Arc<Secret>>>,
    pub(super) tokens: HashMap<usize, String>,
}

/// The files of all sources together; where two want the same path, the later one has it.
pub(super) fn volume(
    source: &ProjectedVolumeSource,
    sources: &Sources,
    inputs: &Inputs<'_>,
) -> Result<Payload, VolumeError> {
    let mode = mode(source.default_mode, super::DEFAULT_MODE);
    let mut payload = Payload::new();
    for (n, part) in source.sources.iter().flatten().enumerate() {
        payload.extend(files(n, part, sources, inputs, mode)?);
    }
    Ok(payload)
}

fn files(
    n: usize,
    part: &VolumeProjection,
    sources: &Sources,
    inputs: &Inputs<'_>,
    mode: u32,
) -> Result<Payload, VolumeError> {
    if let Some(map) = &part.config_map {
        let found = sources.config_maps.get(&n).and_then(Option::as_deref);
        return keyed::files(found, &map.name, map.items.as_deref(), map.optional, mode);
    }
    if let Some(part) = &part.secret {
        let found = sources.secrets.get(&n).and_then(Option::as_deref);
        return keyed::files(found, &part.name, part.items.as_deref(), part.optional, mode);
    }
    if let Some(part) = &part.downward_api {
        return downward_api::files(inputs.pod, part.items.as_deref().unwrap_or_default(), mode, inputs.allocatable);
    }
    if let Some(part) = &part.service_account_token {
        let token = sources.tokens.get(&n).cloned().unwrap_or_default();
        return Ok(Payload::from([(clean(&part.path), File { bytes: token.into_bytes(), mode })]));
    }
    Err(VolumeError::Unsupported("clusterTrustBundle and podCertificate sources of projected volumes".to_owned()))
}
