//! Finds all ids of a person: those that were merged into one another, according to aliases and tombstones. Pure except for
//! one query.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// The ids of the persons that the given ids stand for, grouped by person, each id once. Merges are followed in both
/// directions: the survivor of a given loser is the same person, and so are the survivor's other losers.
pub(super) async fn persons(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<Vec<String>>, Error> {
    let rows = sqlx::query!(
        r#"with recursive merged (one, other) as (
             select a.profile_id, a.survivor_id from blueconic.profile_aliases as a
             union all
             select a.survivor_id, a.profile_id from blueconic.profile_aliases as a
             union all
             select t.profile_id, t.survivor_id from blueconic.profile_tombstones as t
             where t.survivor_id is not null
             union all
             select t.survivor_id, t.profile_id from blueconic.profile_tombstones as t
             where t.survivor_id is not null
           ), person (asked, id) as (
             select asked.place, asked.id collate "C"
             from unnest($1::text[]) with ordinality as asked (id, place)
             union
             select p.asked, m.other from person as p join merged as m on m.one = p.id
           )
           select asked as "asked!", id as "id!" from person order by asked, id"#,
        ids
    )
    .fetch_all(connection)
    .await
    .doing("looking for the ids that were merged")?;
    Ok(grouped(rows.into_iter().map(|row| (row.asked, row.id))))
}

/// Two given ids that lead to the same id are one person, since their chains are then the same.
fn grouped(found: impl Iterator<Item = (i64, String)>) -> Vec<Vec<String>> {
    let mut first_asked: BTreeMap<String, i64> = BTreeMap::new();
    for (asked, id) in found {
        first_asked.entry(id).or_insert(asked);
    }
    let mut persons: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (id, asked) in first_asked {
        persons.entry(asked).or_default().push(id);
    }
    persons.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_chain_are_one_person_however_many_were_named() {
        let found = [(1, "a"), (1, "b"), (2, "x"), (3, "a"), (3, "b")];
        let found = found.into_iter().map(|(asked, id)| (asked, id.to_owned()));
        assert_eq!(grouped(found), [vec!["a", "b"], vec!["x"]]);
    }
}
