//! Leaves erased persons out of a load. This happens in the loading transaction, after its lock, so that all committed
//! erasures are known and none can come in between. It costs nothing while nobody was erased.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use crate::model::batch::{Batch, Reject};
use crate::model::table::{Merge, Table};
use crate::model::verdict::Verdict;
use crate::postgres::bigint::from_length;
use crate::postgres::erasures::hash::{Hasher, IdHash};
use crate::postgres::erasures::ids_in_text;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leaving;
use crate::postgres::merge::{STAGED_OBJECTS, Statements, UNSTAGE_OBJECTS};

const DOING: &str = "leaving out erased persons";
/// The replacement of an erased id in a reject's text.
const WITHHELD: &str = "(erased)";

/// A batch without erased persons.
#[derive(Debug)]
pub(crate) struct FilteredBatch {
    /// What may be loaded. What the walk records as seen keeps the hashes of erased ids, so that they count.
    pub(crate) batch: Batch,
    /// Ids that were merged into an erased person. They are removed without an alias or a tombstone.
    pub(crate) departing: Vec<String>,
    /// Elements that were left out and are counted nowhere else. Events that lost an object do not count, since they are stored.
    pub(crate) suppressed: u64,
}

/// The erased ids among those of a batch.
#[derive(Debug, Default)]
pub(crate) struct Erased(HashSet<String>);

impl Erased {
    /// Finds the erased ids among the given ones.
    pub(crate) async fn among(
        connection: &mut PgConnection,
        hasher: &Hasher,
        ids: BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut asked: HashMap<IdHash, String> = ids.into_iter().map(|id| (hasher.hash(&id), id)).collect();
        let wanted: Vec<&[u8]> = asked.keys().map(<[u8; 32]>::as_slice).collect();
        let erased = sqlx::query_scalar!(
            "select hash from sync.erasures where hash = any ($1)",
            &wanted as &[&[u8]]
        )
        .fetch_all(connection)
        .await
        .doing(DOING)?;
        let found = erased.iter().filter_map(|hash| {
            let hash: IdHash = hash.as_slice().try_into().ok()?;
            asked.remove(&hash)
        });
        Ok(Self(found.collect()))
    }

    /// Whether an id was erased.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ids(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// Removes erased persons from a batch and from its staged rows; none if there is nothing to remove.
pub(crate) async fn leave_out_erased(
    connection: &mut PgConnection,
    hasher: &Hasher,
    table: &Table,
    sql: &Statements,
    batch: &Batch,
) -> Result<Option<FilteredBatch>, Error> {
    let mut ids = named_by(&batch.rejects);
    match table.merge {
        Merge::Profile => ids.extend(profiles_in(batch)),
        Merge::Occurrence if !batch.rows.is_empty() => ids.extend(staged_objects(connection).await?),
        // Rows of profiles that are not stored are left out anyway.
        Merge::Occurrence
        | Merge::Upsert
        | Merge::OfProfile
        | Merge::Child
        | Merge::ChildHistory
        | Merge::ListedHistory => {}
    }
    let erased = Erased::among(connection, hasher, ids).await?;
    if erased.is_empty() {
        return Ok(None);
    }
    Ok(Some(match table.merge {
        Merge::Profile => {
            if !(batch.rows.is_empty() && batch.children.is_empty()) {
                leaving::delete(connection, &sql.unstage, &erased.ids(), DOING).await?;
            }
            without_profiles(batch, &erased)
        }
        Merge::Occurrence if !batch.rows.is_empty() => {
            unstage_objects(connection, &erased).await?;
            with_rejects_redacted(batch, &erased)
        }
        Merge::Occurrence
        | Merge::Upsert
        | Merge::OfProfile
        | Merge::Child
        | Merge::ChildHistory
        | Merge::ListedHistory => with_rejects_redacted(batch, &erased),
    }))
}

/// Every profile id that a batch would write.
fn profiles_in(batch: &Batch) -> impl Iterator<Item = String> {
    let merged = batch
        .aliases
        .iter()
        .flat_map(|(loser, survivor)| [loser, survivor]);
    let rehashed = batch.rehash.iter().map(|(id, _)| id);
    let parents = batch.children.parents().iter().map(|parent| &parent.id);
    let others = batch.seen.iter().chain(batch.recorded.witnesses());
    let others = others.chain(merged).chain(rehashed).chain(parents);
    others
        .map(String::as_str)
        .chain(batch.rows.ids())
        .map(str::to_owned)
}

fn named_by(rejects: &[Reject]) -> BTreeSet<String> {
    let texts = rejects.iter().flat_map(|reject| [&reject.raw, &reject.detail]);
    let named = texts
        .flat_map(|text| ids_in_text::candidates(text))
        .map(|candidate| candidate.id);
    let own = rejects.iter().filter_map(|reject| reject.element_id.clone());
    own.chain(named).collect()
}

async fn staged_objects(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(STAGED_OBJECTS)
        .fetch_all(connection)
        .await
        .doing(DOING)
}

async fn unstage_objects(connection: &mut PgConnection, erased: &Erased) -> Result<(), Error> {
    sqlx::query(UNSTAGE_OBJECTS)
        .bind(erased.ids())
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}

fn without_profiles(batch: &Batch, erased: &Erased) -> FilteredBatch {
    let mut filtered = batch.clone();
    let staged = |key: &[u8]| std::str::from_utf8(key).is_ok_and(|id| erased.has(id));
    filtered.rows.retain(|key| !staged(key));
    let alone = filtered.children.retain(|id| !erased.has(id));
    filtered.rehash.retain(|(id, _)| !erased.has(id));
    filtered.recorded.retain_witnesses(|id| !erased.has(id));
    filtered.seen.retain(|id| !erased.has(id));
    let (kept, theirs): (Vec<Reject>, Vec<Reject>) = filtered
        .rejects
        .into_iter()
        .partition(|reject| !is_theirs(reject, erased));
    filtered.rejects = kept.into_iter().map(|reject| redacted(reject, erased)).collect();
    // Each element counts once: a loser of a merge has no row anyway, and a copy within the batch is counted as a repeat.
    let left_out = batch.rows.len() - filtered.rows.len() + alone + theirs.len();
    let departing = batch
        .aliases
        .iter()
        .filter(|(loser, survivor)| erased.has(survivor) && !erased.has(loser))
        .map(|(loser, _)| loser.clone())
        .collect();
    filtered
        .aliases
        .retain(|(loser, survivor)| !erased.has(loser) && !erased.has(survivor));
    warn_of_successors(batch, erased);
    FilteredBatch {
        batch: filtered,
        departing,
        suppressed: from_length(left_out),
    }
}

/// Whether a reject belongs to an erased person. An element without a readable id that names an erased id is taken for
/// theirs.
fn is_theirs(reject: &Reject, erased: &Erased) -> bool {
    match &reject.element_id {
        Some(id) => erased.has(id),
        None => names_erased(&reject.raw, erased) || names_erased(&reject.detail, erased),
    }
}

fn names_erased(text: &str, erased: &Erased) -> bool {
    ids_in_text::candidates(text).any(|candidate| erased.has(&candidate.id))
}

/// Warns, without ids, that the tenant has merged an erased person into a profile that is loaded.
fn warn_of_successors(batch: &Batch, erased: &Erased) {
    let successors = batch
        .aliases
        .iter()
        .filter(|(loser, survivor)| erased.has(loser) && !erased.has(survivor))
        .count();
    if successors > 0 {
        tracing::warn!(
            profiles = successors,
            "{successors} loaded profile(s) replace an erased one at the tenant: another id, which `erase` was not given"
        );
    }
}

fn with_rejects_redacted(batch: &Batch, erased: &Erased) -> FilteredBatch {
    let mut filtered = batch.clone();
    filtered.rejects = filtered
        .rejects
        .into_iter()
        .map(|reject| redacted(reject, erased))
        .collect();
    FilteredBatch {
        batch: filtered,
        departing: Vec::new(),
        suppressed: 0,
    }
}

/// A reject of another person's element without the erased ids that it names.
fn redacted(reject: Reject, erased: &Erased) -> Reject {
    Reject {
        detail: without_erased(&reject.detail, erased),
        raw: without_erased(&reject.raw, erased),
        ..reject
    }
}

fn without_erased(text: &str, erased: &Erased) -> String {
    let forms: BTreeSet<&str> = ids_in_text::candidates(text)
        .filter(|candidate| erased.has(&candidate.id))
        .map(|candidate| candidate.form)
        .collect();
    forms
        .into_iter()
        .fold(text.to_owned(), |text, form| text.replace(form, WITHHELD))
}

/// Every id that a sweep would write.
pub(crate) fn judged(verdicts: &[(String, Verdict)]) -> BTreeSet<String> {
    let survivors = verdicts.iter().filter_map(|(_, verdict)| match verdict {
        Verdict::Merged { survivor } => Some(survivor.clone()),
        _ => None,
    });
    verdicts
        .iter()
        .map(|(id, _)| id.clone())
        .chain(survivors)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page::RejectReason;
    use crate::model::seen::{IdHasher, SeenIds};

    fn erased(ids: &[&str]) -> Erased {
        Erased(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    fn reject(id: Option<&str>, raw: &str) -> Reject {
        Reject {
            element_id: id.map(str::to_owned),
            reason: RejectReason::WrongShape,
            detail: "a field".to_owned(),
            raw: raw.to_owned(),
            raw_bytes: 9,
            sha256: [0; 32],
        }
    }

    #[test]
    fn an_erased_person_counts_and_leaves_nothing() {
        let pair = |loser: &str, survivor: &str| (loser.to_owned(), survivor.to_owned());
        let hasher = IdHasher::new(uuid::Uuid::nil(), Vec::new());
        let mut batch = Batch {
            seen: ["gone", "here", "gone"].map(str::to_owned).to_vec(),
            recorded: SeenIds::of(&hasher, ["gone", "here", "gone"].into_iter()),
            rehash: vec![("gone".to_owned(), [1; 16]), ("here".to_owned(), [1; 16])],
            aliases: vec![pair("gone", "here"), pair("late", "gone"), pair("x", "here")],
            rejects: vec![
                reject(Some("gone"), "{}"),
                reject(None, r#"{"id":"gone""#),
                reject(Some("other"), r#"{"replaces":["gone"]}"#),
                reject(None, "{}"),
            ],
            ..Batch::default()
        };
        batch.rows.row(b"gone", None, 1).text("gone");
        batch.rows.row(b"here", None, 1).text("here");
        let filtered = without_profiles(&batch, &erased(&["gone"]));
        assert_eq!(filtered.batch.rows.keys().collect::<Vec<_>>(), [b"here"]);
        assert_eq!(filtered.batch.rehash.len(), 1);
        assert_eq!(filtered.batch.aliases, [pair("x", "here")]);
        assert_eq!(filtered.departing, ["late"]);
        assert_eq!(filtered.suppressed, 3);
        let raws: Vec<&str> = filtered
            .batch
            .rejects
            .iter()
            .map(|one| one.raw.as_str())
            .collect();
        assert_eq!(raws, [r#"{"replaces":["(erased)"]}"#, "{}"]);
        assert_eq!(filtered.batch.seen, ["here"]);
        assert_eq!(filtered.batch.recorded.len(), 3);
        assert_eq!(filtered.batch.recorded.witnesses().collect::<Vec<_>>(), ["here"]);
        assert!(!format!("{:?}", filtered.batch).contains("\"gone\""));
    }

    #[test]
    fn a_broken_event_is_reported_without_the_person() {
        let batch = Batch {
            rejects: vec![reject(None, r#"{"objects":[{"id":"gone"}]"#)],
            ..Batch::default()
        };
        let filtered = with_rejects_redacted(&batch, &erased(&["gone"]));
        assert_eq!(filtered.batch.rejects[0].raw, r#"{"objects":[{"id":"(erased)"}]"#);
    }
}
