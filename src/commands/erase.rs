//! `erase`: removes persons everywhere and keeps them from coming back, or lets them come back. What it prints and logs
//! holds no id and nothing that was stored of them.

use serde_json::{Value, json};

use crate::app::Database;
use crate::cli::Erase;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::postgres::erasures::erase::{self, ErasureExtent, LONGEST_ID, Receipt};
use crate::postgres::erasures::lift::{self, Lifted};
use crate::postgres::store::PostgresStore;

use super::confirm::confirmed;
use super::{backfill, output};

/// The copies that an erasure does not reach.
const REMAINS: [&str; 6] = [
    "the tenant: nothing was deleted at BlueConic, and nothing ever is by this program",
    "backups, replicas and WAL of the database, and dead rows until vacuum has been there",
    "logs: those of the PostgreSQL server, where it logs statements with their parameters, and the shell's history",
    "copies that others made of the tables, and values of other profiles that mention the id",
    "blueconic.audit_events.event_key, a SHA-256 over the event as it came, the removed object's id included",
    "the position of an open walk (sync.cursors), an opaque text of the tenant in which it may encode the id of the \
     profile that it stands behind, until the walk's next page",
];

/// The consequences of a lifted erasure.
const AFTER_LIFT: [&str; 2] = [
    "the next full walk (`backfill profiles --full`, or `resources.profiles.full_schedule`) brings back what the tenant \
     still has; an increment brings it only if it changes there, and a walk that is open by now may have passed it",
    "objects that left audit events do not come back: stored events never change",
];

/// Runs the command.
pub async fn run(arguments: &Erase, settings: &Settings) -> Outcome<Exit> {
    let ids = valid(&arguments.ids)?;
    if !arguments.yes && !backfill::is_interactive() {
        return Err(
            Fault::new(Kind::Settings, "`erase` asks before it changes anything")
                .because("there is no terminal to ask on")
                .hint("say `--yes`"),
        );
    }
    let database = Database::open(settings).await?;
    let outcome = change(&database, arguments, &ids, settings).await;
    database.close().await?;
    outcome
}

/// Validates ids. No message contains one.
fn valid(ids: &[String]) -> Outcome<Vec<String>> {
    let refuse = |place: usize, why: &str| {
        Err(Fault::new(
            Kind::Settings,
            format!("PROFILE_ID number {} is no id of a profile", place + 1),
        )
        .because(why)
        .hint("give the id as `blueconic.profiles.id` has it"))
    };
    for (place, id) in ids.iter().enumerate() {
        if id.is_empty() {
            return refuse(place, "it is empty");
        }
        if id.len() > LONGEST_ID {
            return refuse(place, &format!("it is longer than {LONGEST_ID} bytes"));
        }
        if id.chars().any(char::is_control) {
            return refuse(place, "it has a control character in it");
        }
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

async fn change(
    database: &Database,
    arguments: &Erase,
    ids: &[String],
    settings: &Settings,
) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    if !arguments.yes && !asked(&store, arguments, ids).await? {
        output::note("nothing was changed");
        return Ok(Exit::Done);
    }
    let (summary, message) = if arguments.lift {
        let lifted = lift::lift(&store, ids).await?;
        (lifted_json(&lifted, ids.len()), lift_text(&lifted))
    } else {
        let receipt = erase::erase(&store, &settings.registry.person_tables(), ids).await?;
        (receipt_json(&receipt, ids.len()), receipt_text(&receipt))
    };
    store.disconnect().await;
    if arguments.json {
        output::json(&summary)?;
    } else {
        output::line(&message);
    }
    Ok(Exit::Done)
}

async fn asked(store: &PostgresStore, arguments: &Erase, ids: &[String]) -> Outcome<bool> {
    if arguments.lift {
        return confirmed(&format!("Let {} erased id(s) come back?", ids.len()));
    }
    let ErasureExtent { persons, ids } = erase::reach(store, ids).await?;
    confirmed(&format!(
        "Erase {persons} person(s) with {ids} id(s), those merged into one another included? It cannot be undone here."
    ))
}

fn moment(time: Time) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn receipt_json(receipt: &Receipt, given: usize) -> Value {
    let removed: serde_json::Map<String, Value> = receipt
        .removed
        .iter()
        .map(|(table, rows)| (table.clone(), json!(rows)))
        .collect();
    let hashes: Vec<Value> = receipt
        .hashes
        .iter()
        .map(|kept| json!({ "hash": kept.hash, "erased_before": kept.before }))
        .collect();
    json!({
        "action": "erase",
        "receipt_id": receipt.id,
        "at": moment(receipt.at),
        "ids_given": given,
        "persons": receipt.persons,
        "ids": receipt.hashes.len(),
        "hashes": hashes,
        "removed": removed,
        "statistics_refreshed": receipt.statistics,
        "remains": REMAINS,
    })
}

fn receipt_text(receipt: &Receipt) -> String {
    let mut lines = vec![
        format!("receipt  {}", receipt.id),
        format!("at       {}", moment(receipt.at)),
        format!(
            "erased   {} id(s) of {} person(s), those merged into one another included",
            receipt.hashes.len(),
            receipt.persons
        ),
    ];
    lines.extend(receipt.hashes.iter().map(|kept| {
        let before = if kept.before { "  (erased before)" } else { "" };
        format!("hash     {}{before}", kept.hash)
    }));
    lines.push(String::new());
    let mut rows = vec![vec!["table".to_owned(), "rows removed or cleared".to_owned()]];
    rows.extend(
        receipt
            .removed
            .iter()
            .map(|(table, rows)| vec![table.clone(), format::count(*rows)]),
    );
    lines.push(output::table(&rows));
    lines.push(
        "\nkept: the hash in sync.erasures, by which every later page leaves the person out".to_owned(),
    );
    lines.push(
        "gone by itself: staging, in tables of single sessions that are emptied with each batch".to_owned(),
    );
    if !receipt.statistics {
        lines.push(
            "the planner's statistics could not be refreshed: run `analyze` on the tables above".to_owned(),
        );
    }
    lines.push("what remains elsewhere:".to_owned());
    lines.extend(REMAINS.iter().map(|what| format!("- {what}")));
    lines.join("\n")
}

fn lifted_json(lifted: &Lifted, given: usize) -> Value {
    json!({
        "action": "lift",
        "at": moment(lifted.at),
        "ids_given": given,
        "ids": lifted.hashes.len(),
        "not_erased": lifted.unknown,
        "hashes": lifted.hashes,
        "notes": AFTER_LIFT,
    })
}

fn lift_text(lifted: &Lifted) -> String {
    let mut lines = vec![
        format!("at       {}", moment(lifted.at)),
        format!(
            "lifted   {} id(s), all of the persons that were named",
            lifted.hashes.len()
        ),
    ];
    if lifted.unknown > 0 {
        lines.push(format!(
            "unknown  {} of the given id(s) were not erased",
            lifted.unknown
        ));
    }
    lines.extend(lifted.hashes.iter().map(|hash| format!("hash     {hash}")));
    if !lifted.hashes.is_empty() {
        lines.extend(AFTER_LIFT.iter().map(|note| format!("- {note}")));
    }
    lines.join("\n")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn hostile_ids_are_refused_without_being_repeated() {
        for hostile in [
            String::new(),
            "x".repeat(1025),
            "a\0b".to_owned(),
            "a\nb".to_owned(),
        ] {
            let fault = valid(&["fine".to_owned(), hostile.clone()]).unwrap_err();
            assert_eq!(fault.kind, Kind::Settings);
            let message = format!("{fault} {:?}", fault.hint);
            assert!(
                message.contains("number 2") && (hostile.is_empty() || !message.contains(&hostile)),
                "{message}"
            );
        }
        let ids = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(valid(&ids).unwrap(), ["a", "b"]);
    }
}
