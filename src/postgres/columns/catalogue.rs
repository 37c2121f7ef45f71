//! Decides which typed columns the tenant's catalogue of properties needs, beside those that are there. Knows no SQL.

use std::collections::{BTreeMap, HashSet};

use crate::model::column_name::{TakenNames, column_name, with_suffix};
use crate::model::property_columns::{FIXED_COLUMNS, PropertyColumn, ValueKind};
use crate::model::sanitize;
use crate::postgres::sql::SYNCED_AT;

/// The most columns of properties in one table. A row of 340 short texts does not fit into a page.
pub(crate) const MOST_COLUMNS: usize = 300;
/// The merge strategy that keeps several values.
const KEEPS_ALL: &str = "BOTH";

/// A property that the tenant lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) filter_type: Option<String>,
    pub(crate) currency: Option<String>,
    pub(crate) data_sensitivity: Option<String>,
    pub(crate) permission_level: Option<String>,
    pub(crate) merge_strategy: Option<String>,
    pub(crate) indexed: Option<bool>,
    /// Whether its values are hashed, so that they are texts.
    pub(crate) is_hashed: bool,
}

impl Property {
    /// The type of its values as they are stored.
    fn kind(&self) -> ValueKind {
        if self.is_hashed {
            return ValueKind::Text;
        }
        ValueKind::of_filter_type(self.filter_type.as_deref())
    }
}

/// A row of `sync.property_columns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogueColumn {
    pub(crate) column: PropertyColumn,
    /// The N of its table `blueconic.profile_columns_N`.
    pub(crate) table_number: usize,
    /// Its place among all columns.
    pub(crate) place: usize,
    /// Whether the tenant lists the property.
    pub(crate) is_listed: bool,
    /// Whether the tenant indexes the property.
    pub(crate) is_identifier: bool,
    /// The comment on it.
    pub(crate) description: String,
}

/// What the catalogue changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Columns that are missing, in the order of their places.
    pub(crate) added: Vec<CatalogueColumn>,
    /// Columns that are there with another description, or whose property came back or left.
    pub(crate) changed: Vec<CatalogueColumn>,
    /// Properties whose values become identifiers, or are none any more.
    pub(crate) to_fill: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty()
    }
}

/// Compares the columns that are there with the listed properties. `reserved`: words that mean something else in SQL.
pub(crate) fn plan(stored: &[CatalogueColumn], properties: &[Property], reserved: &HashSet<String>) -> Plan {
    let mut taken = TakenNames::default();
    taken.add(FIXED_COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    taken.add([SYNCED_AT.to_owned()]);
    taken.add(stored.iter().map(|one| one.column.name.clone()));
    let mut of: BTreeMap<&str, Vec<&CatalogueColumn>> = BTreeMap::new();
    for one in stored {
        of.entry(&one.column.property).or_default().push(one);
    }
    let mut room = Room::after(stored);
    let mut plan = Plan::default();
    for property in properties {
        let own = of.remove(property.id.as_str()).unwrap_or_default();
        let kind = property.kind();
        let is_identifier = property.indexed == Some(true);
        let of_kind = |is_all: bool| {
            let mut own = own.iter();
            own.find(|one| one.column.kind == kind && one.column.is_all == is_all)
        };
        let mut add = |name: String, is_all: bool| {
            let column = PropertyColumn {
                name: taken.take(&name),
                property: property.id.clone(),
                kind,
                is_all,
            };
            let name = column.name.clone();
            let (table_number, place) = room.take();
            plan.added.push(CatalogueColumn {
                description: describe(property, &column, kind),
                column,
                table_number,
                place,
                is_listed: true,
                is_identifier,
            });
            name
        };
        let name = match (of_kind(false), own.first()) {
            (Some(there), _) => there.column.name.clone(),
            (None, Some(other)) => add(
                with_suffix(&other.column.name, &format!("_{}", kind.as_str())),
                false,
            ),
            (None, None) => add(column_name(&property.id, |name| reserved.contains(name)), false),
        };
        if property.merge_strategy.as_deref() == Some(KEEPS_ALL) && of_kind(true).is_none() {
            add(with_suffix(&name, "_all"), true);
        }
        for one in own {
            let description = describe(property, &one.column, kind);
            if one.is_identifier != is_identifier {
                plan.to_fill.push(property.id.clone());
            }
            if !one.is_listed || one.is_identifier != is_identifier || one.description != description {
                plan.changed.push(CatalogueColumn {
                    is_listed: true,
                    is_identifier,
                    description,
                    ..one.clone()
                });
            }
        }
    }
    for one in of.into_values().flatten().filter(|one| one.is_listed) {
        if one.is_identifier {
            plan.to_fill.push(one.column.property.clone());
        }
        plan.changed.push(CatalogueColumn {
            is_listed: false,
            is_identifier: false,
            ..one.clone()
        });
    }
    plan
}

/// The next free place for a column.
struct Room {
    table_number: usize,
    in_table: usize,
    place: usize,
}

impl Room {
    fn after(stored: &[CatalogueColumn]) -> Self {
        let table_number = stored.iter().map(|one| one.table_number).max().unwrap_or(1);
        Self {
            table_number,
            in_table: stored
                .iter()
                .filter(|one| one.table_number == table_number)
                .count(),
            place: stored.iter().map(|one| one.place + 1).max().unwrap_or(0),
        }
    }

    fn take(&mut self) -> (usize, usize) {
        if self.in_table == MOST_COLUMNS {
            self.table_number += 1;
            self.in_table = 0;
        }
        self.in_table += 1;
        self.place += 1;
        (self.table_number, self.place - 1)
    }
}

/// The comment on a column. `kind`: the type that the property has at the tenant by now.
fn describe(property: &Property, column: &PropertyColumn, kind: ValueKind) -> String {
    let mut sentences: Vec<String> = [&property.name, &property.description]
        .into_iter()
        .flatten()
        .map(|text| sanitize::line(text).trim().trim_end_matches('.').to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    sentences.dedup();
    let mut facts = vec![format!("Property {}", sanitize::line(&property.id))];
    facts.extend(
        property
            .filter_type
            .as_deref()
            .map(|filter_type| format!("type {filter_type}")),
    );
    facts.extend(
        property
            .currency
            .as_deref()
            .map(|currency| format!("in {currency}")),
    );
    facts.extend(property.data_sensitivity.clone());
    facts.extend(
        property
            .permission_level
            .as_deref()
            .map(|level| format!("permission level {level}")),
    );
    sentences.push(facts.join(", "));
    if property.is_hashed {
        sentences.push("Each value is its keyed hash".to_owned());
    }
    if column.is_all {
        sentences.push("All values, where there are at least two".to_owned());
    }
    if column.kind != kind {
        sentences.push(format!(
            "{} since: the column of type {} has it",
            if property.is_hashed {
                "Its values are hashed"
            } else {
                "The tenant changed its type"
            },
            kind.as_str()
        ));
    }
    let text = sentences.join(". ");
    format!("{text}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(id: &str, filter_type: &str, merge_strategy: &str) -> Property {
        Property {
            id: id.to_owned(),
            filter_type: Some(filter_type.to_owned()),
            merge_strategy: Some(merge_strategy.to_owned()),
            ..Property::default()
        }
    }

    fn names(columns: &[CatalogueColumn]) -> Vec<(&str, &str)> {
        let columns = columns.iter().map(|one| &one.column);
        columns
            .map(|column| (column.name.as_str(), column.kind.as_str()))
            .collect()
    }

    fn planned(stored: &[CatalogueColumn], properties: &[Property]) -> Plan {
        plan(stored, properties, &HashSet::from(["user".to_owned()]))
    }

    #[test]
    fn a_property_has_a_column_of_its_type_and_an_array_where_it_keeps_several_values() {
        let properties = [
            property("user", "SELECT", "LATEST"),
            property("email", "EMAIL", "BOTH"),
            property("Email", "EMAIL", "LATEST"),
            property("visits", "RANGE", "SUM"),
            property("spent", "CURRENCY", "SUM"),
            property("born", "DATETIME", "LATEST"),
            property("id", "None", "LATEST"),
        ];
        let first = planned(&[], &properties);
        assert_eq!(
            names(&first.added),
            [
                ("p_user", "text"),
                ("email", "text"),
                ("email_all", "text"),
                ("email_2", "text"),
                ("visits", "bigint"),
                ("spent", "numeric"),
                ("born", "timestamptz"),
                ("id_2", "text"),
            ]
        );
        assert!(planned(&first.added, &properties).is_empty());
    }

    #[test]
    fn a_column_stays_when_its_property_goes_or_has_another_type() {
        let before = planned(
            &[],
            &[
                property("a", "SELECT", "LATEST"),
                property("b", "RANGE", "LATEST"),
            ],
        )
        .added;
        let gone = planned(&before, &[property("b", "RANGE", "LATEST")]);
        assert!(gone.added.is_empty());
        assert_eq!(names(&gone.changed), [("a", "text")]);
        assert!(!gone.changed[0].is_listed);
        let retyped = planned(
            &before,
            &[property("a", "DECIMAL", "BOTH"), property("b", "RANGE", "LATEST")],
        );
        assert_eq!(
            names(&retyped.added),
            [("a_numeric", "numeric"), ("a_numeric_all", "numeric")]
        );
        assert_eq!(names(&retyped.changed), [("a", "text")]);
        assert!(
            retyped.changed[0].is_listed,
            "{:?}",
            retyped.changed[0].description
        );
    }

    #[test]
    fn a_table_has_three_hundred_columns_of_properties() {
        let properties: Vec<Property> = (0..301)
            .map(|number| property(&format!("p{number}"), "SELECT", "LATEST"))
            .collect();
        let all = planned(&[], &properties).added;
        assert_eq!((all[299].table_number, all[299].place), (1, 299));
        assert_eq!((all[300].table_number, all[300].place), (2, 300));
        let more = planned(&all, &[properties, vec![property("x", "RANGE", "BOTH")]].concat()).added;
        assert_eq!(
            (more[0].table_number, more[0].place, more[1].place),
            (2, 301, 302)
        );
    }
}
