//! nginx and Caddy before a tenant: they end TLS, compress, chunk and buffer as they do at companies all over, and
//! not as our simulated tenant does.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::{Certificate, HOST, shown};
use super::process::Process;
use crate::support::ports::free;

/// Which server, and how it compresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    NginxGzip,
    NginxBrotli,
    CaddyZstd,
}

/// An answer that the server gave, from its own log.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) encoding: String,
    /// Tells one connection from another.
    pub(crate) connection: String,
}

/// A running server. Dropping it ends it.
pub(crate) struct Front {
    /// `https://0.0.0.0:PORT`
    pub(crate) url: String,
    kind: Kind,
    log: PathBuf,
    _process: Process,
    _folder: TempDir,
}

impl Front {
    /// Starts a server before the tenant at `upstream`.
    pub(crate) async fn start(kind: Kind, upstream: &str, certificate: &Certificate) -> Self {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("access.log");
        // Neither server tells which port it got.
        let port = free().port();
        let settings = match kind {
            Kind::NginxGzip => nginx(folder.path(), port, upstream, certificate, GZIP, ""),
            Kind::NginxBrotli => {
                let module = format!("load_module {};", shown(&brotli_module()));
                nginx(folder.path(), port, upstream, certificate, BROTLI, &module)
            }
            Kind::CaddyZstd => caddy(folder.path(), port, upstream, certificate),
        };
        let file = folder.path().join("settings");
        std::fs::write(&file, settings).unwrap();
        let file = shown(&file);
        let command = match kind {
            Kind::CaddyZstd => vec!["caddy", "run", "--adapter", "caddyfile", "--config", file],
            Kind::NginxGzip | Kind::NginxBrotli => {
                vec!["nginx", "-e", "stderr", "-p", shown(folder.path()), "-c", file]
            }
        };
        let process = Process::start(&command, folder.path(), &folder.path().join("log"));
        let listening = |_: &str| std::net::TcpStream::connect((HOST, port)).ok();
        process.wait_for(command[0], listening).await;
        Self {
            url: format!("https://{HOST}:{port}"),
            kind,
            log,
            _process: process,
            _folder: folder,
        }
    }

    /// All answers so far.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let read = match self.kind {
            Kind::CaddyZstd => of_caddy,
            Kind::NginxGzip | Kind::NginxBrotli => of_nginx,
        };
        log.lines().map(read).collect()
    }
}

const GZIP: &str = "gzip on; gzip_types application/json; gzip_min_length 1;";
const BROTLI: &str = "brotli on; brotli_types application/json; brotli_min_length 1;";

fn brotli_module() -> PathBuf {
    let folders = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let modules = folders.map(|folder| Path::new(folder).join("ngx_http_brotli_filter_module.so"));
    let found = modules.iter().find(|module| module.exists());
    let found =
        found.unwrap_or_else(|| panic!("none of {modules:?}: script/bootstrap --third-party installs it"));
    found.clone()
}

/// Small buffers, so that answers come in many pieces, and a connection that serves seven requests only.
fn nginx(
    folder: &Path,
    port: u16,
    upstream: &str,
    certificate: &Certificate,
    compression: &str,
    module: &str,
) -> String {
    let folder = shown(folder);
    let (certificate, key) = (shown(&certificate.certificate), shown(&certificate.key));
    format!(
        "{module}
        daemon off;
        master_process off;
        pid {folder}/pid;
        events {{ worker_connections 256; }}
        http {{
            log_format line '$uri $status $sent_http_content_encoding $connection';
            access_log {folder}/access.log line;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            keepalive_requests 7;
            {compression}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {certificate};
                ssl_certificate_key {key};
                location / {{
                    proxy_pass {upstream};
                    proxy_http_version 1.1;
                    proxy_set_header Connection '';
                    proxy_buffer_size 4k;
                    proxy_buffers 4 4k;
                    proxy_busy_buffers_size 8k;
                }}
            }}
        }}"
    )
}

fn of_nginx(line: &str) -> Answer {
    let words: Vec<&str> = line.split(' ').collect();
    let [path, status, encoding, connection] = words[..] else {
        panic!("{line}")
    };
    Answer {
        path: path.to_owned(),
        status: status.parse().unwrap(),
        encoding: encoding.to_owned(),
        connection: connection.to_owned(),
    }
}

fn caddy(folder: &Path, port: u16, upstream: &str, certificate: &Certificate) -> String {
    let folder = shown(folder);
    let (certificate, key) = (shown(&certificate.certificate), shown(&certificate.key));
    format!(
        "{{
            admin off
            auto_https off
            storage file_system {folder}/storage
            default_sni {HOST}
        }}
        https://{HOST}:{port} {{
            bind 127.0.0.1
            tls {certificate} {key}
            log {{
                output file {folder}/access.log
                format json
            }}
            encode zstd {{
                minimum_length 1
            }}
            reverse_proxy {upstream}
        }}"
    )
}

fn of_caddy(line: &str) -> Answer {
    let line: Value = serde_json::from_str(line).unwrap();
    let uri = line["request"]["uri"].as_str().unwrap();
    let encoding = line["resp_headers"]["Content-Encoding"][0].as_str();
    Answer {
        path: uri.split('?').next().unwrap().to_owned(),
        status: line["status"].as_u64().unwrap().try_into().unwrap(),
        encoding: encoding.unwrap_or("-").to_owned(),
        connection: line["request"]["remote_port"].as_str().unwrap().to_owned(),
    }
}
