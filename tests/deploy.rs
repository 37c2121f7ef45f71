//! The files of `deploy/` fit the program and one another: its variables, its version, the same walls around `serve` and single
//! commands. Kubernetes' own schemas are asked in `tests/third_party/manifests.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use serde_json::Value;

use crate::support::program::Program;
use crate::support::sources::{files, root};

/// What each place runs the program with.
const PLACES: [&str; 6] = [
    "compose.yaml",
    "deploy/compose/compose.yaml",
    "deploy/kubernetes/deployment.yaml",
    "deploy/kubernetes/backfill/job.yaml",
    "deploy/systemd/blueconic-sync.service",
    "deploy/systemd/blueconic-sync@.service",
];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The lines of a file that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#'))
}

/// The program's variables that a file sets: `- name: X`, `X: value` or `Environment=X=value`.
fn variables(text: &str) -> BTreeSet<&str> {
    let set = lines(text).filter_map(|line| {
        let line = line
            .trim()
            .trim_start_matches("- name: ")
            .trim_start_matches("Environment=");
        let name = line.split([':', '=']).next()?;
        (name.starts_with("BLUECONIC_") || name.starts_with("DATABASE_")).then_some(name)
    });
    set.collect()
}

/// Each place hands over the three secrets as files, and sets nothing that the program does not know.
#[tokio::test]
async fn each_place_sets_variables_that_the_program_knows() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "postgres://u:p@h/d").unwrap();
    for place in PLACES {
        let text = read(place);
        let variables = variables(&text);
        let mut program = Program::new("https://example.blueconic.net", "")
            .without("DATABASE_URL")
            .without("BLUECONIC_CLIENT_SECRET");
        for name in &variables {
            let value = match *name {
                "BLUECONIC_URL" => "https://example.blueconic.net",
                "BLUECONIC_CLIENT_ID" => "id",
                _ => secret.to_str().unwrap(),
            };
            program = program.with(name, value);
        }
        let ended = program.expect(0, &["config", "show", "--given", "--json"]).await;
        let rows = ended.json();
        let rows = rows.as_array().unwrap().iter();
        let files = rows.filter(|row| row["source"] == "secret_file");
        let files: Vec<&str> = files.filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(
            files,
            [
                "DATABASE_URL_FILE",
                "BLUECONIC_CLIENT_SECRET_FILE",
                "BLUECONIC_SYNC_KEY_FILE"
            ],
            "{place}"
        );
    }
}

#[tokio::test]
async fn the_settings_of_the_pods_can_be_used() {
    let file = root().join("deploy/kubernetes/settings.toml");
    let arguments = ["--config", file.to_str().unwrap(), "config", "show", "--json"];
    let program = Program::new("", "postgres://u@h/d")
        .without("BLUECONIC_URL")
        .without("BLUECONIC_CLIENT_ID");
    let rows = program.expect(0, &arguments).await.json();
    let value = |name: &str| -> Value {
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["setting"] == name)
            .unwrap();
        assert_eq!(row["source"], "file", "{row}");
        row["value"].clone()
    };
    assert_eq!(value("web.bind"), "0.0.0.0:8080");
    // The name of the Service.
    assert!(
        value("web.hosts")
            .as_array()
            .unwrap()
            .contains(&"blueconic-sync".into())
    );
    assert_eq!(value("tenant.client_id"), "the-client-id");
}

/// What stands between a line and the next one that is indented as little.
fn block<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let indent = begin.len() - begin.trim_start().len();
    let mut rest = lines(text).skip_while(|line| *line != begin).skip(1).peekable();
    assert!(rest.peek().is_some(), "there is no {begin}");
    rest.take_while(|line| line.len() - line.trim_start().len() > indent)
        .collect()
}

#[test]
fn a_backfill_runs_within_the_walls_of_the_service() {
    let (service, job) = (
        read("deploy/kubernetes/deployment.yaml"),
        read("deploy/kubernetes/backfill/job.yaml"),
    );
    for part in [
        "      securityContext:",
        "          env:",
        "            limits:",
        "          securityContext:",
        "          volumeMounts:",
        "      volumes:",
    ] {
        let (one, other) = (block(&service, part), block(&job, part));
        assert!(!one.is_empty());
        assert_eq!(one, other, "{part}");
    }
    // Between the beginning of a unit and its end stand those of a service alone.
    let own = [
        "Description=",
        "Type=",
        "ExecStart=",
        "Restart",
        "StartLimitIntervalSec=",
        "TimeoutStartSec=",
        "[Install]",
        "WantedBy=",
        "",
    ];
    let walls = |path: &str| -> Vec<String> {
        let text = read(path);
        let walls = lines(&text).filter(|line| {
            !own.iter().any(|begin| {
                if begin.is_empty() {
                    line.is_empty()
                } else {
                    line.starts_with(begin)
                }
            })
        });
        walls.map(str::to_owned).collect()
    };
    let service = walls("deploy/systemd/blueconic-sync.service");
    assert!(service.len() > 30, "{service:?}");
    assert_eq!(service, walls("deploy/systemd/blueconic-sync@.service"));
}

#[test]
fn every_place_names_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for place in [
        "deploy/kubernetes/kustomization.yaml",
        "deploy/kubernetes/backfill/kustomization.yaml",
    ] {
        let images = format!(
            "  - name: blueconic-sync\n    newName: ghcr.io/blueconic-sync/blueconic-sync\n    newTag: {version}\n"
        );
        assert!(read(place).contains(&images), "{place}: not {version}");
    }
    let image = format!("image: ghcr.io/blueconic-sync/blueconic-sync:{version}\n");
    assert!(read("deploy/compose/compose.yaml").contains(&image));
}

#[test]
fn a_kustomization_has_every_manifest_of_its_folder() {
    for folder in ["deploy/kubernetes", "deploy/kubernetes/backfill"] {
        let text = read(&format!("{folder}/kustomization.yaml"));
        let listed = block(&text, "resources:").into_iter();
        let listed: BTreeSet<String> = listed
            .map(|line| line.trim().trim_start_matches("- ").to_owned())
            .collect();
        let there: BTreeSet<String> = files(folder, ".yaml")
            .into_iter()
            .filter_map(|(path, _)| Some(path.strip_prefix(folder)?.trim_start_matches('/').to_owned()))
            .filter(|name| name != "kustomization.yaml" && !name.contains('/'))
            .collect();
        assert_eq!(listed, there, "{folder}");
    }
}

/// The most that `systemd-analyze security` may call the exposure of a unit, in tenths of 10.
const EXPOSURE: &str = "13";

#[test]
fn systemd_finds_the_units_correct_and_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["blueconic-sync.service", "blueconic-sync@.service"] {
        let text = read(&format!("deploy/systemd/{name}"));
        // What a machine that was not installed lacks: the program, and its manual.
        let there = text.replace("/usr/local/bin/blueconic-sync", "/bin/true");
        let there: Vec<&str> = there
            .lines()
            .filter(|line| !line.starts_with("Documentation="))
            .collect();
        fs::write(folder.path().join(name), there.join("\n")).unwrap();
    }
    let units =
        ["blueconic-sync.service", "blueconic-sync@check.service"].map(|name| folder.path().join(name));
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args(&units)
        .output();
    let verified = match verified {
        // A machine without systemd cannot judge its units.
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        verified => verified.unwrap(),
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("blueconic-sync"),
        "{said}"
    );
    for name in ["blueconic-sync.service", "blueconic-sync@.service"] {
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold", EXPOSURE])
            .arg(folder.path().join(name))
            .output()
            .unwrap();
        assert!(
            judged.status.success(),
            "{}",
            String::from_utf8_lossy(&judged.stdout)
        );
    }
}
