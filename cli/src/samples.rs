use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use carob_node::images::ImageStore;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};

macro_rules! component {
    ($name:literal) => {
        include_bytes!(concat!(env!("CAROB_SAMPLES"), "/", $name, ".wasm"))
    };
}

/// The samples' components, by the image names that their manifests use.
const IMAGES: [(&str, &[u8]); 4] = [
    ("samples/hello-http:1", component!("hello-http")),
    ("samples/hello-http-p3:1", component!("hello-http-p3")),
    ("samples/counter:1", component!("counter")),
    ("samples/misbehave:1", component!("misbehave")),
];

/// What `carob up --samples` runs.
const MANIFEST: &str = include_str!("../../samples/manifests/hello-http.yaml");

/// The node port in [`MANIFEST`].
const NODE_PORT: u16 = 30080;

/// Where the running sample answers.
pub(crate) fn url(node_port_address: IpAddr) -> String {
    let ip = match node_port_address {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, NODE_PORT))
}

/// Puts the samples' components into the node's image store.
pub(crate) fn load_images(images: &ImageStore) -> anyhow::Result<()> {
    for (name, component) in IMAGES {
        images.load(component, name).with_context(|| format!("cannot load {name}"))?;
    }
    Ok(())
}

/// Creates the sample's objects. What exists is left as the user has made it.
pub(crate) async fn apply(client: &Client) -> anyhow::Result<()> {
    for object in objects()? {
        let types = object.types.clone().context("an object of the manifest has no kind")?;
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(error).with_context(|| format!("cannot create the sample's {}", types.kind)),
            Ok(_) => {}
        }
    }
    Ok(())
}

fn objects() -> anyhow::Result<Vec<DynamicObject>> {
    serde_saphyr::from_multiple(MANIFEST).context("the sample's manifest is not YAML")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_uses_an_image_and_the_node_port_that_are_here() {
        let objects = objects().unwrap();
        let text = serde_json::to_string(&objects).unwrap();
        assert!(text.contains(&format!("\"nodePort\":{NODE_PORT}")));
        assert!(text.contains(IMAGES[0].0));
    }
}
