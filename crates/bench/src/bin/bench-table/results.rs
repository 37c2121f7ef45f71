//! The results: a number for each size of the tenant, round, case, side and measure.

use std::collections::BTreeMap;

use bench::Outcome;

/// The side of the product.
pub(crate) const PRODUCT: &str = "product";
/// The side of the minimal correct sync.
pub(crate) const REFERENCE: &str = "reference";

/// All results of one run of the bench.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// By profiles, case, side and measure; then by round.
    numbers: BTreeMap<Key, BTreeMap<u32, f64>>,
}

type Key = (u64, String, String, String);

/// One number over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// The key of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) profiles: u64,
    pub(crate) name: &'a str,
    pub(crate) side: &'a str,
}

impl Spread {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let (lower, upper) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Some(Self {
            median: f64::midpoint(lower, upper),
            least,
            most,
        })
    }
}

impl Results {
    /// Reads lines of six columns.
    pub(crate) fn read(text: &str) -> Outcome<Self> {
        let mut results = Self::default();
        for line in text.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [profiles, round, case, side, measure, value] = columns[..] else {
                return Err(format!("not six columns: {line}").into());
            };
            let key = (profiles.parse()?, case.into(), side.into(), measure.into());
            results
                .numbers
                .entry(key)
                .or_default()
                .insert(round.parse()?, value.parse()?);
        }
        Ok(results)
    }

    /// The sizes of tenants, ascending.
    pub(crate) fn sizes(&self) -> Vec<u64> {
        let mut sizes: Vec<u64> = self.numbers.keys().map(|(profiles, ..)| *profiles).collect();
        sizes.dedup();
        sizes
    }

    /// A measure by round.
    pub(crate) fn rounds(&self, case: Case<'_>, measure: &str) -> BTreeMap<u32, f64> {
        let key = (case.profiles, case.name.into(), case.side.into(), measure.into());
        self.numbers.get(&key).cloned().unwrap_or_default()
    }

    /// A measure over all rounds.
    pub(crate) fn spread(&self, case: Case<'_>, measure: &str) -> Option<Spread> {
        Spread::of(self.rounds(case, measure).into_values())
    }

    /// `read` by second.
    pub(crate) fn rate(&self, case: Case<'_>, read: &str) -> Option<Spread> {
        let seconds = self.rounds(case, "seconds");
        let rates = self.rounds(case, read).into_iter();
        Spread::of(rates.filter_map(|(round, rows)| Some(rows / seconds.get(&round)?)))
    }

    /// The ratio of two cases' measures, round by round, so that the machine's load affects both.
    pub(crate) fn ratio(&self, one: Case<'_>, other: Case<'_>, measure: &str) -> Option<Spread> {
        let divisors = self.rounds(other, measure);
        let ratios = self.rounds(one, measure).into_iter();
        Spread::of(ratios.filter_map(|(round, value)| Some(value / divisors.get(&round)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        let spread = |numbers: &[f64]| Spread::of(numbers.iter().copied());
        assert_eq!(spread(&[]), None);
        let expected = |median, least, most| Some(Spread { median, least, most });
        assert_eq!(spread(&[3.0, 1.0, 2.0]), expected(2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), expected(2.5, 1.0, 4.0));
    }

    #[test]
    fn ratios_are_taken_round_by_round() -> Outcome<()> {
        let text = "5\t1\tfull\tproduct\tseconds\t2\n5\t2\tfull\tproduct\tseconds\t8\n\
                    5\t1\tfull\treference\tseconds\t1\n5\t2\tfull\treference\tseconds\t4\n\
                    5\t3\tfull\treference\tseconds\t9\n5\t2\tfull\treference\trows\t8\n";
        let results = Results::read(text)?;
        let case = |side| Case {
            profiles: 5,
            name: "full",
            side,
        };
        let ratio = results.ratio(case(PRODUCT), case(REFERENCE), "seconds");
        assert_eq!(ratio, Spread::of([2.0, 2.0]));
        assert_eq!(results.rate(case(REFERENCE), "rows"), Spread::of([2.0]));
        assert_eq!(results.sizes(), [5]);
        assert!(Results::read("5\t1\tfull\n").is_err());
        Ok(())
    }
}
