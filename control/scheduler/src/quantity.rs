//! Kubernetes quantities as integers.

use carob_resources::quantity::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The quantity in whole units (bytes, pieces), rounded up. Malformed text, which the API server does not let in,
/// counts as nothing.
pub(crate) fn units(quantity: &Quantity) -> i64 {
    Amount::parse(&quantity.0).map_or(0, |amount| amount.units())
}

/// The quantity in thousandths (`500m` is 500), rounded up.
pub(crate) fn thousandths(quantity: &Quantity) -> i64 {
    Amount::parse(&quantity.0).map_or(0, |amount| amount.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_thousandths() {
        let cases = [
            ("0", 0, 0),
            ("1", 1, 1000),
            ("100m", 1, 100),
            ("0.1", 1, 100),
            ("1.5", 2, 1500),
            ("2k", 2000, 2_000_000),
            ("64Mi", 67_108_864, 67_108_864_000),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
            ("12e3", 12_000, 12_000_000),
            ("1E", 1_000_000_000_000_000_000, i64::MAX),
            ("nonsense", 0, 0),
        ];
        for (text, whole, milli) in cases {
            let quantity = Quantity(text.into());
            assert_eq!((units(&quantity), thousandths(&quantity)), (whole, milli), "{text}");
        }
    }
}
