//! Personal data under control: the rules of the settings, and what they make of each property of the tenant's catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What becomes of the values of a property, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// They are stored as they came.
    Keep,
    /// Each value is replaced by its keyed hash.
    Hash,
    /// They are not stored, and not requested where the tenant can leave them out.
    Drop,
}

impl Action {
    const ALL: [Self; 3] = [Self::Keep, Self::Hash, Self::Drop];

    /// Its name in a rule.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }
}

/// What a rule selects properties by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// `dataSensitivity` at the tenant.
    Sensitivity,
    /// `permissionLevel` at the tenant.
    PermissionLevel,
    /// One of its tags.
    Tag,
    /// Its id.
    Property,
}

impl Criterion {
    const ALL: [Self; 4] = [
        Self::Sensitivity,
        Self::PermissionLevel,
        Self::Tag,
        Self::Property,
    ];

    /// Its name in a rule.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::PermissionLevel => "permission_level",
            Self::Tag => "tag",
            Self::Property => "property",
        }
    }

    /// The values that the vendor's document lists; none: any text.
    const fn values(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Sensitivity => Some(&["PII", "NON_PII"]),
            Self::PermissionLevel => Some(&["DO_NOT_TRACK", "ANONYMOUS", "PERSONAL"]),
            Self::Tag | Self::Property => None,
        }
    }
}

/// The detail of a reject whose element and error are not shown.
pub const WITHHELD: &str = "withheld by `resources.profiles.personal_data`: the tenant still has the profile";

/// The sensitivity of a property for which the tenant names none, by the vendor's document.
const USUAL_SENSITIVITY: &str = "NON_PII";

/// One rule, written as `sensitivity:PII=hash`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rule {
    criterion: Criterion,
    value: String,
    action: Action,
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is no rule: CRITERION:VALUE=ACTION is expected, such as sensitivity:PII=hash; the criteria are \
                 sensitivity, permission_level, tag and property, the actions keep, hash and drop"
            )
        };
        let (selects, action) = text.rsplit_once('=').ok_or_else(form)?;
        let (criterion, value) = selects.split_once(':').ok_or_else(form)?;
        let action = Action::ALL.into_iter().find(|one| one.as_str() == action.trim());
        let criterion = Criterion::ALL
            .into_iter()
            .find(|one| one.as_str() == criterion.trim());
        let (Some(criterion), Some(action), value) = (criterion, action, value.trim()) else {
            return Err(form());
        };
        if value.is_empty() {
            return Err(form());
        }
        if let Some(values) = criterion.values()
            && !values.contains(&value)
        {
            return Err(format!(
                "`{text}` selects nothing: {} is one of {}",
                criterion.as_str(),
                values.join(", ")
            ));
        }
        Ok(Self {
            criterion,
            value: value.to_owned(),
            action,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (criterion, action) = (self.criterion.as_str(), self.action.as_str());
        write!(out, "{criterion}:{}={action}", self.value)
    }
}

impl Rule {
    /// What it does.
    pub fn action(&self) -> Action {
        self.action
    }

    fn selects(&self, property: &ListedProperty) -> bool {
        match self.criterion {
            Criterion::Sensitivity => {
                property.data_sensitivity.as_deref().unwrap_or(USUAL_SENSITIVITY) == self.value
            }
            Criterion::PermissionLevel => property.permission_level.as_deref() == Some(&self.value),
            Criterion::Tag => property.tags.contains(&self.value),
            Criterion::Property => property.id == self.value,
        }
    }
}

/// What the tenant's catalogue says of a property, as far as rules ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedProperty {
    /// Its id.
    pub id: String,
    /// `PII` or `NON_PII`; none counts as `NON_PII`.
    pub data_sensitivity: Option<String>,
    /// `DO_NOT_TRACK`, `ANONYMOUS` or `PERSONAL`.
    pub permission_level: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The rules of the settings. The first rule that selects a property decides; a property that none selects is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// Tells keys of hashes apart without revealing them; none: there is no key.
    pub key_check: Option<String>,
}

impl Policy {
    /// Whether it changes or leaves out anything.
    pub fn is_active(&self) -> bool {
        self.rules.iter().any(|rule| rule.action > Action::Keep)
    }

    /// Whether it hashes.
    pub fn hashes(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Action::Hash)
    }

    /// What becomes of each property. Nothing is known of a property that is not listed yet: it is dropped if a rule by sensitivity,
    /// permission level or tag may select it, and comes once it is listed.
    pub fn treatment(&self, listed: &[ListedProperty]) -> Treatment {
        let of_listed = |property: &ListedProperty| {
            let mut rules = self.rules.iter();
            let first = rules.find(|rule| rule.selects(property));
            first.map_or(Action::Keep, Rule::action)
        };
        let mut actions: BTreeMap<String, Action> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        let mut drops_others = false;
        for rule in &self.rules {
            match rule.criterion {
                Criterion::Property if listed.iter().any(|property| property.id == rule.value) => {}
                // What an earlier rule may do to it stays undecided, so the strictest of both holds.
                Criterion::Property if drops_others || actions.contains_key(&rule.value) => {}
                Criterion::Property if rule.action == Action::Keep => {
                    kept.insert(rule.value.clone());
                }
                Criterion::Property if !kept.contains(&rule.value) => {
                    actions.insert(rule.value.clone(), rule.action);
                }
                Criterion::Property => {}
                _ => drops_others |= rule.action > Action::Keep,
            }
        }
        for property in listed {
            match of_listed(property) {
                Action::Keep => {
                    kept.insert(property.id.clone());
                }
                action => {
                    actions.insert(property.id.clone(), action);
                }
            }
        }
        Treatment {
            actions,
            kept: drops_others.then_some(kept),
        }
    }

    /// The ids that rules name and the tenant does not list: probably misspelt.
    pub fn unlisted(&self, listed: &[ListedProperty]) -> Vec<&str> {
        let named = self
            .rules
            .iter()
            .filter(|rule| rule.criterion == Criterion::Property);
        let unlisted = named.filter(|rule| listed.iter().all(|property| property.id != rule.value));
        unlisted.map(|rule| rule.value.as_str()).collect()
    }
}

/// What becomes of the values of each property.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// The properties that are hashed or dropped.
    pub actions: BTreeMap<String, Action>,
    /// The properties that stay as they are, while all that are named nowhere are dropped; none: those stay, too.
    pub kept: Option<BTreeSet<String>>,
}

impl Treatment {
    /// What becomes of a property.
    pub fn action(&self, property: &str) -> Action {
        match (self.actions.get(property), &self.kept) {
            (Some(action), _) => *action,
            (None, Some(kept)) if !kept.contains(property) => Action::Drop,
            (None, _) => Action::Keep,
        }
    }

    /// Whether all values stay as they came.
    pub fn is_none(&self) -> bool {
        self.actions.is_empty() && self.kept.is_none()
    }

    /// Whether it does the same, whatever properties it names as kept.
    pub fn does_the_same(&self, other: &Self) -> bool {
        self.actions == other.actions && self.kept.is_some() == other.kept.is_some()
    }

    /// What has to be done to values that were stored under `former`; none: nothing.
    pub fn to_scrub(&self, former: &Self) -> Option<Self> {
        let stricter = |(id, action): &(&String, &Action)| **action > former.action(id);
        let actions: BTreeMap<String, Action> = self
            .actions
            .iter()
            .filter(stricter)
            .map(|(id, action)| (id.clone(), *action))
            .collect();
        let kept = self.kept.as_ref().map(|kept| {
            let hashed = self
                .actions
                .iter()
                .filter(|(id, action)| **action == Action::Hash && !actions.contains_key(*id));
            let hashed = hashed.map(|(id, _)| id.clone());
            kept.iter().cloned().chain(hashed).collect::<BTreeSet<_>>()
        });
        let may_be_stored = |former_kept: &BTreeSet<String>| {
            let hashed = former.actions.iter();
            let hashed = hashed
                .filter(|(_, action)| **action == Action::Hash)
                .map(|(id, _)| id);
            let mut stored = former_kept.iter().chain(hashed);
            stored.any(|id| self.action(id) == Action::Drop && !actions.contains_key(id))
        };
        let drops_others = kept.is_some() && former.kept.as_ref().is_none_or(may_be_stored);
        (drops_others || !actions.is_empty()).then_some(Self {
            actions,
            kept: kept.filter(|_| drops_others),
        })
    }
}

/// The treatment that a run applies.
#[derive(Debug, Clone, Default)]
pub struct Treated {
    /// Grows with each change. A load by another version than the stored one is repeated.
    pub version: i64,
    /// What becomes of each property.
    pub treatment: Arc<Treatment>,
    /// The properties that the tenant lists.
    pub listed: Arc<[String]>,
}

/// What a run finds of the policy.
#[derive(Debug, Default)]
pub struct BroughtPolicy {
    /// The treatment.
    pub treated: Treated,
    /// What has to be done to the stored profiles before anything is loaded; none: nothing.
    pub scrub: Option<Treatment>,
    /// Whether the planner's statistics may hold samples from before a scrub.
    pub statistics_are_due: bool,
    /// What a person should know, as a sentence.
    pub notice: Option<String>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::try_from(text.to_owned()).unwrap()
    }

    fn policy(rules: &[&str]) -> Policy {
        Policy {
            rules: rules.iter().map(|text| rule(text)).collect(),
            key_check: None,
        }
    }

    fn listed(id: &str, sensitivity: &str, tags: &[&str]) -> ListedProperty {
        ListedProperty {
            id: id.to_owned(),
            data_sensitivity: Some(sensitivity.to_owned()),
            permission_level: Some("PERSONAL".to_owned()),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    #[test]
    fn a_rule_says_what_it_selects_and_what_it_does() {
        assert_eq!(
            rule(" property : a:b=c = drop ").to_string(),
            "property:a:b=c=drop"
        );
        for (wrong, why) in [
            ("email=drop", "CRITERION:VALUE=ACTION"),
            ("property:email", "CRITERION:VALUE=ACTION"),
            ("property:=drop", "CRITERION:VALUE=ACTION"),
            ("property:email=hide", "keep, hash and drop"),
            (
                "properties:email=drop",
                "sensitivity, permission_level, tag and property",
            ),
            ("sensitivity:pii=drop", "one of PII, NON_PII"),
            ("permission_level:PII=drop", "one of DO_NOT_TRACK"),
        ] {
            let said = Rule::try_from(wrong.to_owned()).unwrap_err();
            assert!(said.contains(why) && said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn the_first_rule_decides_and_what_is_not_listed_may_be_anything() {
        let catalogue = [
            listed("email", "PII", &[]),
            listed("city", "PII", &["coarse"]),
            listed("visits", "NON_PII", &[]),
        ];
        let by_class = policy(&[
            "property:known=keep",
            "tag:coarse=keep",
            "sensitivity:PII=hash",
            "property:later=keep",
        ]);
        let treatment = by_class.treatment(&catalogue);
        let of = |id: &str| treatment.action(id);
        assert_eq!(
            [
                of("email"),
                of("city"),
                of("visits"),
                of("new"),
                of("known"),
                of("later")
            ],
            [
                Action::Hash,
                Action::Keep,
                Action::Keep,
                Action::Drop,
                Action::Keep,
                Action::Drop
            ]
        );
        let by_id = policy(&["property:email=drop"]).treatment(&[]);
        assert_eq!(
            (by_id.action("email"), by_id.action("new")),
            (Action::Drop, Action::Keep)
        );
        assert!(policy(&["sensitivity:PII=keep"]).treatment(&catalogue).is_none());
        assert_eq!(policy(&["property:emial=drop"]).unlisted(&catalogue), ["emial"]);
    }

    #[test]
    fn only_what_becomes_stricter_is_scrubbed() {
        let catalogue = [listed("email", "PII", &[]), listed("visits", "NON_PII", &[])];
        let kept = Treatment::default();
        let hashed = policy(&["sensitivity:PII=hash"]).treatment(&catalogue);
        let dropped = policy(&["sensitivity:PII=drop"]).treatment(&catalogue);
        let first = hashed.to_scrub(&kept).unwrap();
        assert_eq!(
            (first.action("email"), first.action("visits"), first.action("x")),
            (Action::Hash, Action::Keep, Action::Drop)
        );
        assert_eq!(hashed.to_scrub(&hashed), None);
        assert_eq!(hashed.to_scrub(&dropped), None);
        let then = dropped.to_scrub(&hashed).unwrap();
        assert_eq!(
            (then.action("email"), then.action("x")),
            (Action::Drop, Action::Keep)
        );
        // A hashed property that is listed no longer leaves; one that stays hashed is not hashed twice.
        let gone = policy(&["sensitivity:PII=hash"]).treatment(&catalogue[1..]);
        assert_eq!(gone.to_scrub(&hashed).unwrap().action("email"), Action::Drop);
        let more = [catalogue[0].clone(), listed("phone", "PII", &[])];
        let more = policy(&["sensitivity:PII=hash"])
            .treatment(&more)
            .to_scrub(&hashed)
            .unwrap();
        assert_eq!(
            (more.action("email"), more.action("visits")),
            (Action::Keep, Action::Drop)
        );
    }
}
