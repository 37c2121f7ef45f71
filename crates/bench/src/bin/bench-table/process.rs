//! Measures processes: time, CPU time, memory.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use sqlx::{Connection, PgConnection};

use bench::Outcome;

/// The time between two checks of a table.
const LOOK: Duration = Duration::from_millis(2);
/// The longest wait for a first row.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs a command. The peak is the most memory that the process held at once, as in `VmHWM`.
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

/// Runs a command to its end. Returns the time when another session could first read a profile.
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

/// Whether there is a row; false while the table does not exist.
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
