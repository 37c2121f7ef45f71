//! The values of audit events that the vendor's document has listed so far. Nothing depends on them: other values are stored as
//! they are, and counted as drift.

use crate::model::drift::KnownValues;

/// The fields whose values are known.
pub(super) const KNOWN: &[KnownValues] = &[
    KnownValues {
        field: "objectType",
        values: OBJECT_TYPES,
    },
    KnownValues {
        field: "operation",
        values: OPERATIONS,
    },
];

/// Sorted. Former values stay, since a tenant may be some releases behind.
const OBJECT_TYPES: &[&str] = &[
    "AI_CANVAS",
    "BLUECONIC_HOSTNAME",
    "BLUECONIC_SUPPORT_ACCESS_SETTING",
    "CAMPAIGN",
    "CHANNEL",
    "CLEANUP_RULE",
    "COMPOSITION_RULE",
    "CONNECTION",
    "CONTENTSTORE",
    "DASHBOARD",
    "DIALOGUE",
    "DOMAIN",
    "DOMAIN_GROUP",
    "FAVORITE",
    "GEN_AI_SETTING",
    "GROUP",
    "GROUP_PROPERTY",
    "GROUP_TYPE",
    "INACTIVITY_SETTING",
    "INACTIVITY_TIMEOUT_SETTING",
    "IP_RANGE",
    "LANGUAGE",
    "LIFECYCLE",
    "LISTENER",
    "MERGE_RULE",
    "MODEL",
    "NOTEBOOK",
    "OAUTH_APPLICATION",
    "OAUTH_TOKEN",
    "OBJECTIVE",
    "OUTCOME",
    "PLUGIN",
    "PRIORITY",
    "PRIVACY_SETTING",
    "PROFILE",
    "PROFILEPROPERTY",
    "PROFILE_PROPERTY",
    "ROLE",
    "SEGMENT",
    "SINGLE_SIGN_ON_SETTING",
    "STATISTICS",
    "SUPPORTED_LEGISLATION_ZONE",
    "TEMPLATE",
    "TIMELINE_EVENT_ROLLUP",
    "TIMELINE_EVENT_TYPE",
    "TRACKER",
    "USER",
    "VARIANT",
];

/// Sorted.
const OPERATIONS: &[&str] = &[
    "CREATE",
    "DELETE",
    "EDITOR_RUN",
    "LOGIN",
    "LOGIN_FAILED",
    "LOGOUT",
    "MANUAL_RUN",
    "PASSWORD_CHANGE",
    "PASSWORD_RESET_REQUESTED",
    "PROFILE_MERGE_TRIGGERED_BY_USER",
    "READ",
    "SCHEDULED_RUN",
    "UPDATE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_so_that_they_can_be_searched() {
        for known in KNOWN {
            assert!(known.values.is_sorted(), "{}", known.field);
            assert!(known.values.iter().all(|value| known.knows(value)));
            assert!(!known.knows("NOTHING"));
        }
    }
}
