//! Which ended containers are started again.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, Pod};

use super::observed::{StopReason, Terminated};
use super::slot::{Role, Slot};
use super::spec::PodExt;

/// When an ended container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    fn parse(policy: &str) -> RestartPolicy {
        match policy {
            "Never" => RestartPolicy::Never,
            "OnFailure" => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        }
    }

    fn restarts(self, exit_code: i32) -> bool {
        match self {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }
}

/// Whether the container in `slot` is started again after this run: by why it was ended, then by its own rules, then by its
/// own policy, then by the Pod's.
pub(crate) fn restarts(pod: &Pod, slot: Slot, run: &Terminated) -> bool {
    let Some(container) = pod.container(slot) else { return false };
    let policy = policy(pod, pod.role(slot), &container);
    match run.stopped {
        Some(StopReason::ImageChanged | StopReason::Resized) => true,
        Some(StopReason::Unhealthy(_)) => policy != RestartPolicy::Never,
        Some(StopReason::PodEnds | StopReason::PostStartFailed) | None => {
            rule_restarts(&container, run.exit_code) || policy.restarts(run.exit_code)
        }
    }
}

/// Whether a container is started again if a probe finds that it does not work.
pub(crate) fn restarts_unhealthy(pod: &Pod, slot: Slot) -> bool {
    pod.container(slot).is_some_and(|container| policy(pod, pod.role(slot), &container) != RestartPolicy::Never)
}

fn policy(pod: &Pod, role: Role, container: &Container) -> RestartPolicy {
    let own = container.restart_policy.as_deref().map(RestartPolicy::parse);
    let of_pod =
        || RestartPolicy::parse(pod.spec().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default());
    match role {
        Role::Ephemeral => RestartPolicy::Never,
        Role::Sidecar => RestartPolicy::Always,
        Role::Main => own.unwrap_or_else(of_pod),
        // One that has done its part has done it; one that fails is tried again unless it is said otherwise.
        Role::Init => match own.unwrap_or_else(of_pod) {
            RestartPolicy::Always => RestartPolicy::OnFailure,
            other => other,
        },
    }
}

fn rule_restarts(container: &Container, exit_code: i32) -> bool {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    rules.iter().find(|rule| matches(rule, exit_code)).is_some_and(|rule| rule.action == "Restart")
}

fn matches(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = &rule.exit_codes else { return false };
    let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
    match codes.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::probe::ProbeKind;

    fn run(exit_code: i32, stopped: Option<StopReason>) -> Terminated {
        Terminated {
            id: "id".into(),
            exit_code,
            reason: String::new(),
            message: None,
            started_at: None,
            finished_at: Timestamp::UNIX_EPOCH,
            stopped,
            post_start_error: None,
        }
    }

    fn pod(policy: &str, mut container: Value) -> Pod {
        container["name"] = json!("a");
        serde_json::from_value(json!({"spec": {"restartPolicy": policy, "containers": [container]}})).unwrap()
    }

    #[test]
    fn a_containers_rules_come_before_its_policy_and_that_before_the_pods() {
        let rule = |operator: &str| {
            json!({"restartPolicy": "Never", "restartPolicyRules":
                [{"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}}]})
        };
        for (policy, container, code, expected) in [
            ("Always", json!({}), 0, true),
            ("OnFailure", json!({}), 0, false),
            ("OnFailure", json!({}), 1, true),
            ("Never", json!({}), 1, false),
            ("Always", json!({"restartPolicy": "Never"}), 1, false),
            ("Never", json!({"restartPolicy": "OnFailure"}), 1, true),
            ("Never", json!({"restartPolicy": "OnFailure"}), 0, false),
            ("Always", rule("In"), 42, true),
            ("Always", rule("In"), 1, false),
            ("Always", rule("NotIn"), 42, false),
            ("Always", rule("NotIn"), 1, true),
        ] {
            let pod = pod(policy, container.clone());
            assert_eq!(restarts(&pod, Slot(0), &run(code, None)), expected, "{policy} {container} {code}");
        }
    }

    #[test]
    fn what_the_node_ended_to_start_it_anew_is_started_whatever_its_exit_code() {
        let unhealthy = StopReason::Unhealthy(ProbeKind::Liveness);
        for (policy, stopped, expected) in [
            ("OnFailure", unhealthy, true),
            ("Never", unhealthy, false),
            ("Never", StopReason::ImageChanged, true),
            ("OnFailure", StopReason::PostStartFailed, false),
        ] {
            assert_eq!(
                restarts(&pod(policy, json!({})), Slot(0), &run(0, Some(stopped))),
                expected,
                "{policy} {stopped:?}"
            );
        }
    }
}
