//! Tokens of ServiceAccounts: what they claim, and what a claim is worth; and those of machines that join.
//!
//! A token is good as long as everything it speaks of exists: the ServiceAccount, and the Pod, Secret or Node it is bound to,
//! each by its uid (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>).

mod authenticate;
mod bearer;
mod bootstrap;
mod claims;
mod discovery;

pub(crate) use authenticate::{Proven, authenticate};
pub(crate) use bearer::bearer;
pub(crate) use claims::{Bound, Claims, Holder};
pub(crate) use discovery::answer;
