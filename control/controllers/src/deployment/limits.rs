use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a rolling update may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) replicas: i32,
    /// Pods above `replicas`.
    pub(crate) surge: i32,
    /// Pods below `replicas` that are missing.
    pub(crate) unavailable: i32,
}

impl Limits {
    /// Percentages are of the replicas: surge rounded up, unavailable rounded down, and not both zero.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let replicas = deployment.spec.replicas.unwrap_or(1);
        if is_recreate(deployment) || replicas == 0 {
            return Self { replicas, surge: if replicas == 0 { surge_of(deployment, 0) } else { 0 }, unavailable: 0 };
        }
        let surge = surge_of(deployment, replicas);
        let rolling = deployment.spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let unavailable = amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), replicas, false);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { replicas, surge, unavailable: unavailable.min(replicas) }
    }

    pub(crate) fn most(self) -> i32 {
        self.replicas.saturating_add(self.surge)
    }

    pub(crate) fn least_available(self) -> i32 {
        self.replicas - self.unavailable
    }
}

pub(crate) fn is_recreate(deployment: &Deployment) -> bool {
    deployment.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

fn surge_of(deployment: &Deployment, replicas: i32) -> i32 {
    let strategy = deployment.spec.strategy.as_ref();
    if is_recreate(deployment) {
        return 0;
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), replicas, true)
}

/// Kubernetes' default is 25 %; malformed text, which the API server does not let in, counts as that.
fn amount(value: Option<&IntOrString>, of: i32, up: bool) -> i32 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => text.strip_suffix('%').and_then(|text| text.parse().ok()).unwrap_or(25),
        None => 25i64,
    };
    let hundredths = i64::from(of) * percent.max(0);
    let rounded = if up { (hundredths + 99) / 100 } else { hundredths / 100 };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn surge_is_rounded_up_and_unavailable_down() {
        let cases = [
            (10, json!("25%"), json!("25%"), (3, 2)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (3, json!(0), json!("10%"), (0, 1)),
            (3, json!(0), json!(0), (0, 1)),
            (3, json!("100%"), json!(5), (3, 3)),
            (0, json!(2), json!(2), (2, 0)),
        ];
        for (replicas, surge, unavailable, expected) in cases {
            let deployment: Deployment = serde_json::from_value(json!({
                "metadata": {},
                "spec": { "replicas": replicas, "selector": {}, "template": {}, "strategy": { "type": "RollingUpdate",
                    "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } },
            }))
            .unwrap();
            let limits = Limits::of(&deployment);
            assert_eq!((limits.surge, limits.unavailable), expected, "{replicas} {surge} {unavailable}");
        }
    }
}
