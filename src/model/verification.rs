//! The tenant's own counts beside those of the tables.

use super::fault::Fault;

/// The result of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// The tables, in the order of the request.
    pub tables: Vec<Comparison>,
    /// The segments' profiles, largest first.
    pub segments: Vec<SegmentComparison>,
    /// The segment that profiles are read from, if they were compared.
    pub walked: Option<String>,
    /// Resources that the tenant does not count.
    pub uncounted: Vec<&'static str>,
    /// Resources that the tenant denies, and the denial.
    pub denied: Vec<(&'static str, Fault)>,
    /// Further notices.
    pub notices: Vec<String>,
}

/// A count by the tenant and by the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The table, or the segment's id.
    pub name: String,
    /// The tenant's count; none if it reports none.
    pub by_the_tenant: Option<u64>,
    /// The table's count.
    pub in_the_table: u64,
    /// The largest difference that changes during the comparison explain; none if the counts need not agree.
    pub tolerance: Option<u64>,
}

/// A segment's profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentComparison {
    /// Its name; empty if the tenant does not list it.
    pub name: String,
    /// The `profileCount` of the listing, which may lag.
    pub profile_count: Option<u64>,
    /// Its profiles, by the total of their own listing.
    pub profiles: Comparison,
}

impl Comparison {
    /// The tenant's count minus the table's.
    pub fn difference(&self) -> Option<i64> {
        Some(self.by_the_tenant?.cast_signed() - self.in_the_table.cast_signed())
    }

    /// Whether both counts agree; none if that cannot be decided.
    pub fn agrees(&self) -> Option<bool> {
        Some(self.difference()?.unsigned_abs() <= self.tolerance?)
    }
}

impl Verification {
    /// The differences that changes do not explain, with a description.
    pub fn differences(&self) -> Vec<(String, &Comparison)> {
        let tables = self
            .tables
            .iter()
            .map(|table| (format!("`{}`", table.name), table));
        let segments = self.segments.iter().map(|segment| {
            let what = format!("the segment `{}` ({})", segment.profiles.name, segment.name);
            (what.replace(" ()", ""), &segment.profiles)
        });
        tables
            .chain(segments)
            .filter(|(_, comparison)| comparison.agrees() == Some(false))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(by_the_tenant: Option<u64>, in_the_table: u64, tolerance: Option<u64>) -> Comparison {
        Comparison {
            name: "s".to_owned(),
            by_the_tenant,
            in_the_table,
            tolerance,
        }
    }

    #[test]
    fn what_is_not_reported_or_need_not_agree_is_not_judged() {
        assert_eq!(comparison(Some(100), 90, Some(10)).agrees(), Some(true));
        assert_eq!(comparison(Some(100), 111, Some(10)).agrees(), Some(false));
        assert_eq!(comparison(None, 111, Some(10)).agrees(), None);
        assert_eq!(comparison(Some(1), 111, None).agrees(), None);
        assert_eq!(comparison(Some(1), 111, None).difference(), Some(-110));
    }
}
