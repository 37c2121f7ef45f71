//! Processes that are measured: how long, how much of a processor, how much memory.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use sqlx::{Connection, PgConnection};

use bench::Outcome;

/// Between two looks at a table.
const LOOK: Duration = Duration::from_millis(2);
/// After so long no first row is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs a command. The peak is the most that the process held at once, as `VmHWM` shows it.
pub(crate) fn measure(command: &[String], answer: &Path, accept: &[i32]) -> Outcome<String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(answer)?)
        .spawn()?;
    let status = child.wait()?;
    let seconds = begun.elapsed().as_secs_f64();
    if !status.code().is_some_and(|code| accept.contains(&code)) {
        return Err(format!("`{program}` ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(format!(
        "seconds {seconds:.4}\ncpu {:.4}\npeak {}\n",
        as_seconds(usage.user_time()) + as_seconds(usage.system_time()),
        usage.max_rss()
    ))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a few minutes")]
fn as_seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Runs a command to its end and says when the first profile could be read by others.
pub(crate) async fn first_row(command: &[String]) -> Outcome<String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut database = PgConnection::connect(&std::env::var("DATABASE_URL")?).await?;
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    while !has_row(&mut database).await? {
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            return Err("no row came".into());
        }
        tokio::time::sleep(LOOK).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("`{program}` ended with {status}").into());
    }
    Ok(format!("seconds {seconds:.4}\n"))
}

/// Also while the table is not there yet.
async fn has_row(database: &mut PgConnection) -> Outcome<bool> {
    let there = sqlx::query_scalar::<_, bool>("select to_regclass('blueconic.profiles') is not null")
        .fetch_one(&mut *database)
        .await?;
    if !there {
        return Ok(false);
    }
    Ok(
        sqlx::query_scalar("select exists (select from blueconic.profiles)")
            .fetch_one(database)
            .await?,
    )
}
