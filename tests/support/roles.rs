//! Roles of a test's own: one that owns nothing yet, and one with every default that could break correctness.

use std::sync::atomic::{AtomicU32, Ordering};

use super::database::Database;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A role for one test that may log in.
pub(crate) async fn role(database: &Database, what: &str) -> String {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let role = format!("{what}_{}_{number}", std::process::id());
    let name = &database.name;
    database
        .run(&format!(
            "create role {role} login; grant create on database {name} to {role}"
        ))
        .await;
    role
}

/// Unusual defaults of a role, all at once. A superuser sets those that a role may not set for itself.
pub(crate) async fn make_odd(database: &Database, role: &str, isolation: &str) {
    let odd = [
        ("default_transaction_isolation", isolation),
        ("default_transaction_deferrable", "on"),
        ("default_transaction_read_only", "on"),
        ("search_path", "public, blueconic, pg_catalog"),
        ("statement_timeout", "700ms"),
        ("lock_timeout", "5ms"),
        ("idle_in_transaction_session_timeout", "100ms"),
        ("idle_session_timeout", "3s"),
        ("row_security", "off"),
        ("TimeZone", "Asia/Kathmandu"),
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "sql_standard"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
        ("synchronous_commit", "off"),
        ("session_replication_role", "replica"),
        ("array_nulls", "off"),
        ("transform_null_equals", "on"),
        ("quote_all_identifiers", "on"),
        ("xmloption", "document"),
        ("check_function_bodies", "off"),
        ("exit_on_error", "on"),
        ("gin_fuzzy_search_limit", "3"),
        ("force_parallel_mode", "regress"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_indexscan", "off"),
        ("enable_indexonlyscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_nestloop", "off"),
        ("enable_sort", "off"),
        ("enable_hashagg", "off"),
        ("default_statistics_target", "1"),
        ("client_min_messages", "debug5"),
        ("work_mem", "64kB"),
        ("default_toast_compression", "pglz"),
        ("temp_tablespaces", "nowhere"),
    ];
    for (name, value) in odd {
        let known = format!("select exists (select from pg_settings where lower(name) = lower('{name}'))");
        if !database.one::<bool>(&known).await {
            continue;
        }
        let value = match name {
            "search_path" => value.to_owned(),
            _ => format!("'{value}'"),
        };
        database
            .run(&format!("alter role {role} set {name} = {value}"))
            .await;
    }
}

/// Signature, return type, body.
const FUNCTIONS: [(&str, &str, &str); 11] = [
    (
        "unnest(text[])",
        "setof text",
        "select 'x'::text where public.sprung()",
    ),
    (
        "unnest(bytea[])",
        "setof bytea",
        "select '\\x00'::bytea where public.sprung()",
    ),
    (
        "now()",
        "timestamptz",
        "select clock_timestamp() where public.sprung()",
    ),
    (
        "clock_timestamp()",
        "timestamptz",
        "select pg_catalog.now() where public.sprung()",
    ),
    (
        "pg_advisory_xact_lock(bigint)",
        "boolean",
        "select public.sprung()",
    ),
    (
        "pg_advisory_xact_lock_shared(bigint)",
        "boolean",
        "select public.sprung()",
    ),
    (
        "set_config(text, text, boolean)",
        "text",
        "select 'x'::text where public.sprung()",
    ),
    (
        "to_regclass(text)",
        "regclass",
        "select null::regclass where public.sprung()",
    ),
    (
        "jsonb_array_elements(jsonb)",
        "setof jsonb",
        "select '{}'::jsonb where public.sprung()",
    ),
    (
        "hashtextextended(text, integer)",
        "bigint",
        "select 1::bigint where public.sprung()",
    ),
    (
        "date_trunc(text, timestamp)",
        "timestamp",
        "select null::timestamp where public.sprung()",
    ),
];

/// Makes functions and operators in `public` that match the service's calls better than PostgreSQL's own, as any role may that
/// can create there. Each call of one fails.
pub(crate) async fn lay_traps(database: &Database) {
    database
        .run(
            r"create function public.sprung() returns boolean language plpgsql as
              $$ begin raise exception 'a stranger was called with the rights of %', current_user; end $$;
              grant create, usage on schema public to public;",
        )
        .await;
    for (signature, gives, body) in FUNCTIONS {
        database
            .run(&format!(
                "create function public.{signature} returns {gives} language sql volatile as $body$ {body} $body$"
            ))
            .await;
    }
    let operators = [
        ("=", "text", "text"),
        ("<>", "text", "text"),
        ("<", "timestamptz", "timestamptz"),
        (">", "timestamptz", "timestamptz"),
        ("<=", "timestamptz", "timestamptz"),
        ("=", "uuid", "uuid"),
        ("=", "bytea", "bytea"),
        ("=", "bigint", "bigint"),
        ("@>", "text[]", "text[]"),
        ("->>", "jsonb", "text"),
    ];
    for (number, (operator, left, right)) in operators.into_iter().enumerate() {
        let name = format!("trap_{number}");
        database
            .run(&format!(
                "create function public.{name}({left}, {right}) returns boolean language plpgsql as
                 $$ begin return public.sprung(); end $$;
                 create operator public.{operator} (leftarg = {left}, rightarg = {right}, function = public.{name})"
            ))
            .await;
    }
}
