//! What the engine, the schedule and the web server ask of the database goes through the one place where waits end.

use crate::support::sources::files;

/// The ports that the database stands behind.
const PORTS: [&str; 12] = [
    "impl RunStore for PostgresStore",
    "impl LoadStore for PostgresStore",
    "impl SweepStore for PostgresStore",
    "impl CountStore for PostgresStore",
    "impl FactStore for PostgresStore",
    "impl HistoryStore for PostgresStore",
    "impl JobStore for PostgresStore",
    "impl TokenStore for PostgresStore",
    "impl UsageStore for PostgresStore",
    "impl Observer for PostgresStore",
    "impl RunHistory for PostgresStore",
    "impl Loader for PostgresLoader",
];

/// What ends a wait, or calls what does.
const ENDS: [&str; 8] = [
    ".moment(",
    ".minutes(",
    "self.watch(",
    ".wait(",
    ".wait_to_load(",
    "self.retry_upkeep(",
    "self.verify_schema()",
    "self.index(",
];

#[test]
fn every_method_of_a_port_to_the_database_ends() {
    let mut methods = 0;
    let mut ports = 0;
    for (path, text) in files("src/postgres", ".rs") {
        for port in PORTS {
            let Some((_, rest)) = text.split_once(port) else {
                continue;
            };
            ports += 1;
            let body = rest.split("\n}\n").next().unwrap();
            for method in body.split("    async fn ").skip(1) {
                methods += 1;
                let name = method.split('(').next().unwrap();
                assert!(
                    ENDS.iter().any(|end| method.contains(end)),
                    "{path}: {port}: `{name}` may wait for ever"
                );
            }
        }
    }
    assert_eq!(ports, PORTS.len());
    assert!(methods > 40, "{methods} methods were found");
}
