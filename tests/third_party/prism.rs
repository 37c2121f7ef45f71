//! Stoplight Prism, a mock server that follows an OpenAPI document: it answers with the document's examples, and with a
//! 4xx to what the document does not allow. It does not look into `refinement`, which the document calls a query
//! parameter and describes as JSON: that is judged in `judge.rs`.

use std::path::Path;

use tempfile::TempDir;

use super::document::Document;
use super::process::Process;

/// A running mock of the repaired document.
pub(crate) struct Prism {
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    _process: Process,
    _folder: TempDir,
}

impl Prism {
    /// Serves the repaired document, which is written to a folder that goes with this.
    pub(crate) async fn start(document: &Document) -> Self {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/node_modules");
        let program = installed.join("@stoplight/prism-cli/dist/index.js");
        assert!(
            program.exists(),
            "prism is not installed: script/test --third-party does that"
        );
        let folder = TempDir::new().unwrap();
        let served = folder.path().join("document.json");
        std::fs::write(&served, document.servable()).unwrap();
        let command = [
            "node",
            program.to_str().unwrap(),
            "mock",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            served.to_str().unwrap(),
        ];
        let process = Process::start(&command, folder.path(), &folder.path().join("log"));
        let url = process.wait_for("prism", listening).await;
        Self {
            url,
            _process: process,
            _folder: folder,
        }
    }
}

fn listening(said: &str) -> Option<String> {
    let (_, after) = said.split_once("Prism is listening on ")?;
    let (address, _) = after.split_once('\n')?;
    Some(address.trim().to_owned())
}
