//! Quantities of resources, such as `250m` and `64Mi`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

/// The quantity in thousandths, rounded up; `None` if it is none, or is too large. The API server has checked it, so that
/// this reads and does not explain.
pub(crate) fn millis(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let scale = match suffix {
        "" => 1e3,
        "m" => 1.0,
        "u" => 1e-3,
        "n" => 1e-6,
        _ => match (position(&BINARY, suffix), position(&DECIMAL, suffix)) {
            (Some(n), _) => 1e3 * 1024f64.powi(n),
            (None, Some(n)) => 1e3 * 1000f64.powi(n),
            (None, None) => return exponent(text),
        },
    };
    whole(number.parse::<f64>().ok()? * scale)
}

/// The quantity in whole units, rounded up.
pub(crate) fn units(quantity: &Quantity) -> Option<u64> {
    millis(quantity).map(|millis| millis.div_ceil(1000))
}

/// So many bytes, as Kubernetes prints a node's memory.
pub(crate) fn kibibytes(bytes: u64) -> Quantity {
    Quantity(format!("{}Ki", bytes / 1024))
}

fn exponent(text: &str) -> Option<u64> {
    whole(text.parse::<f64>().ok()? * 1e3)
}

fn whole(value: f64) -> Option<u64> {
    (0.0..1e19).contains(&value).then(|| value.ceil() as u64)
}

fn position(suffixes: &[&str], suffix: &str) -> Option<i32> {
    suffixes.iter().position(|known| *known == suffix).map(|n| n as i32 + 1)
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
            ("99999E", None),
        ] {
            assert_eq!(millis(&Quantity(text.into())), expected, "{text:?}");
        }
        assert_eq!(units(&Quantity("1500m".into())), Some(2));
        assert_eq!(kibibytes(4096).0, "4Ki");
    }
}
