//! A role has every odd default at once, and strangers have laid functions and operators on its path: every command does
//! what it does for any other role, and an erased person stays away.

use std::time::{Duration, Instant};

use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};

use super::business::Business;
use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::roles::{lay_traps, make_odd, role};
use crate::support::small;

/// What a database goes through: the same for the odd role and for the reference.
async fn go(tenant: &Tenant, program: &Program, round: u64) {
    program.expect(0, &["migrate"]).await;
    program.expect(0, &["check"]).await;
    program.expect(0, &["backfill", "--full"]).await;
    program.expect(0, &["backfill"]).await;
    program
        .expect(0, &["erase", "--yes", &tenant.id(7 + round * 3)])
        .await;
    program.expect(0, &["backfill", "--full"]).await;
    program.expect(0, &["status"]).await;
}

/// The tenant as it was when the last step began. Both databases have to see one tenant.
fn change(tenant: &Tenant, round: u64) {
    tenant.advance(Duration::from_mins(1));
    for position in (1..200).step_by(3) {
        assert!(tenant.touch(position, "name", &[&format!("Round {round}")]));
    }
    assert!(tenant.delete(200 + round));
    assert!(tenant.merge(310 + 2 * round, 350));
    tenant.advance(Duration::from_mins(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_every_odd_default() {
    // Roles and their defaults belong to the whole server.
    let cluster = tokio::task::block_in_place(Cluster::start);
    let tenant = start(Settings {
        audit_order: AuditOrder::OldestFirst,
        ..small(400)
    })
    .await
    .unwrap();
    let mut case = Case::new("a role with every odd default at once");
    for number in 0..tries(2, 20) {
        let isolation = ["repeatable read", "serializable"][number as usize % 2];
        let (odd, reference) = (Database::on(&cluster).await, Database::on(&cluster).await);
        let role = role(&odd, "odd").await;
        make_odd(&odd, &role, isolation).await;
        lay_traps(&odd).await;
        let program =
            Program::new(tenant.url(), &odd.url_as(&role)).set("resources.profiles.page_size", "100");
        let undisturbed = program.with("DATABASE_URL", &reference.url);
        let began = Instant::now();
        go(&tenant, &program, u64::from(number)).await;
        go(&tenant, &undisturbed, u64::from(number)).await;
        change(&tenant, u64::from(number));
        for program in [&program, &undisturbed] {
            program.expect(0, &["backfill", "--full"]).await;
            program.expect(0, &["backfill"]).await;
        }
        let back = format!(
            "blueconic.profiles where id = '{}'",
            tenant.id(7 + u64::from(number) * 3)
        );
        assert_eq!(
            odd.count(&back).await,
            0,
            "an erased person came back ({isolation})"
        );
        let again = odd.count("sync.runs where status <> 'succeeded'").await;
        assert_eq!(again, 0, "every run succeeded ({isolation})");
        Business::of(&reference).await.compare(&odd, &mut case).await;
        case.recovered(began.elapsed());
        case.tried(1);
        odd.remove(&cluster).await;
        reference.remove(&cluster).await;
    }
    case.note("migrate, check, backfill, erase, sweep, status; nobody came back");
    case.report();
}
