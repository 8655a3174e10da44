//! Strings with a format. Each function answers the text to keep, or the words to refuse it with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// Checked, kept as it came.
pub(crate) fn base64(text: String) -> Result<String, String> {
    match STANDARD.decode(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("illegal base64 data: {error}")),
    }
}

/// In UTC, without a fraction, as Kubernetes writes `Time`.
pub(crate) fn time(text: &str) -> Result<String, String> {
    timestamp(text).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// In UTC with six digits, as Kubernetes writes `MicroTime`.
pub(crate) fn micro_time(text: &str) -> Result<String, String> {
    timestamp(text).map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("parsing time {text:?}: it is no RFC 3339 time, as in \"2006-01-02T15:04:05Z\""))
}

/// A sign, digits with at most one point, then a suffix. Which suffixes there are is Quantity's own business.
pub(crate) fn quantity(text: String) -> Result<String, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_end);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits > 0 && number.len() - digits <= 1;
    if is_number && is_suffix(suffix) {
        return Ok(text);
    }
    Err("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned())
}

fn is_suffix(suffix: &str) -> bool {
    match suffix {
        "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => true,
        _ => suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| exponent.parse::<i32>().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_normalised() {
        assert_eq!(time("2026-01-02T03:04:05.678+01:00"), Ok("2026-01-02T02:04:05Z".to_owned()));
        assert_eq!(micro_time("2026-01-02T03:04:05.678Z"), Ok("2026-01-02T03:04:05.678000Z".to_owned()));
        assert!(time("yesterday").unwrap_err().starts_with("parsing time \"yesterday\""));
    }

    #[test]
    fn quantities_have_digits_and_a_known_suffix() {
        for good in ["1", "-1.5Gi", "+100m", ".5", "1.", "1e3", "1E-3", "0", "12Ei", "3E"] {
            assert!(quantity(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "Gi", "1.2.3", "1 Gi", "abc", "1Xi", "--1", "1e", "½"] {
            assert!(quantity(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn base64_is_checked() {
        assert!(base64("aGVsbG8=".to_owned()).is_ok());
        assert!(base64("aGVsbG8".to_owned()).is_err());
        assert!(base64("not base64!".to_owned()).is_err());
    }
}
