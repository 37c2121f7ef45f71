//! Releases of the tenant, such as `103.0`, and their order.

/// A release in comparable form; none if it is no number.
pub(super) fn number(release: &str) -> Option<Vec<u32>> {
    let mut parts = Vec::new();
    for part in release.trim().split('.') {
        parts.push(part.parse().ok()?);
    }
    // `103` and `103.0` are the same release.
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts)
}

/// Whether a release is known to be older than another one.
pub(super) fn is_older(release: Option<&str>, than: &str) -> bool {
    match (release.and_then(number), number(than)) {
        (Some(release), Some(than)) => release < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number_and_an_unknown_one_is_not_older() {
        assert!(is_older(Some("99.0"), "103.0"));
        assert!(is_older(Some("103.0"), "103.1"));
        assert!(!is_older(Some("103"), "103.0"));
        assert!(!is_older(Some("104.0"), "103.0"));
        assert!(!is_older(Some("next"), "103.0"));
        assert!(!is_older(None, "103.0"));
    }
}
