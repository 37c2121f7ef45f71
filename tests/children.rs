//! Programs that are started from here get no secret of ours in their variables.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn psql_gets_no_variable_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("psql");
    std::fs::write(&fake, "#!/bin/sh\n/usr/bin/env\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = Program::new("http://127.0.0.1:9", "postgres://u:hunter2@127.0.0.1:9/x")
        .with("PATH", folder.path().to_str().unwrap())
        .with(
            "BLUECONIC_SYNC_KEY",
            "q6PwJmLZk1x0m3sB0oS3mQ5b2tqv5m3dS1a9Zr7cYxE=",
        )
        .with("KEPT", "as it is")
        .expect(0, &["psql"])
        .await;
    assert!(ended.stdout.contains("PGPASSWORD=hunter2"), "{}", ended.stdout);
    assert!(ended.stdout.contains("KEPT=as it is"), "{}", ended.stdout);
    for ours in ["BLUECONIC", "DATABASE_URL", "simulated-secret", "q6PwJm"] {
        assert!(!ended.stdout.contains(ours), "{ours} is in:\n{}", ended.stdout);
    }
}
