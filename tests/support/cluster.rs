//! Private PostgreSQL clusters: one for the whole test process, and one for a test that mistreats its own. With
//! `BLUECONIC_SYNC_TEST_DATABASE_URL` the shared one is that server instead.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;

/// It ends when the process does, however that ends, since the shell that watches it reads a pipe that breaks then.
/// A line in that pipe asks for an immediate restart, as a crash would make it. Deaf to Ctrl-C, which ends the tests and
/// would leave the folder behind.
const WATCHER: &str = r#"
trap '' INT TERM HUP
"$1/initdb" -D "$2/data" -A trust -U postgres -E UTF8 --locale=C -N >/dev/null || exit 1
start() {
  "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=300 \
    -c max_wal_size=4GB -c log_min_messages=fatal >>"$2/log" 2>&1 </dev/null &
  server=$!
}
start "$1" "$2"
while read -r _; do
  kill -QUIT $server
  wait $server
  echo stopped
  start "$1" "$2"
done
# Its data go with it: no checkpoint. Who waits for the end of our output must not wait for the removal.
exec 2>/dev/null
kill -QUIT $server
wait $server
rm -rf "$2"
"#;

static SHARED: OnceLock<Cluster> = OnceLock::new();

/// A server, and how a superuser reaches it.
pub(crate) struct Cluster {
    pub(crate) options: PgConnectOptions,
    url: String,
    own: Option<Own>,
}

/// What a server of our own has beyond an address.
struct Own {
    folder: PathBuf,
    binaries: PathBuf,
    watcher: Mutex<(Child, BufReader<ChildStdout>)>,
}

impl Cluster {
    /// The one of this process.
    pub(crate) fn shared() -> &'static Self {
        SHARED.get_or_init(|| match std::env::var("BLUECONIC_SYNC_TEST_DATABASE_URL") {
            Ok(url) => Self {
                options: url.parse().unwrap(),
                url,
                own: None,
            },
            Err(_) => Self::start(),
        })
    }

    /// One more.
    pub(crate) fn start() -> Self {
        let binaries = binaries();
        let folder = tempfile::Builder::new()
            .prefix("bcs-it-")
            .tempdir()
            .unwrap()
            .keep();
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHER, "sh"])
            .arg(&binaries)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if nix::unistd::geteuid().is_root() {
            let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
            std::os::unix::fs::chown(&folder, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
            command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
        }
        let mut watcher = command.spawn().unwrap();
        let answers = BufReader::new(watcher.stdout.take().unwrap());
        wait_until_ready(&binaries, &folder);
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&folder)
            .username("postgres")
            .database("postgres");
        let url = format!("postgres:///postgres?host={}&user=postgres", folder.display());
        Self {
            options,
            url,
            own: Some(Own {
                folder,
                binaries,
                watcher: Mutex::new((watcher, answers)),
            }),
        }
    }

    /// The address of one of its databases, as `DATABASE_URL` takes it.
    pub(crate) fn url_of(&self, database: &str) -> String {
        let (head, rest) = self.url.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let query = path.split_once('?').map_or("", |(_, query)| query);
        format!("{head}://{host}/{database}?{query}")
    }

    /// Ends all of it at once, as a crash does, and starts it again; back when it takes connections.
    pub(crate) fn crash(&self) {
        let own = self.own.as_ref().unwrap();
        let mut watcher = own.watcher.lock().unwrap();
        watcher.0.stdin.as_mut().unwrap().write_all(b"crash\n").unwrap();
        let mut answer = String::new();
        watcher.1.read_line(&mut answer).unwrap();
        assert_eq!(answer, "stopped\n");
        wait_until_ready(&own.binaries, &own.folder);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let watcher = &mut own.watcher.get_mut().unwrap().0;
            drop(watcher.stdin.take());
            watcher.wait().unwrap();
        }
    }
}

fn wait_until_ready(binaries: &Path, folder: &Path) {
    let began = Instant::now();
    loop {
        let ready = Command::new(binaries.join("pg_isready"))
            .args(["-q", "-d", "postgres", "-h"])
            .arg(folder)
            .status()
            .unwrap();
        if ready.success() {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "the test server does not start"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn binaries() -> PathBuf {
    let mut folders: Vec<PathBuf> = std::env::var_os("PGBIN").map(PathBuf::from).into_iter().collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists())
        .unwrap()
}
