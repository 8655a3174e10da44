//! Kubernetes quantities as integers.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The quantity in whole units (bytes, pieces), rounded up. Malformed text, which the API server does not let in,
/// counts as nothing.
pub(crate) fn units(quantity: &Quantity) -> i64 {
    clamp(parse(&quantity.0).unwrap_or(0.0).ceil())
}

/// The quantity in thousandths (`500m` is 500), rounded up.
pub(crate) fn thousandths(quantity: &Quantity) -> i64 {
    clamp((parse(&quantity.0).unwrap_or(0.0) * 1000.0 - 1e-6).ceil())
}

fn clamp(value: f64) -> i64 {
    // `as` saturates: a quantity beyond i64 is as good as infinite.
    value as i64
}

fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    Some(number * scale(suffix)?)
}

fn scale(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
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
