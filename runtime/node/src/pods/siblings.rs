//! Links a container to its siblings, as [`composition`] has it.

use std::collections::HashMap;
use std::sync::Arc;

use carob_engine::{Interfaces, Peer};
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use super::composition::{self, Member, Wire};
use super::context::Context;
use super::observed::NotStarted;
use super::slot::Slot;
use super::spec::PodExt;
use super::start::Failure;
use crate::images::Image;
use crate::runtime::{Links, SiblingLink};

/// Where the containers of one Pod find each other; it outlives their runs.
#[derive(Default)]
pub(crate) struct Siblings {
    peers: Mutex<HashMap<String, Arc<Peer>>>,
}

impl Siblings {
    fn peer(&self, name: &str) -> Arc<Peer> {
        self.peers.lock().entry(name.to_owned()).or_insert_with(|| Peer::new(name)).clone()
    }

    /// What the container of `image` imports from its siblings, and where they find what it exports.
    ///
    /// # Errors
    /// An import is not met, or its exporter does not run yet.
    pub(super) async fn links(
        &self,
        context: &Context,
        pod: &Pod,
        slot: Slot,
        image: &Image,
    ) -> Result<Links, Failure> {
        let own = interfaces(context, image).await?;
        let peer = (!own.exports.is_empty()).then(|| self.peer(&name_of(pod, slot)));
        if own.imports.is_empty() {
            return Ok(Links { imports: Vec::new(), peer });
        }
        let (members, images) = members(context, pod).await?;
        let refused = |refusal: composition::Refusal| failure(refusal.to_string());
        let wires = composition::wires(&members, slot.0).map_err(refused)?;
        let imports = wires.into_iter().map(|wire| self.link(&members, &images, wire)).collect::<Result<_, _>>()?;
        Ok(Links { imports, peer })
    }

    /// Exporters first: the importer waits for them, and is tried again as soon as one was started.
    fn link(&self, members: &[Member], images: &[Option<Image>], wire: Wire) -> Result<SiblingLink, Failure> {
        let name = &members[wire.exporter].name;
        let peer = self.peer(name);
        let image = images[wire.exporter].clone().filter(|_| peer.is_running());
        let image = image.ok_or_else(|| Failure {
            reason: NotStarted::AwaitsSibling,
            message: format!("waiting for container {name:?}, which exports {}", wire.export),
        })?;
        Ok(SiblingLink { import: wire.import, export: wire.export, image, peer })
    }
}

/// All containers of the Pod, in the order of their slots, with the images that are here.
async fn members(context: &Context, pod: &Pod) -> Result<(Vec<Member>, Vec<Option<Image>>), Failure> {
    let (mut members, mut images) = (Vec::new(), Vec::new());
    for (place, container) in pod.containers().enumerate() {
        // What is wrong with its name is told when it is started itself.
        let image = context.images.resolve(container.image.as_deref().unwrap_or_default()).ok().flatten();
        let interfaces = match &image {
            Some(image) => {
                Some(interfaces(context, image).await.map_err(|failed| of_sibling(&container.name, failed))?)
            }
            None => None,
        };
        members.push(Member { name: container.name.clone(), role: pod.role(Slot(place)), interfaces });
        images.push(image);
    }
    Ok((members, images))
}

fn of_sibling(name: &str, failed: Failure) -> Failure {
    failure(format!("container {name:?}, whose exports are to be looked at: {}", failed.message))
}

async fn interfaces(context: &Context, image: &Image) -> Result<Interfaces, Failure> {
    context.runtime.interfaces(image.clone()).await.map_err(|error| failure(error.to_string()))
}

fn name_of(pod: &Pod, slot: Slot) -> String {
    pod.container(slot).map(|container| container.name.clone()).unwrap_or_default()
}

fn failure(message: String) -> Failure {
    Failure { reason: NotStarted::CreateContainerError, message }
}
