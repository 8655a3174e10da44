use k8s_openapi::api::core::v1::{Pod, Taint, Toleration};

/// The first taint of these that keeps the Pod away from the node.
pub(crate) fn untolerated<'a>(pod: &Pod, taints: &'a [Taint]) -> Option<&'a Taint> {
    let forbidding = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    taints.iter().filter(forbidding).find(|taint| !tolerates(pod, taint))
}

/// How many taints ask the Pod politely to stay away.
pub(crate) fn unwelcome(pod: &Pod, taints: &[Taint]) -> i64 {
    let polite = |taint: &&Taint| taint.effect == "PreferNoSchedule";
    taints.iter().filter(polite).filter(|taint| !tolerates(pod, taint)).count() as i64
}

/// Whether any toleration of the Pod matches this taint.
pub(crate) fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    tolerations.iter().any(|toleration| matches(toleration, taint))
}

fn matches(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => {
            !key.is_empty()
                && toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations() {
        let taint = Taint { key: "k".into(), value: Some("v".into()), effect: "NoSchedule".into(), time_added: None };
        let cases = [
            ("k", "Equal", "v", "NoSchedule", true),
            ("k", "", "v", "", true),
            ("k", "Equal", "other", "", false),
            ("k", "Exists", "", "", true),
            ("", "Exists", "", "", true),
            ("", "Equal", "v", "", false),
            ("other", "Exists", "", "", false),
            ("k", "Exists", "", "NoExecute", false),
        ];
        for (key, operator, value, effect, expected) in cases {
            let toleration = Toleration {
                key: Some(key.into()),
                operator: Some(operator.into()),
                value: Some(value.into()),
                effect: Some(effect.into()),
                toleration_seconds: None,
            };
            assert_eq!(matches(&toleration, &taint), expected, "{key} {operator} {value} {effect}");
        }
    }
}
