//! When a certificate is renewed. Pure.

use std::time::{Duration, SystemTime};

use carob_pki::{CLOCK_SKEW, Validity};

/// As the kubelet does it: somewhere from 70 to 90 % of the way, so that not all nodes come at once. `chance` is from 0 to 1.
pub(super) fn renew_at(validity: Validity, chance: f64) -> SystemTime {
    // It was made some time after its first moment.
    let made = (validity.not_before + CLOCK_SKEW).min(validity.not_after);
    let life = validity.not_after.duration_since(made).unwrap_or_default();
    made + life.mul_f64(0.7 + 0.2 * chance.clamp(0.0, 1.0))
}

/// How long until then; nothing if it has passed.
pub(super) fn until(moment: SystemTime, now: SystemTime) -> Duration {
    moment.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_well_before_it_ends() {
        let start = SystemTime::UNIX_EPOCH;
        let validity = Validity { not_before: start - CLOCK_SKEW, not_after: start + Duration::from_secs(1000) };
        for (chance, seconds) in [(0.0, 700), (0.5, 800), (1.0, 900), (7.0, 900)] {
            let at = renew_at(validity, chance);
            assert_eq!(until(at, start).as_secs_f64().round() as u64, seconds, "{chance}");
            assert_eq!(until(at, start + Duration::from_secs(901)), Duration::ZERO);
        }
    }
}
