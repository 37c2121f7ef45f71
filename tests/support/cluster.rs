//! Private PostgreSQL clusters: one for the whole test process, and one for a test that damages its own. With
//! `BLUECONIC_SYNC_TEST_DATABASE_URL` that server is the shared one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;

use super::ports::free;
use super::tls::{Authority, Issued};

/// The cluster ends with the process, even if that is killed: the shell that supervises it reads a pipe that then closes.
/// A line in that pipe requests a restart (immediate, like a crash, or fast), or a crash without a restart, or fills the disk,
/// or frees it, and then starts a server that the full disk stopped. The shell ignores Ctrl-C, which ends the tests
/// and would leave the folder behind. Within its nap time autovacuum visits every database once: hundreds of them, those of tests that
/// have ended included, keep a core busy if that is a minute.
const WATCHER: &str = r#"
trap '' INT TERM HUP
mkdir -p "$2/disk"
if [ -n "$5" ]; then
  "$1/pg_basebackup" -D "$2/disk/data" -d "host=$5 user=postgres application_name=standby" -c fast -R -X stream || exit 1
else
  "$1/initdb" -D "$2/disk/data" $3 -A trust -U postgres -E UTF8 --locale=C -N >/dev/null || exit 1
fi
start() {
  "$1/postgres" -D "$2/disk/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=300 \
    -c max_wal_size=$4 -c log_min_messages=fatal -c autovacuum_naptime=10min $6 >>"$2/log" 2>&1 </dev/null &
  server=$!
}
start "$@"
while read -r order; do
  case $order in
    immediate) kill -QUIT $server; wait $server; start "$@" ;;
    fast) kill -INT $server; wait $server; start "$@" ;;
    crash) kill -QUIT $server; wait $server ;;
    fill) dd if=/dev/zero of="$2/disk/filler" bs=8k 2>/dev/null ;;
    free) rm -f "$2/disk/filler"; if ! [ -e "$2/disk/data/postmaster.pid" ]; then start "$@"; fi ;;
  esac
  echo "$order"
done
# Its data go with it: no checkpoint. Who waits for the end of our output must not wait for the removal.
exec 2>/dev/null
kill -QUIT $server
wait $server
rm -rf "$2"
"#;

static SHARED: OnceLock<Cluster> = OnceLock::new();

/// A server, and the address for a superuser.
pub(crate) struct Cluster {
    pub(crate) options: PgConnectOptions,
    url: String,
    own: Option<Own>,
}

/// How a server is stopped before it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// An orderly shutdown that aborts running transactions.
    Fast,
    /// At once, like a crash.
    Immediate,
}

/// Where a server on a small disk has its WAL. A server that cannot write its WAL stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    OnTheDisk,
    Elsewhere,
}

/// What a private server has besides an address.
struct Own {
    folder: PathBuf,
    port: u16,
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
        Self::of(&binaries())
    }

    /// One of these programs, which may be those of another version.
    pub(crate) fn of(binaries: &Path) -> Self {
        let folder = folder();
        let mut command = Command::new("sh");
        if let Some(nobody) = nobody() {
            command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
        }
        Self::watched(command, binaries, folder, "", "4GB", None)
    }

    /// One that speaks TLS on a port of this machine, with a certificate for 127.0.0.1 and these lines of `pg_hba.conf`; whom
    /// `clients` issued a certificate may show it.
    pub(crate) fn encrypted(server: &Issued, clients: &Authority, hba: &str) -> Self {
        let folder = folder();
        let mut command = Command::new("sh");
        if let Some(nobody) = nobody() {
            command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
        }
        for (name, text) in [
            ("server.pem", server.certificate.as_str()),
            ("server.key", server.key.as_str()),
            ("clients.pem", clients.pem()),
            ("hba", &format!("local all all trust\n{hba}")),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            if let Some(nobody) = nobody() {
                std::os::unix::fs::chown(&path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))
                    .unwrap();
            }
        }
        let shown = folder.display();
        let more = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c ssl=on -c ssl_cert_file={shown}/server.pem \
             -c ssl_key_file={shown}/server.key -c ssl_ca_file={shown}/clients.pem -c hba_file={shown}/hba",
            free().port()
        );
        Self::watched_with(command, &binaries(), folder, ["", "4GB", "", &more])
    }

    /// A read-only standby of this one.
    pub(crate) fn standby(&self) -> Self {
        let folder = folder();
        let mut command = Command::new("sh");
        if let Some(nobody) = nobody() {
            command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
        }
        Self::watched(
            command,
            &binaries(),
            folder,
            "",
            "4GB",
            Some(&self.own.as_ref().unwrap().folder),
        )
    }

    /// The socket that it listens on.
    pub(crate) fn socket(&self) -> PathBuf {
        self.own.as_ref().unwrap().folder.join(".s.PGSQL.5432")
    }

    /// Another one, on a disk of its own of so many MiB; its WAL is there, too, or elsewhere.
    /// None if this machine does not allow such a disk.
    pub(crate) fn on_small_disk(mebibytes: u32, log: Log) -> Option<Self> {
        let folder = folder();
        let disk = folder.join("disk");
        let mount = format!(
            "mount -t tmpfs -o size={mebibytes}m,mode=777 tmpfs '{}'",
            disk.display()
        );
        // The kernel removes the disk with its namespace, however the tests end. PostgreSQL refuses to run as root.
        let command = |inner: &str| {
            let mut command = Command::new("unshare");
            if let Some(nobody) = nobody() {
                let (user, group) = (nobody.uid, nobody.gid);
                let become_nobody = format!("setpriv --reuid={user} --regid={group} --clear-groups");
                command.args(["--mount", "sh", "-c"]);
                command.arg(format!("{mount} && exec {become_nobody} {inner}"));
            } else {
                command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
                command.arg(format!(
                    "{mount} && exec unshare --user --map-user=1000 --map-group=1000 {inner}"
                ));
            }
            command
        };
        std::fs::create_dir(&disk).unwrap();
        let possible = command("true").stderr(Stdio::null()).status();
        if !possible.is_ok_and(|status| status.success()) {
            std::fs::remove_dir_all(&folder).unwrap();
            return None;
        }
        let mut command = command("sh \"$@\"");
        command.arg("sh");
        let elsewhere = format!("-X {}/log-of-changes", folder.display());
        let option = match log {
            Log::OnTheDisk => "",
            Log::Elsewhere => &elsewhere,
        };
        Some(Self::watched(command, &binaries(), folder, option, "64MB", None))
    }

    fn watched(
        command: Command,
        programs: &Path,
        folder: PathBuf,
        initdb_option: &str,
        max_wal_size: &str,
        primary: Option<&Path>,
    ) -> Self {
        let primary = primary.map_or("", |primary| primary.to_str().unwrap());
        Self::watched_with(
            command,
            programs,
            folder,
            [initdb_option, max_wal_size, primary, ""],
        )
    }

    /// The last words are further options of the server; a port among them is where it listens.
    fn watched_with(mut command: Command, programs: &Path, folder: PathBuf, words: [&str; 4]) -> Self {
        let port = words[3]
            .split("-c port=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let port: u16 = port.map_or(5432, |port| port.parse().unwrap());
        // Packages of servers alone have no `pg_isready`; any version's will do.
        let binaries = binaries();
        command
            .args(["-c", WATCHER, "sh"])
            .arg(programs)
            .arg(&folder)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut watcher = command.spawn().unwrap();
        let answers = BufReader::new(watcher.stdout.take().unwrap());
        wait_until_ready(&binaries, &folder, port);
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&folder)
            .port(port)
            .username("postgres")
            .database("postgres");
        let url = format!(
            "postgres:///postgres?host={}&port={port}&user=postgres",
            folder.display()
        );
        Self {
            options,
            url,
            own: Some(Own {
                folder,
                port,
                binaries,
                watcher: Mutex::new((watcher, answers)),
            }),
        }
    }

    /// The server's log so far.
    pub(crate) fn log(&self) -> String {
        let folder = &self.own.as_ref().unwrap().folder;
        std::fs::read_to_string(folder.join("log")).unwrap()
    }

    /// The address of one of its databases, as `DATABASE_URL` takes it.
    pub(crate) fn url_of(&self, database: &str) -> String {
        let (head, rest) = self.url.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let query = path.split_once('?').map_or("", |(_, query)| query);
        format!("{head}://{host}/{database}?{query}")
    }

    /// Restarts it; returns when it accepts connections.
    pub(crate) fn restart(&self, how: Restart) {
        self.order(match how {
            Restart::Fast => "fast",
            Restart::Immediate => "immediate",
        });
        self.wait_until_ready();
    }

    /// Ends it like a crash, for good.
    pub(crate) fn crash(&self) {
        self.order("crash");
    }

    /// Fills a small disk completely.
    pub(crate) fn fill_disk(&self) {
        self.order("fill");
    }

    /// Frees the disk, and starts the server if it stopped; returns when it accepts connections.
    pub(crate) fn free_disk(&self) {
        self.order("free");
        self.wait_until_ready();
    }

    fn order(&self, order: &str) {
        let mut watcher = self.own.as_ref().unwrap().watcher.lock().unwrap();
        let line = format!("{order}\n");
        watcher
            .0
            .stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        let mut answer = String::new();
        watcher.1.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }

    fn wait_until_ready(&self) {
        let own = self.own.as_ref().unwrap();
        wait_until_ready(&own.binaries, &own.folder, own.port);
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

/// A folder for a cluster, of the user that it runs as.
fn folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("bcs-it-").tempdir();
    let folder = folder.unwrap().keep();
    if let Some(nobody) = nobody() {
        std::os::unix::fs::chown(&folder, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    }
    folder
}

/// The user that runs it if the tests run as root, which PostgreSQL refuses.
fn nobody() -> Option<nix::unistd::User> {
    nix::unistd::geteuid()
        .is_root()
        .then(|| nix::unistd::User::from_name("nobody").unwrap().unwrap())
}

fn wait_until_ready(binaries: &Path, folder: &Path, port: u16) {
    let began = Instant::now();
    loop {
        let ready = Command::new(binaries.join("pg_isready"))
            .args(["-q", "-d", "postgres", "-p", &port.to_string(), "-h"])
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
