//! Which kinds the tables hold: everything that is served today or that an object of ours can hold, and the kinds of
//! Kubernetes' stable groups.

use k8s_openapi::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// The schemas by name, and the kinds that name them.
pub struct Collected {
    pub definitions: Map<String, Value>,
    pub kinds: Vec<Kind>,
}

pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub schema: String,
}

struct Collector {
    generator: SchemaGenerator,
    kinds: Vec<Kind>,
}

impl Collector {
    fn kind<T: Resource + JsonSchema>(&mut self) {
        self.named::<T>(T::GROUP, T::VERSION, T::KIND);
    }

    fn named<T: JsonSchema>(&mut self, group: &'static str, version: &'static str, kind: &'static str) {
        self.generator.subschema_for::<T>();
        self.kinds.push(Kind { group, version, kind, schema: T::schema_name().into_owned() });
    }
}

macro_rules! kinds {
    ($collector:ident: $($module:path { $($kind:ident),+ $(,)? })+) => {
        $({ use $module as module; $($collector.kind::<module::$kind>();)+ })+
    };
}

pub fn collect() -> Collected {
    let mut collector = Collector { generator: SchemaGenerator::default(), kinds: Vec::new() };
    workloads(&mut collector);
    policies(&mut collector);
    collector.named::<meta::DeleteOptions>("", "v1", "DeleteOptions");
    collector.named::<meta::DeleteOptions>("meta.k8s.io", "v1", "DeleteOptions");
    collector.generator.subschema_for::<meta::ListMeta>();
    collector.kinds.sort_by_key(|k| (k.group, k.version, k.kind));
    let definitions = collector.generator.take_definitions(true);
    Collected { definitions, kinds: collector.kinds }
}

fn workloads(collector: &mut Collector) {
    kinds! { collector:
        k8s_openapi::api::apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
        k8s_openapi::api::autoscaling::v1 { Scale }
        k8s_openapi::api::autoscaling::v2 { HorizontalPodAutoscaler }
        k8s_openapi::api::batch::v1 { CronJob, Job }
        k8s_openapi::api::coordination::v1 { Lease }
        k8s_openapi::api::core::v1 {
            Binding, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
            PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
        }
        k8s_openapi::api::discovery::v1 { EndpointSlice }
        k8s_openapi::api::events::v1 { Event }
        k8s_openapi::api::networking::v1 { IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR }
        k8s_openapi::api::node::v1 { RuntimeClass }
        k8s_openapi::api::scheduling::v1 { PriorityClass }
        k8s_openapi::api::storage::v1 {
            CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
        }
        k8s_openapi::apimachinery::pkg::apis::meta::v1 { Status }
    }
}

fn policies(collector: &mut Collector) {
    kinds! { collector:
        k8s_openapi::api::admissionregistration::v1 {
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        }
        k8s_openapi::api::authentication::v1 { SelfSubjectReview, TokenRequest, TokenReview }
        k8s_openapi::api::authorization::v1 {
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        }
        k8s_openapi::api::certificates::v1 { CertificateSigningRequest }
        k8s_openapi::api::flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
        k8s_openapi::api::policy::v1 { Eviction, PodDisruptionBudget }
        k8s_openapi::api::rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 { CustomResourceDefinition }
        k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 { APIService }
    }
}
