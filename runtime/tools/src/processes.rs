//! ps: the containers of the Pod.

use crate::options::{Failure, Spec};
use crate::output;

/// What the node tells of the Pod's containers, as a table, to `ps` alone.
const TABLE: &str = "CAROB_PROCESSES";

pub(crate) fn ps(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: ps\n\nPrints the Pod's containers and what they use. For kubectl exec; a container that runs these tools as its own \
               program is not told.",
        short: "aeflxuwA",
        long: &[],
    };
    // `ps aux`, as it was written before there were options.
    let old = args.first().is_some_and(|first| !first.is_empty() && first.chars().all(|c| "aeflxuw".contains(c)));
    SPEC.parse(if old { &args[1..] } else { args })?;
    let table = std::env::var(TABLE);
    let table = table.map_err(|_| Failure::Failed("the node tells of containers only in kubectl exec".to_owned()))?;
    output::print(format_args!("{table}"));
    Ok(0)
}
