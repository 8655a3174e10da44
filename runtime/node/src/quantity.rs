//! Quantities of resources, such as `250m` and `64Mi`.

use carob_resources::quantity::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The quantity in thousandths, rounded up; `None` if it is none, or is negative. The API server has checked it, so that
/// this reads and does not explain.
pub(crate) fn millis(quantity: &Quantity) -> Option<u64> {
    read(quantity, Amount::millis)
}

/// The quantity in whole units, rounded up.
pub(crate) fn units(quantity: &Quantity) -> Option<u64> {
    read(quantity, Amount::units)
}

fn read(quantity: &Quantity, scale: fn(&Amount) -> i64) -> Option<u64> {
    let amount = Amount::parse(&quantity.0).ok()?;
    scale(&amount).try_into().ok()
}

/// So many bytes, as Kubernetes prints a node's memory.
pub(crate) fn kibibytes(bytes: u64) -> Quantity {
    Quantity(format!("{}Ki", bytes / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_thousandths() {
        for (text, expected) in [
            ("1", Some(1_000)),
            ("250m", Some(250)),
            ("0.5", Some(500)),
            ("1500u", Some(2)),
            ("64Mi", Some(64 * 1024 * 1024 * 1000)),
            ("1k", Some(1_000_000)),
            ("1e3", Some(1_000_000)),
            ("2G", Some(2_000_000_000_000)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("99999E", Some(i64::MAX as u64)),
        ] {
            assert_eq!(millis(&Quantity(text.into())), expected, "{text:?}");
        }
        assert_eq!(units(&Quantity("1500m".into())), Some(2));
        assert_eq!(kibibytes(4096).0, "4Ki");
    }
}
