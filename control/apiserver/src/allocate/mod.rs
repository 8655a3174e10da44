//! Cluster IPs and node ports of Services.
//!
//! What is taken is a key of the store, written in the same transaction as the Service that takes it, so that the two never
//! disagree, across crashes too.

mod claims;
mod pool;

use carob_resources::{Cause, Resource};
use carob_store::{Change, Expect, Write};
use serde_json::{Value, json};

use crate::{status::Status, verbs::Call};
use claims::{Claim, claims, has_node_ports, shared_port, takes_cluster_ip, takes_health_check, takes_node_ports};
use pool::{Pool, Refused};

/// Fills in what is to be allocated and plans the writes that take it, and give back what `old` had and `new` has not.
pub(crate) async fn plan(call: &Call, name: &str, new: &mut Value, old: Option<&Value>) -> Result<Vec<Write>, Status> {
    if !is_service(call.served.resource) {
        return Ok(Vec::new());
    }
    let held = old.map(claims).unwrap_or_default();
    let pool = Pool::new(&call.api);
    fill(&pool, call, name, new, &held).await?;
    let wanted = claims(new);
    let owner = format!("{}/{name}", call.address.namespace);
    let taken = wanted.iter().filter(|claim| !held.contains(claim)).map(|claim| Write {
        key: claim.key().into(),
        expect: Expect::Absent,
        change: Change::Put(owner.clone().into()),
    });
    let given_back = held.iter().filter(|claim| !wanted.contains(claim)).map(free);
    Ok(taken.chain(given_back).collect())
}

/// The writes that give back what an object had.
pub(crate) fn release(resource: &Resource, old: &Value) -> Vec<Write> {
    if is_service(resource) { claims(old).iter().map(free).collect() } else { Vec::new() }
}

/// Whether objects of this resource get something that only one may have.
pub(crate) fn is_service(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.kind == "Service"
}

fn free(claim: &Claim) -> Write {
    Write { key: claim.key().into(), expect: Expect::Anything, change: Change::Delete }
}

async fn fill(pool: &Pool<'_>, call: &Call, name: &str, service: &mut Value, held: &[Claim]) -> Result<(), Status> {
    let invalid = |field: String, refused: Refused| refused_as(call, name, field, refused);
    if takes_cluster_ip(service) {
        let asked = service["spec"]["clusterIP"].as_str().filter(|ip| !ip.is_empty()).map(str::to_owned);
        let ip = match asked {
            Some(ip) => pool.check_ip(&ip, held).await.map_err(|r| invalid("spec.clusterIPs[0]".to_owned(), r))?,
            None => pool.any_ip().await.map_err(|r| invalid("spec.clusterIPs[0]".to_owned(), r))?,
        };
        service["spec"]["clusterIP"] = json!(ip.to_string());
        service["spec"]["clusterIPs"] = json!([ip.to_string()]);
    }
    if has_node_ports(service) {
        fill_ports(pool, service, held).await.map_err(|(field, refused)| invalid(field, refused))?;
    }
    if takes_health_check(service) {
        let number = fill_port(pool, service, &service["spec"]["healthCheckNodePort"], held).await;
        let number = number.map_err(|refused| invalid("spec.healthCheckNodePort".to_owned(), refused))?;
        service["spec"]["healthCheckNodePort"] = number;
    }
    Ok(())
}

async fn fill_ports(pool: &Pool<'_>, service: &mut Value, held: &[Claim]) -> Result<(), (String, Refused)> {
    let count = service["spec"]["ports"].as_array().map_or(0, Vec::len);
    for index in 0..count {
        let told = |refused| (format!("spec.ports[{index}].nodePort"), refused);
        let asked = &service["spec"]["ports"][index]["nodePort"];
        if is_given(asked) || takes_node_ports(service) {
            let shared = shared_port(service, index).filter(|_| !is_given(asked));
            let number = match shared {
                Some(shared) => shared,
                None => fill_port(pool, service, asked, held).await.map_err(told)?,
            };
            service["spec"]["ports"][index]["nodePort"] = number;
        }
    }
    Ok(())
}

/// The port that was asked for if it can be had, or else any.
async fn fill_port(pool: &Pool<'_>, service: &Value, asked: &Value, held: &[Claim]) -> Result<Value, Refused> {
    match asked.as_i64().filter(|_| is_given(asked)) {
        Some(number) => pool.check_port(number, held).await.map(|()| json!(number)),
        None => pool.any_port(&claims(service)).await.map(|number| json!(number)),
    }
}

fn is_given(port: &Value) -> bool {
    port.as_i64().is_some_and(|number| number != 0)
}

fn refused_as(call: &Call, name: &str, field: String, refused: Refused) -> Status {
    match refused {
        Refused::Store(error) => error.into(),
        Refused::Exhausted(why) => Status::internal(why),
        Refused::Value { value, why } => {
            let cause = Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {why}"), field };
            Status::invalid(call.served.resource, name, &[cause])
        }
    }
}
