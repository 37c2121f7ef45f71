//! The questions in order: later ones use what earlier ones found, and what may be late is asked for at the end.

use super::question::Question;
use super::{audit, contact, cursors, index, listings, profiles};

/// All questions.
pub(super) const QUESTIONS: &[Question] = &[
    contact::RELEASE,
    listings::SEGMENT,
    audit::ORDER,
    audit::FULLNESS,
    audit::FROM_DATE,
    cursors::SCAN,
    cursors::INDEX,
    cursors::REFUSED,
    listings::COUNT,
    listings::PAGE_SIZE,
    listings::TOTAL_RESULTS,
    profiles::PROPERTIES,
    profiles::REPLACES,
    profiles::MERGED,
    contact::SCOPES,
    contact::DENIED,
    contact::ABSENT,
    contact::OVERLOAD,
    index::LATENESS,
    audit::DELAY,
    audit::TOKENS,
    cursors::LIFE,
    contact::CLOCK,
    contact::COMPRESSION,
];
