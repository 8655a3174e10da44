//! Quantities, such as `250m` or `64Mi`, with exact arithmetic.

use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;

const NANO: i128 = 1_000_000_000;
/// Kubernetes caps what is larger, and so does this.
const LIMIT: i128 = i64::MAX as i128 * NANO;
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// An amount of a resource. What is finer than a billionth is rounded up, as Kubernetes does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    notation: Notation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    Binary,
    Decimal,
    Exponent,
}

/// A text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// Its suffix is not known.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity { nanos: 0, notation: Notation::Decimal };

    /// Reads `1`, `1.5`, `100m`, `64Mi`, `1e3`.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let digits = number.chars().filter(char::is_ascii_digit).count();
        if digits == 0 || number.len() > digits + 1 {
            return Err(QuantityError::Format);
        }
        let (notation, scale) = parse_suffix(suffix)?;
        let nanos = magnitude(number, scale);
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, notation })
    }

    /// Reads a quantity out of JSON, where it may also stand as a number.
    pub fn from_json(value: &Value) -> Result<Quantity, QuantityError> {
        match value {
            Value::String(text) => Quantity::parse(text),
            Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => Err(QuantityError::Format),
        }
    }

    /// In whole units, rounded up, such as bytes.
    pub fn units(&self) -> i64 {
        clamp(ceil_div(self.nanos, NANO))
    }

    /// In thousandths, rounded up, such as millicores.
    pub fn millis(&self) -> i64 {
        clamp(ceil_div(self.nanos, NANO / 1000))
    }

    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Quantity;

    fn add(self, other: Quantity) -> Quantity {
        let notation = if self.nanos == 0 { other.notation } else { self.notation };
        Quantity { nanos: (self.nanos + other.nanos).clamp(-LIMIT, LIMIT), notation }
    }
}

/// The canonical form: the largest suffix that leaves a whole number in front.
impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return out.write_str("0");
        }
        match self.notation {
            Notation::Binary if self.nanos.abs() >= 1024 * NANO => self.write_binary(out),
            Notation::Exponent => self.write_decimal(out, true),
            Notation::Binary | Notation::Decimal => self.write_decimal(out, false),
        }
    }
}

impl Quantity {
    fn write_binary(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ceil_div(self.nanos, NANO);
        let fits = BINARY.iter().rev().find(|(_, bits)| units % (1_i128 << bits) == 0);
        match fits {
            Some((suffix, bits)) => write!(out, "{}{suffix}", units >> bits),
            None => write!(out, "{units}"),
        }
    }

    fn write_decimal(&self, out: &mut fmt::Formatter<'_>, exponent: bool) -> fmt::Result {
        let fits = DECIMAL.iter().rev().find(|(_, scale)| self.nanos % power_of_ten(scale + 9) == 0);
        let (suffix, scale) = fits.copied().unwrap_or(DECIMAL[0]);
        let mantissa = self.nanos / power_of_ten(scale + 9);
        match scale {
            0 => write!(out, "{mantissa}"),
            _ if exponent => write!(out, "{mantissa}e{scale}"),
            _ => write!(out, "{mantissa}{suffix}"),
        }
    }
}

#[derive(Clone, Copy)]
enum Scale {
    Two(u32),
    Ten(i32),
}

fn parse_suffix(suffix: &str) -> Result<(Notation, Scale), QuantityError> {
    if let Some((_, bits)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Ok((Notation::Binary, Scale::Two(*bits)));
    }
    if let Some((_, scale)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((Notation::Decimal, Scale::Ten(*scale)));
    }
    let Some(exponent) = suffix.strip_prefix(['e', 'E']) else {
        let known = |c: char| "eEinumkKMGTP+-0123456789".contains(c);
        return Err(if suffix.chars().all(known) { QuantityError::Suffix } else { QuantityError::Format });
    };
    match exponent.parse::<i32>() {
        Ok(scale) => Ok((Notation::Exponent, Scale::Ten(scale))),
        Err(_) => Err(QuantityError::Suffix),
    }
}

/// The value of `number` times its scale in billionths, rounded up and capped.
fn magnitude(number: &str, scale: Scale) -> i128 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (shift, factor) = match scale {
        Scale::Two(bits) => (0, 1_i128 << bits),
        Scale::Ten(power) => (power, 1),
    };
    // The digits, read as one whole number, count units of 10^-fraction.
    let fraction = &fraction[..fraction.len().min(18)];
    let digits = whole.trim_start_matches('0').to_owned() + fraction;
    let power = i64::from(shift) + 9 - fraction.len() as i64;
    if digits.bytes().all(|digit| digit == b'0') {
        return 0;
    }
    let Some(value) = digits.parse::<i128>().ok().and_then(|value| value.checked_mul(factor)) else { return LIMIT };
    match power {
        ..=-38 => 1,
        -37..0 => ceil_div(value, 10_i128.pow(power.unsigned_abs() as u32)),
        0..=37 => value.checked_mul(10_i128.pow(power as u32)).map_or(LIMIT, |nanos| nanos.min(LIMIT)),
        _ => LIMIT,
    }
}

fn power_of_ten(power: i32) -> i128 {
    10_i128.pow(power.unsigned_abs())
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let cases = [
            ("0", "0"),
            ("0Mi", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("1000k", "1M"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1.5Ki", "1536"),
            ("512", "512"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("12e4", "120e3"),
            ("1E", "1E"),
            ("-250m", "-250m"),
            ("+1", "1"),
            ("0.0000000001", "1n"),
            ("100000000000000000000000000", "9223372036854775807"),
        ];
        for (text, canonical) in cases {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "m", "1.2.3", "--1", "1 Mi", "Mi", "abc", "."] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text:?}");
        }
        for text in ["1mi", "1K", "1e", "1Mm", "1e99999999999"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text:?}");
        }
    }

    #[test]
    fn amounts_compare_and_add_across_notations() {
        let quantity = |text| Quantity::parse(text).unwrap();
        assert_eq!(quantity("1"), quantity("1000m"));
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!((quantity("64Mi") + quantity("64Mi")).to_string(), "128Mi");
        assert_eq!(quantity("1.0001").millis(), 1001);
        assert_eq!(quantity("1m").units(), 1);
        assert_eq!(quantity("128Mi").units(), 134_217_728);
    }
}
