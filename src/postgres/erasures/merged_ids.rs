//! Finds all ids of a person: those that were merged into one another, according to aliases and tombstones. Pure except for
//! one query.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// The ids of the persons that the given ids stand for, grouped by person, each id once. Merges are followed in both
/// directions: the survivor of a given loser is the same person, and so are the survivor's other losers.
///
/// Each round asks for the ids next to those of the last one. A recursive query would do the same, but not on distributed tables.
pub(super) async fn persons(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<Vec<String>>, Error> {
    let mut links = Links::default();
    let mut next: BTreeSet<String> = ids.iter().cloned().collect();
    while !next.is_empty() {
        let asked: Vec<String> = next.iter().cloned().collect();
        // The merges that name one of them.
        let found = sqlx::query!(
            r#"select a.profile_id as "loser!", a.survivor_id as "survivor!" from blueconic.profile_aliases as a
               where a.profile_id = any ($1) or a.survivor_id = any ($1)
               union
               select t.profile_id, t.survivor_id from blueconic.profile_tombstones as t
               where t.survivor_id is not null and (t.profile_id = any ($1) or t.survivor_id = any ($1))"#,
            &asked
        )
        .fetch_all(&mut *connection)
        .await
        .doing("looking for the ids that were merged")?;
        let found = found.into_iter().map(|row| (row.loser, row.survivor)).collect();
        next = links.follow(asked, found);
    }
    Ok(links.persons(ids))
}

/// Which ids were merged with which.
#[derive(Debug, Default)]
struct Links {
    beside: BTreeMap<String, BTreeSet<String>>,
    asked: BTreeSet<String>,
}

impl Links {
    /// Adds what an answer says. Returns the ids that were not asked about yet.
    fn follow(&mut self, asked: Vec<String>, found: Vec<(String, String)>) -> BTreeSet<String> {
        self.asked.extend(asked);
        let mut next = BTreeSet::new();
        for (one, other) in found {
            for (id, its) in [(&one, &other), (&other, &one)] {
                self.beside.entry(id.clone()).or_default().insert(its.clone());
                if !self.asked.contains(id) {
                    next.insert(id.clone());
                }
            }
        }
        next
    }

    /// The ids that the given ones lead to, by person.
    fn persons(&self, ids: &[String]) -> Vec<Vec<String>> {
        let mut met: BTreeSet<&str> = BTreeSet::new();
        let mut persons = Vec::new();
        for id in ids {
            let mut person = BTreeSet::new();
            let mut waiting = vec![id.as_str()];
            while let Some(id) = waiting.pop() {
                if met.insert(id) {
                    person.insert(id.to_owned());
                    waiting.extend(self.beside.get(id).into_iter().flatten().map(String::as_str));
                }
            }
            // An id that leads to an earlier one's is the same person.
            if !person.is_empty() {
                persons.push(person.into_iter().collect());
            }
        }
        persons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_chain_are_one_person_however_many_were_named() {
        let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
                .collect::<Vec<_>>()
        };
        let mut links = Links::default();
        let next = links.follow(texts(&["b", "a", "x"]), pairs(&[("a", "c"), ("b", "c")]));
        assert_eq!(next.into_iter().collect::<Vec<_>>(), ["c"]);
        // A circle ends.
        let next = links.follow(
            texts(&["c"]),
            pairs(&[("a", "c"), ("b", "c"), ("c", "a"), ("d", "c")]),
        );
        assert_eq!(next.into_iter().collect::<Vec<_>>(), ["d"]);
        assert!(links.follow(texts(&["d"]), pairs(&[("d", "c")])).is_empty());
        let persons = links.persons(&texts(&["b", "a", "x", "x"]));
        assert_eq!(persons, [texts(&["a", "b", "c", "d"]), texts(&["x"])]);
    }
}
