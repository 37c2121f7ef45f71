//! Kubernetes' own schemas take the manifests of `deploy/kubernetes`, in their strict form: a field that is not theirs is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::tool;
use crate::support::sources::{files, root};

/// What the validator says of manifests, and whether it takes them.
fn validate(manifests: &[PathBuf]) -> (bool, String) {
    let output = Command::new(tool("kubernetes-validate"))
        .args(["--strict", "--quiet"])
        .args(manifests)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

#[test]
fn kubernetes_takes_the_manifests() {
    let manifests: Vec<PathBuf> = files("deploy/kubernetes", ".yaml")
        .into_iter()
        // What only kustomize reads.
        .filter(|(path, _)| !path.ends_with("kustomization.yaml"))
        .map(|(path, _)| root().join(path))
        .collect();
    assert!(manifests.len() >= 7, "{manifests:?}");
    let (is_taken, said) = validate(&manifests);
    assert!(is_taken, "{said}");
}

#[test]
fn kubernetes_refuses_a_manifest_with_a_misspelt_field() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(root().join("deploy/kubernetes/deployment.yaml")).unwrap();
    let path = folder.path().join(Path::new("deployment.yaml"));
    fs::write(
        &path,
        text.replace("readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
    )
    .unwrap();
    let (is_taken, said) = validate(&[path]);
    assert!(!is_taken && said.contains("readOnlyRootFileSystem"), "{said}");
}
