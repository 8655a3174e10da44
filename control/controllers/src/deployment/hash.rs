use k8s_openapi::api::core::v1::PodTemplateSpec;

/// Kubernetes' alphabet for names: no vowels and no digits that look like them, so that no word comes out.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The value of `pod-template-hash`: equal templates (and collision counts) have equal hashes. The number is ours;
/// its form is Kubernetes'.
pub(crate) fn template_hash(template: &PodTemplateSpec, collisions: i32) -> String {
    // A template is a struct of maps and lists of plain values: it always serializes, and always in one order.
    let bytes = serde_json::to_vec(template).unwrap_or_default();
    let mut hash = bytes.iter().fold(0x811c_9dc5, fnv);
    if collisions > 0 {
        hash = collisions.to_le_bytes().iter().fold(hash, fnv);
    }
    let digits = hash.to_string();
    digits.bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

fn fnv(hash: u32, byte: &u8) -> u32 {
    (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
}
