//! Holds the recorded histories against the current tables, by rules in SQL that share no code with the program.

use super::database::Database;

/// A history: its view, the columns that tell its intervals apart, further columns, and what is so now.
struct History {
    view: &'static str,
    key: &'static str,
    value: &'static str,
    current: &'static str,
}

const HISTORIES: [History; 4] = [
    History {
        view: "segment_membership_history",
        key: "profile_id, segment_id",
        value: "null::text",
        current: "select p.id, s.id, null::text from blueconic.profiles as p cross join lateral unnest(p.segment_ids) as s (id)",
    },
    History {
        view: "profile_consent_history",
        key: "profile_id, objective_id, state",
        value: "null::text",
        current: "select p.id, o, 'consented', null::text from blueconic.profiles as p, unnest(p.consented_objectives) as o
                  union all
                  select p.id, o, 'refused', null::text from blueconic.profiles as p, unnest(p.refused_objectives) as o",
    },
    History {
        view: "lifecycle_stage_history",
        key: "profile_id, lifecycle_id, stage_id",
        value: "null::text",
        current: "select profile_id, lifecycle_id, stage_id, null::text from blueconic.profile_lifecycle_stages",
    },
    History {
        view: "profile_property_history",
        key: "profile_id, property_id",
        value: "to_jsonb(all_values)::text",
        current: "select p.id, r.property_id, (p.properties -> r.property_id)::text
                  from blueconic.recorded_histories as r
                  join blueconic.profiles as p on p.properties ? r.property_id
                  where r.recorded_since is not null",
    },
];

/// The open intervals are what the current tables hold, no two intervals of one thing overlap, and none begins before its history was
/// recorded. A history that is not recorded is empty. Nobody has arrived who is not there.
pub(crate) async fn assert_history(database: &Database) {
    for History {
        view,
        key,
        value,
        current,
    } in HISTORIES
    {
        let recorded =
            format!("blueconic.recorded_histories where history = '{view}' and recorded_since is not null");
        if database.count(&recorded).await == 0 {
            let rows = database.count(&format!("blueconic.{view}")).await;
            assert_eq!(rows, 0, "{view} is not recorded");
            continue;
        }
        let open = format!("select {key}, {value} from blueconic.{view} where is_current");
        let differing = format!(
            "select to_jsonb(d)::text from (
               (select 'only open', * from ({open}) as o except all select 'only open', * from ({current}) as c)
               union all
               (select 'only current', * from ({current}) as c except all select 'only current', * from ({open}) as o)
             ) as d limit 4"
        );
        let differing = database.texts(&differing).await;
        assert!(
            differing.is_empty(),
            "{view} and the current tables: {differing:#?}"
        );
        let wrong = format!(
            "select to_jsonb(i)::text from (
               select h.*, lag(coalesce(valid_to, 'infinity')) over (partition by {key} order by valid_from) as former,
                 (select min(r.recorded_since) from blueconic.recorded_histories as r where r.history = '{view}') as since
               from blueconic.{view} as h
             ) as i
             where i.former > i.valid_from or i.valid_from >= i.valid_to or i.valid_from < i.since
               or i.is_current <> (i.valid_to is null)
             limit 4"
        );
        let wrong = database.texts(&wrong).await;
        assert!(wrong.is_empty(), "intervals of {view}: {wrong:#?}");
    }
    let gone = "sync.profile_arrivals as a where not exists (select from blueconic.profiles as p where p.id = a.profile_id)
                or not exists (select from blueconic.recorded_histories where recorded_since is not null)";
    assert_eq!(
        database.count(gone).await,
        0,
        "arrivals of profiles that are not there, or of no history"
    );
}
