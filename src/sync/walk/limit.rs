//! How much of a listing is read at most. A listing that has no end would fill the disk: the tenant's own total tells
//! when it is beyond belief, and where it tells none, what the table holds does.

/// Profiles beyond twice the total: a tenant may grow while it is walked.
const PROFILES_BEYOND: u64 = 10_000;
/// Profiles that are read where neither total nor table tells: about a gigabyte of them.
const PROFILES_UNTOLD: u64 = 1_000_000;
/// Elements of a list beyond twice the total.
const LIST_BEYOND: u64 = 1_000;
/// Elements of a list that are read where neither total nor table tells.
const LIST_UNTOLD: u64 = 100_000;

/// The most elements, repeats included, that a walk of profiles reads. `total`: what the tenant told first; `stored`: rows
/// of the table. Without a total each walk may read twice what the ones before it loaded.
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
