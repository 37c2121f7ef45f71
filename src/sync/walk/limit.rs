//! The most elements that are read of a listing. A listing without end would fill the disk, so the limit follows from the
//! tenant's total or, without a total, from the rows of the table.

/// Profiles beyond twice the total, since a tenant may grow during the walk.
const PROFILES_BEYOND: u64 = 10_000;
/// Profiles that are read where both total and table are unknown: about a gigabyte.
const PROFILES_UNTOLD: u64 = 1_000_000;
/// Elements of a list beyond twice the total.
const LIST_BEYOND: u64 = 1_000;
/// Elements of a list that are read where both total and table are unknown.
const LIST_UNTOLD: u64 = 100_000;

/// The most elements, repeats included, that a walk of profiles reads. `total`: the tenant's first total; `stored`: rows of
/// the table. Without a total, each walk may read twice what earlier walks loaded.
pub(crate) fn of_profiles(total: Option<u64>, stored: u64) -> u64 {
    most(total, stored, PROFILES_BEYOND, PROFILES_UNTOLD)
}

/// The most elements that one reading of a list takes.
pub(crate) fn of_list(total: Option<u64>, stored: u64) -> u64 {
    most(total, stored, LIST_BEYOND, LIST_UNTOLD)
}

fn most(total: Option<u64>, stored: u64, beyond: u64, untold: u64) -> u64 {
    match total {
        Some(total) => total.saturating_mul(2).saturating_add(beyond),
        None => stored.saturating_mul(2).saturating_add(untold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_total_and_a_margin_is_the_most() {
        assert_eq!(of_profiles(Some(50), 7_000_000), 10_100);
        assert_eq!(of_profiles(None, 5), 1_000_010);
        assert_eq!(of_list(Some(131), 0), 1_262);
        assert_eq!(of_list(Some(u64::MAX), 0), u64::MAX);
    }
}
