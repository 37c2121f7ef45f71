//! The order of properties in a profile: that of PostgreSQL, so that it has nothing to sort.

/// PostgreSQL's order of keys in a `jsonb` object: shorter keys first. In this order PostgreSQL has nothing to sort.
pub(super) fn jsonb_order(id: &str) -> (usize, &str) {
    (id.len(), id)
}

/// A number with the order of the ids: their length and first bytes. Ids with equal numbers must be compared in full.
pub(super) fn head(id: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
    head[..2].copy_from_slice(&length.to_be_bytes());
    let first = id.len().min(6);
    head[2..2 + first].copy_from_slice(&id[..first]);
    u64::from_be_bytes(head)
}
