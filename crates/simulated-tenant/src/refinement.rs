//! The `refinement` parameter: the document's `RefinementBean` as JSON, checked strictly, since a lenient tenant
//! would answer a wrong filter with all profiles.

use serde::Deserialize;

use crate::answer::Refusal;
use crate::dates::{DAY, HOUR, parse};

/// A checked refinement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    /// The property has no value.
    Empty(String),
    Contains {
        property: String,
        values: Vec<String>,
        all: bool,
    },
    /// Includes both ends.
    Between {
        property: String,
        from: Option<i64>,
        to: Option<i64>,
    },
    Objectives {
        state: Objective,
        values: Vec<String>,
        all: bool,
    },
    /// This tenant has no groups, so no property of a group has a value.
    Nobody,
}

/// A profile's answer to an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Objective {
    Consented,
    Refused,
    Unknown,
    RefusedOrUnknown,
    ConsentedOrUnneeded,
}

/// A `RefinementBean` of the document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UncheckedRefinement {
    operator: String,
    property: Option<String>,
    group_property: Option<String>,
    objective: Option<Objective>,
    filters: Option<Vec<UncheckedRefinement>>,
    values: Option<Vec<String>>,
    from_value: Option<i32>,
    to_value: Option<i32>,
    from_date: Option<String>,
    to_date: Option<String>,
    days_count: Option<i32>,
    hours_count: Option<i32>,
}

/// Reads a refinement; "the last days" are counted back from `now`.
pub(crate) fn read(text: &str, now: i64) -> Result<Filter, Refusal> {
    let refinement: UncheckedRefinement =
        serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    refinement.filter(now)
}

fn invalid(reason: &str) -> Refusal {
    Refusal::bad_request(format!("The refinement is invalid: {reason}"))
}

impl UncheckedRefinement {
    fn filter(self, now: i64) -> Result<Filter, Refusal> {
        if matches!(self.operator.as_str(), "AND" | "OR") {
            return self.composite(now);
        }
        if self.filters.is_some() {
            return Err(invalid("only AND and OR have filters"));
        }
        if let Some(positive) = self.operator.strip_prefix("NOT_").map(str::to_owned) {
            let filter = Self {
                operator: positive,
                ..self
            }
            .filter(now)?;
            return Ok(Filter::Not(Box::new(filter)));
        }
        match (&self.property, &self.group_property, self.objective) {
            (Some(property), None, None) if !property.is_empty() => {
                let property = property.clone();
                self.of_property(property, now)
            }
            (None, Some(_), None) => self.of_property(String::new(), now).map(|_| Filter::Nobody),
            (None, None, Some(state)) => self.of_objective(state),
            _ => Err(invalid("it names one property, group property or objective")),
        }
    }

    fn composite(self, now: i64) -> Result<Filter, Refusal> {
        let filters = self.filters.filter(|filters| !filters.is_empty());
        let filters = filters.ok_or_else(|| invalid("AND and OR need filters"))?;
        let filters = filters
            .into_iter()
            .map(|refinement| refinement.filter(now))
            .collect::<Result<_, _>>()?;
        Ok(if self.operator == "AND" {
            Filter::All(filters)
        } else {
            Filter::Any(filters)
        })
    }

    fn of_objective(self, state: Objective) -> Result<Filter, Refusal> {
        let all = match self.operator.as_str() {
            "CONTAINS_ANY" => false,
            "CONTAINS_ALL" => true,
            _ => return Err(invalid("objectives go with CONTAINS_ANY and CONTAINS_ALL")),
        };
        let values = self.values.ok_or_else(|| invalid("`values` is missing"))?;
        Ok(Filter::Objectives { state, values, all })
    }

    fn of_property(self, property: String, now: i64) -> Result<Filter, Refusal> {
        let span = |count: Option<i32>, name: &str, unit: i64| {
            let count = count.filter(|count| *count >= 0);
            count
                .map(|count| i64::from(count) * unit)
                .ok_or_else(|| invalid(&format!("`{name}` is missing")))
        };
        let (from, to) = match self.operator.as_str() {
            "IS_EMPTY" => return Ok(Filter::Empty(property)),
            "CONTAINS_ANY" | "CONTAINS_ALL" => {
                let values = self.values.ok_or_else(|| invalid("`values` is missing"))?;
                return Ok(Filter::Contains {
                    property,
                    values,
                    all: self.operator == "CONTAINS_ALL",
                });
            }
            "IN_RANGE" => self.range()?,
            "IN_LAST_DAYS" => (Some(now - span(self.days_count, "daysCount", DAY)?), Some(now)),
            "IN_NEXT_DAYS" => (Some(now), Some(now + span(self.days_count, "daysCount", DAY)?)),
            "IN_LAST_HOURS" => (Some(now - span(self.hours_count, "hoursCount", HOUR)?), Some(now)),
            "IN_NEXT_HOURS" => (Some(now), Some(now + span(self.hours_count, "hoursCount", HOUR)?)),
            other => return Err(invalid(&format!("unknown operator `{other}`"))),
        };
        Ok(Filter::Between { property, from, to })
    }

    fn range(&self) -> Result<(Option<i64>, Option<i64>), Refusal> {
        let date = |text: &Option<String>| match text {
            Some(text) => parse(text)
                .map(Some)
                .ok_or_else(|| invalid("a date is not ISO 8601")),
            None => Ok(None),
        };
        let dates = (date(&self.from_date)?, date(&self.to_date)?);
        let numbers = (self.from_value.map(i64::from), self.to_value.map(i64::from));
        match (dates, numbers) {
            ((None, None), (None, None)) => Err(invalid("IN_RANGE needs an end")),
            (dates, (None, None)) => Ok(dates),
            ((None, None), numbers) => Ok(numbers),
            _ => Err(invalid("IN_RANGE is of dates or of numbers")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_examples_are_understood() {
        let examples = [
            r#"{"property": "email", "operator": "IS_EMPTY"}"#,
            r#"{"filters":[{"property":"email","operator":"IS_EMPTY"},{"property":"variant","operator":"CONTAINS_ANY","values":["VariantA","VariantB"]}],"operator":"AND"}"#,
            r#"{"property":"visits","operator":"IN_RANGE","fromValue":1,"toValue":10}"#,
            r#"{"objective":"CONSENTED_OR_UNNEEDED","operator":"CONTAINS_ANY","values":["objective1","objective2"]}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE","fromDate":"2025-01-22T11:21:33.872Z","toDate":"2025-01-23T11:21:33.872+05:00"}"#,
            r#"{"property":"lastmodifieddate","operator":"NOT_IN_LAST_HOURS","hoursCount":3}"#,
        ];
        for example in examples {
            assert!(read(example, 0).is_ok(), "{example}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_refused() {
        let wrong = [
            "",
            "[]",
            r#"{"property":"email"}"#,
            r#"{"property":"email","operator":"LIKE"}"#,
            r#"{"operator":"IS_EMPTY"}"#,
            r#"{"operator":"AND","filters":[]}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE"}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE","fromDate":1679913371990}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE","fromValue":1679913371990}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE","fromDate":"2025-01-22"}"#,
            r#"{"property":"lastmodifieddate","operator":"IN_LAST_DAYS"}"#,
            r#"{"property":"email","operator":"CONTAINS_ANY","value":["x"]}"#,
            r#"{"property":"email","objective":"REFUSED","operator":"CONTAINS_ANY","values":["x"]}"#,
        ];
        for text in wrong {
            assert!(read(text, 0).is_err(), "{text}");
        }
    }
}
