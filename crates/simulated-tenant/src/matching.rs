//! Decides whether a profile matches a refinement. Conditions on the date of modification do not generate the properties,
//! since a sync uses them.

use crate::changes::Change;
use crate::refinement::{Filter, Objective};
use crate::world::{World, objectives};

const MODIFIED: &str = "lastmodifieddate";

impl Filter {
    /// Whether the profile at this position matches, by the search index at a time.
    pub(crate) fn passes(&self, world: &World, position: u64, change: Option<&Change>, now: i64) -> bool {
        let values = |property: &str| world.values(position, change, property).unwrap_or_default();
        match self {
            Self::All(filters) => filters
                .iter()
                .all(|filter| filter.passes(world, position, change, now)),
            Self::Any(filters) => filters
                .iter()
                .any(|filter| filter.passes(world, position, change, now)),
            Self::Not(filter) => !filter.passes(world, position, change, now),
            Self::Nobody => false,
            Self::Empty(property) => values(property).is_empty(),
            Self::Contains {
                property,
                values: sought,
                all,
            } => contains(sought, *all, &values(property)),
            Self::Between { property, from, to } if property == MODIFIED => world
                .indexed_modified(position, change, now)
                .is_some_and(|modified| within(modified, *from, *to)),
            Self::Between { property, from, to } => {
                let number = |text: &String| text.parse().is_ok_and(|number| within(number, *from, *to));
                values(property).iter().any(number)
            }
            Self::Objectives { state, values, all } => {
                let facts = world.facts(position, change);
                let of = |bits: Option<u64>| objectives(bits.unwrap_or_default());
                let (consented, refused) = (of(facts.consented), of(facts.refused));
                let holds = |objective: &String| state.holds(objective, &consented, &refused);
                if *all {
                    values.iter().all(holds)
                } else {
                    values.iter().any(holds)
                }
            }
        }
    }

    /// The span of modification dates outside of which no profile matches; `None`: no such span is known.
    pub(crate) fn window(&self) -> Option<(i64, i64)> {
        match self {
            Self::Between { property, from, to } if property == MODIFIED => {
                Some((from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX)))
            }
            Self::All(filters) => filters
                .iter()
                .filter_map(Self::window)
                .reduce(|one, other| (one.0.max(other.0), one.1.min(other.1))),
            _ => None,
        }
    }
}

impl Objective {
    fn holds(self, objective: &String, consented: &[String], refused: &[String]) -> bool {
        let (yes, no) = (consented.contains(objective), refused.contains(objective));
        match self {
            // Every objective of this tenant needs consent.
            Self::Consented | Self::ConsentedOrUnneeded => yes,
            Self::Refused => no,
            Self::Unknown => !yes && !no,
            Self::RefusedOrUnknown => !yes,
        }
    }
}

fn within(number: i64, from: Option<i64>, to: Option<i64>) -> bool {
    from.is_none_or(|from| from <= number) && to.is_none_or(|to| number <= to)
}

fn contains(sought: &[String], all: bool, values: &[String]) -> bool {
    let has = |value: &String| values.contains(value);
    if all {
        sought.iter().all(has)
    } else {
        sought.iter().any(has)
    }
}
