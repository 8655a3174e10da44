//! Starts one container.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use carob_engine::Capabilities;
use carob_net::{HttpBound, Network, NetworkError};
use k8s_openapi::api::core::v1::{Container as ContainerSpecOf, Pod, ResourceRequirements};

use super::context::Context;
use super::env::{self, Facts};
use super::events::Kind;
use super::observed::NotStarted;
use super::siblings::Siblings;
use super::slot::Slot;
use super::spec::{PodExt, http_ports};
use super::{amounts, capabilities, given, sources, unsupported};
use crate::console::Console;
use crate::errors::said;
use crate::images::{Image, ImageError};
use crate::logs::LogWriter;
use crate::runtime::{Container, ContainerSpec, Links};
use crate::volumes::{PodVolumes, Root};

/// Lets one instance of an HTTP component answer several requests, one after the other.
const HTTP_REUSE: &str = "carob.dev/http-reuse";

/// What is to be started.
pub(crate) struct Job {
    pub(crate) context: Arc<Context>,
    pub(crate) volumes: Arc<PodVolumes>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) slot: Slot,
    /// The number of this run; the first is 0.
    pub(crate) run: i32,
    /// What it is given of resources; what its Pod wishes for, if this is its first run.
    pub(crate) allocated: Option<ResourceRequirements>,
    pub(crate) ip: IpAddr,
    /// The Pod's: all its containers share it.
    pub(crate) network: Arc<dyn Network>,
    pub(crate) siblings: Arc<Siblings>,
}

/// A container that runs. Dropping it makes its ports free and kills it.
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    /// What it was given of resources.
    pub(crate) given: ResourceRequirements,
    pub(crate) container: Arc<dyn Container>,
    pub(crate) console: Arc<Console>,
    pub(crate) _ports: Vec<Box<dyn HttpBound>>,
    /// What it sees at `/`.
    pub(crate) _root: Arc<Root>,
}

/// Why it was not started.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: NotStarted,
    pub(crate) message: String,
}

impl Job {
    /// Finds the image, makes up the environment, starts the container and opens its ports; tells it in Events.
    pub(crate) async fn run(self) -> Result<Live, Failure> {
        let container = self.container();
        let started = self.try_run(&container).await;
        match &started {
            Ok(_) => {
                self.tell(&container, Kind::Normal, "Started", format!("Started container {}", container.name));
            }
            Err(failure) => self.tell_failure(&container, failure),
        }
        started
    }

    /// As the Pod has it, within what is set aside for it.
    fn container(&self) -> ContainerSpecOf {
        let wished = self.pod.container(self.slot).map(Cow::into_owned).unwrap_or_default();
        ContainerSpecOf { resources: self.allocated.clone().or(wished.resources), ..wished }
    }

    async fn try_run(&self, container: &ContainerSpecOf) -> Result<Live, Failure> {
        if let Some(message) = unsupported::refusal(&self.pod) {
            return Err(failure(NotStarted::CreateContainerConfigError, message));
        }
        let image = self.image(container)?;
        let links = self.siblings.links(&self.context, &self.pod, self.slot, &image).await?;
        let env = self.environment(container).await?;
        let capabilities = self.capabilities(container, &env).await?;
        let console = Console::new(container, self.log(container)?);
        let config_error = |message| failure(NotStarted::CreateContainerConfigError, message);
        let given = given::files(&self.pod, self.ip, &self.context.names).map_err(config_error)?;
        let mounts = self.volumes.mounts(container, &image, &env, given).await;
        let (mounts, _root) = mounts.map_err(|error| config_error(error.to_string()))?;
        let spec = ContainerSpec { mounts, capabilities, links, ..self.spec(container, env, &console) };
        let image_id = image.digest.clone();
        let running = self.context.runtime.start(image, spec).await;
        let running = running.map_err(|error| failure(NotStarted::CreateContainerError, error.to_string()))?;
        self.tell(container, Kind::Normal, "Created", format!("Created container: {}", container.name));
        let _ports = self.open_ports(container, running.as_ref())?;
        let image = container.image.clone().unwrap_or_default();
        let given = container.resources.clone().unwrap_or_default();
        Ok(Live { id: new_id(), image, image_id, given, container: running, console, _ports, _root })
    }

    fn image(&self, container: &ContainerSpecOf) -> Result<Image, Failure> {
        let name = container.image.as_deref().unwrap_or_default();
        let found = self.context.images.resolve(name).map_err(|error| match error {
            ImageError::Name(error) => {
                failure(NotStarted::InvalidImageName, format!("Failed to apply default image tag {name:?}: {error}"))
            }
            error => failure(NotStarted::ImagePull, format!("failed to read the image store: {}", with_source(&error))),
        })?;
        let Some(image) = found else { return Err(self.absent(container, name)) };
        // There is no registry to ask for a newer one yet: Always takes what the node has.
        let message = format!("Container image {name:?} already present on machine");
        self.tell(container, Kind::Normal, "Pulled", message);
        Ok(image)
    }

    fn absent(&self, container: &ContainerSpecOf, name: &str) -> Failure {
        if container.image_pull_policy.as_deref() == Some("Never") {
            let message = format!("Container image {name:?} is not present with pull policy of Never");
            return failure(NotStarted::ErrImageNeverPull, message);
        }
        let message = format!(
            "failed to pull image {name:?}: there is no registry to pull from; put it into the node's image store with: \
             carob image load FILE --tag {name}"
        );
        failure(NotStarted::ImagePull, message)
    }

    async fn environment(&self, container: &ContainerSpecOf) -> Result<Vec<(String, String)>, Failure> {
        let config_error = |message| failure(NotStarted::CreateContainerConfigError, message);
        let namespace = self.pod.reference().namespace;
        let sources = sources::fetch(&self.context.client, &namespace, container).await;
        let sources = sources.map_err(|error| config_error(said(&error)))?;
        let wanted = self.pod.spec().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        let links = self.context.links.variables(&namespace, wanted).await;
        let facts = Facts {
            pod_ip: self.ip,
            host_ip: self.context.host_ip,
            sources: &sources,
            links: &links,
            allocatable: &|resource| self.context.allocatable.get(resource).cloned(),
        };
        env::environment(&self.pod, container, &facts).map_err(config_error)
    }

    async fn capabilities(
        &self,
        container: &ContainerSpecOf,
        env: &[(String, String)],
    ) -> Result<Arc<Capabilities>, Failure> {
        let granted = capabilities::grant(&self.context, &self.pod, &container.name, env).await;
        granted.map(Arc::new).map_err(|message| failure(NotStarted::CreateContainerConfigError, message))
    }

    fn log(&self, container: &ContainerSpecOf) -> Result<Arc<LogWriter>, Failure> {
        let pod = self.pod.reference();
        if let Err(error) = self.context.dirs.remove_log(&pod, &container.name, self.run - 2) {
            tracing::warn!(pod = pod.name, %error, "an old log could not be removed");
        }
        let path = self.context.dirs.log(&pod, &container.name, self.run);
        let log = self.context.logs.create(path, Default::default());
        log.map(Arc::new).map_err(|error| {
            failure(NotStarted::CreateContainerError, format!("failed to create the container's log: {error}"))
        })
    }

    fn spec(&self, container: &ContainerSpecOf, env: Vec<(String, String)>, console: &Arc<Console>) -> ContainerSpec {
        let annotations = self.pod.metadata.annotations.as_ref();
        ContainerSpec {
            name: container.name.clone(),
            args: env::arguments(container, &env),
            env,
            mounts: Vec::new(),
            working_dir: container.working_dir.clone().filter(|dir| !dir.is_empty()),
            limits: amounts::limits(&self.pod, container),
            memory_group: self.volumes.memory_group(),
            http_reuse: annotations.and_then(|all| all.get(HTTP_REUSE)).is_some_and(|value| value == "true"),
            network: self.network.clone(),
            capabilities: Arc::default(),
            links: Links::default(),
            input: console.input(),
            terminal: console.terminal(),
            output: console.clone(),
        }
    }

    fn open_ports(&self, spec: &ContainerSpecOf, running: &dyn Container) -> Result<Vec<Box<dyn HttpBound>>, Failure> {
        let Some(http) = running.http() else { return Ok(Vec::new()) };
        let open = |port| {
            // At the Pod's address and in its loopback.
            let bound = self.network.serve_http(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), http.clone());
            bound.map_err(|error| failure(NotStarted::RunContainerError, cannot_serve(port, &error)))
        };
        http_ports(spec).into_iter().map(open).collect()
    }

    fn tell(&self, container: &ContainerSpecOf, kind: Kind, reason: &'static str, message: String) {
        self.context.recorder.container(&self.pod, &container.name, kind, reason, message);
    }

    fn tell_failure(&self, container: &ContainerSpecOf, failure: &Failure) {
        let warn = |reason, message| self.tell(container, Kind::Warning, reason, message);
        match failure.reason {
            NotStarted::ImagePull => {
                warn("Failed", capitalized(&failure.message));
                warn("Failed", "Error: ErrImagePull".to_owned());
                let image = container.image.as_deref().unwrap_or_default();
                self.tell(container, Kind::Normal, "BackOff", format!("Back-off pulling image {image:?}"));
            }
            // That is no failure: it is started once its sibling was.
            NotStarted::AwaitsSibling => {}
            NotStarted::ErrImageNeverPull => {
                warn("ErrImageNeverPull", failure.message.clone());
                warn("Failed", "Error: ErrImageNeverPull".to_owned());
            }
            NotStarted::InvalidImageName => {
                warn("InspectFailed", failure.message.clone());
                warn("Failed", "Error: InvalidImageName".to_owned());
            }
            _ => warn("Failed", format!("Error: {}", failure.message)),
        }
    }
}

fn cannot_serve(port: u16, error: &NetworkError) -> String {
    match error {
        NetworkError::AddressInUse => format!("port {port} is taken by another container of the Pod"),
        error => format!("cannot serve HTTP at port {port}: {error}"),
    }
}

fn failure(reason: NotStarted, message: String) -> Failure {
    Failure { reason, message }
}

/// As long as the IDs of other container runtimes: clients cut it.
fn new_id() -> String {
    format!("wasmtime://{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
